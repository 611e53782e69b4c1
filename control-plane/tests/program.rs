//! The program itself: what it prints, how it ends, what it leaves behind.

use std::net::TcpStream;
use std::process::Command;

use portcullis_core::key::{ApiKind, Brand, Kind, PlainKey};

mod support;
use support::{Running, command};

const TOKEN: &str = "a-bootstrap-token-of-the-environment";

#[test]
fn the_first_start_shows_a_token_once_and_it_lasts() {
    let data = tempfile::tempdir().unwrap();
    let first = Running::start(command(data.path()));
    // An idle connection does not keep it from stopping.
    let idle = TcpStream::connect(&first.admin).unwrap();
    let (out, log) = first.stop("-TERM");
    drop(idle);
    let token = out.split_whitespace().last().unwrap().to_owned();
    assert!(token.starts_with("pc_adm_"), "{out}");
    assert_eq!(out.lines().count(), 1);
    assert!(!log.contains(&token));
    assert!(!data.path().join("portcullis.db-wal").exists(), "the log is in the database");
    let second = Running::start(command(data.path()));
    assert_eq!(second.call(&token), 200);
    assert_eq!(second.call("wrong"), 401);
    assert_eq!(second.stop("-INT").0, "");
}

#[test]
fn the_environments_token_counts_and_replaces_the_one_before() {
    let data = tempfile::tempdir().unwrap();
    let start = |token: &str| {
        let mut command = command(data.path());
        command.env("PORTCULLIS_BOOTSTRAP_TOKEN", token);
        Running::start(command)
    };
    let first = start(TOKEN);
    assert_eq!(first.call(TOKEN), 200);
    let (out, log) = first.stop("-TERM");
    assert_eq!(out, "");
    assert!(!log.contains(TOKEN));
    let other = format!("another-{TOKEN}");
    let second = start(&other);
    assert_eq!((second.call(TOKEN), second.call(&other)), (401, 200));
    assert!(second.stop("-TERM").1.contains("operator token replaced"));
    let third = Running::start(command(data.path()));
    assert_eq!((third.call(&other), third.stop("-TERM").0), (200, String::new()));
}

#[test]
fn a_wrong_setting_is_one_line_and_exit_code_2() {
    let data = tempfile::tempdir().unwrap();
    let cases = [
        ("PORTCULLIS_BOOTSTRAP_TOKEN", "too-short-to-be-safe"),
        ("PORTCULLIS_DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("PORTCULLIS_LISTEN", "nowhere"),
        ("PORTCULLIS_BRAND", "NO"),
        ("PORTCULLIS_USAGE_HOURS_DAYS", "0"),
    ];
    for (variable, value) in cases {
        let output = command(data.path()).env(variable, value).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(variable), "{said}");
        assert!(!said.contains("too-short") && !said.contains("hunter2"), "{said}");
    }
    let help = command(data.path()).arg("--help").env("PORTCULLIS_BOOTSTRAP_TOKEN", TOKEN).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(TOKEN));
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(data.path()).env("PORTCULLIS_LISTEN", &address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
    assert!(!data.path().join("portcullis.db").exists(), "nothing was touched");
}

#[test]
fn a_scan_before_a_commit_passes_clean_files_and_stops_a_key_without_showing_it() {
    let key = PlainKey::generate(&Brand::default(), Kind::Api(ApiKind::Dedicated), |random| {
        random.fill(7);
        Ok::<_, std::convert::Infallible>(())
    });
    let key = key.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clean.rs"), "fn main() {}\n").unwrap();
    std::fs::write(folder.path().join("leak.env"), format!("# local\nAPI_KEY={}\n", key.reveal())).unwrap();
    let scan = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let output = command.arg("scan").args(arguments).current_dir(folder.path()).env_clear().output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(scan(&["clean.rs"]), (0, String::new(), String::new()));
    let (code, out, log) = scan(&["clean.rs", "leak.env", "missing"]);
    assert_eq!((code, out), (1, format!("leak.env:2:9: {} (dedicated key)\n", key.masked())));
    assert!(log.contains("portcullis: missing: ") && log.contains("/v1/leaks"), "{log}");
    assert!(!log.contains(key.reveal()));
    assert_eq!(scan(&["--brand", "acme", "."]).0, 0, "another deployment's keys are not ours");
    for wrong in [["missing", "clean.rs"], ["--brand", "NO"], ["--format=xml", "clean.rs"]] {
        assert_eq!(scan(&wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(scan(&[]).0, 2, "nothing to scan is a mistake");
}
