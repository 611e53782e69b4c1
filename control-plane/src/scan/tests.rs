//! Scans of folders: which files are read, what is said, and that no secret is.

use super::*;
use portcullis_core::key::{ApiKind, Kind, PlainKey};
use std::convert::Infallible;
use std::os::unix::fs::symlink;

fn key(fill: u8) -> PlainKey {
    let key = PlainKey::generate(&Brand::default(), Kind::Api(ApiKind::Dedicated), |random| {
        random.fill(fill);
        Ok::<_, Infallible>(())
    });
    key.unwrap()
}

struct Said {
    outcome: Outcome,
    out: String,
    log: String,
}

fn scan_with(paths: &[PathBuf], format: ReportFormat, ignore_files: IgnoreFiles, input: &[u8]) -> Said {
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let request = Request { paths: paths.to_vec(), brand: Brand::default(), format, ignore_files };
    let outcome = scan(request, Streams { input, out: &mut out, log: &mut log }).unwrap();
    Said { outcome, out: String::from_utf8(out).unwrap(), log: String::from_utf8(log).unwrap() }
}

fn scan_text(paths: &[PathBuf]) -> Said {
    scan_with(paths, ReportFormat::Text, IgnoreFiles::Honour, b"")
}

/// A git repository with a key in each of several places.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for directory in [".git", "src/deep", ".github", "target"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::write(root.join(".gitignore"), "target/\n").unwrap();
    for (file, fill) in
        [("src/deep/a.rs", 1), (".github/ci.yaml", 2), ("target/b.bin", 3), (".git/config", 4), (".ignore", 5)]
    {
        std::fs::write(root.join(file), format!("*.rs\n  {}\n", key(fill).reveal())).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_walked_as_git_sees_it() {
    let folder = repository();
    let root = folder.path().display().to_string();
    let said = scan_text(&[folder.path().into()]);
    let line = |file, fill| format!("{root}/{file}:2:3: {} (dedicated key)\n", key(fill).masked());
    assert_eq!(said.out, [line(".github/ci.yaml", 2), line(".ignore", 5), line("src/deep/a.rs", 1)].concat());
    assert_eq!(said.outcome, Outcome { found: 3, unread: 0 });
    assert_eq!(said.log.lines().count(), 1);
    assert!(said.log.contains("3 keys or tokens found") && said.log.contains("POST /v1/leaks"));
    let all = scan_with(&[folder.path().into()], ReportFormat::Text, IgnoreFiles::Disregard, b"");
    assert!(all.out.contains("target/b.bin:2:3: ") && !all.out.contains(".git/config"), "{}", all.out);
    let named = scan_text(&[folder.path().join("target/b.bin"), folder.path().join(".git")]);
    assert_eq!(named.outcome.found, 2, "what is named is scanned");
}

#[test]
fn json_has_one_object_a_line_and_standard_input_is_a_dash() {
    let key = key(6);
    let input = format!("\n{}", key.reveal());
    let said = scan_with(&["-".into()], ReportFormat::Json, IgnoreFiles::Honour, input.as_bytes());
    let [line] = said.out.lines().collect::<Vec<_>>()[..] else { panic!("{}", said.out) };
    let expected =
        serde_json::json!({"path": "-", "line": 2, "column": 1, "kind": "dedicated", "masked": key.masked()});
    assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap(), expected);
}

#[test]
fn links_are_not_followed_and_what_is_not_read_is_said_while_the_rest_is_scanned() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), key(7).reveal()).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
    symlink(outside.path(), folder.path().join("directory")).unwrap();
    let walked = scan_text(&[folder.path().into()]);
    assert_eq!((walked.outcome, walked.log.as_str()), (Outcome::default(), ""));
    let paths = [folder.path().join("link"), "/dev/null".into(), "/no/such\nfile".into(), outside.path().into()];
    let named = scan_text(&paths);
    assert_eq!(named.outcome, Outcome { found: 1, unread: 3 });
    let log = named.log.lines().collect::<Vec<_>>();
    assert!(log[0].ends_with("link: neither a file nor a directory; symbolic links are not followed"), "{log:?}");
    assert!(log[2].starts_with("portcullis: /no/such\\nfile: "), "{log:?}");
    assert_eq!(log.len(), 4);
}

#[test]
fn a_key_in_the_name_of_a_file_is_not_shown_either() {
    let folder = tempfile::tempdir().unwrap();
    let (named, inside) = (key(8), key(9));
    let file = folder.path().join(format!("backup-{}.txt", named.reveal()));
    std::fs::write(&file, inside.reveal()).unwrap();
    for format in [ReportFormat::Text, ReportFormat::Json] {
        let missing = folder.path().join(named.reveal());
        let said = scan_with(&[file.clone(), missing], format, IgnoreFiles::Honour, b"");
        assert_eq!(said.outcome, Outcome { found: 1, unread: 1 });
        for secret in [&named, &inside] {
            assert!(!said.out.contains(secret.reveal()) && !said.log.contains(secret.reveal()));
        }
        assert!(said.out.contains(&named.masked()) && said.log.contains(&named.masked()));
    }
}
