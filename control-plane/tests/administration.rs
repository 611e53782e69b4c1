//! The program's subcommands that work on the database: users, tokens, backups, epochs.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_core::wire::{Ask, Content, Cursor, Page, Poll};
use serde_json::{Value, json};

mod support;
use support::{Running, command, send};

const TOKEN: &str = "a-bootstrap-token-of-the-environment";
const PASSWORD: &str = "correct horse battery";

/// Runs a subcommand on the database in `data`: its exit code, standard output and standard error.
fn run(data: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env_clear().env("PORTCULLIS_DATA_DIR", data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended already, without having asked.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn serve(data: &Path) -> Running {
    let mut command = command(data);
    command.env("PORTCULLIS_BOOTSTRAP_TOKEN", TOKEN);
    Running::start(command)
}

/// Calls the admin API as the first operator; the answer must have this status.
#[track_caller]
fn call(server: &Running, method: &str, path: &str, body: &Value, status: u16) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (got, answer) = send(&server.admin, method, path, TOKEN, &body);
    assert_eq!(got, status, "{}", String::from_utf8_lossy(&answer));
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn users_and_tokens_are_created_beside_a_running_server() {
    let data = tempfile::tempdir().unwrap();
    let server = serve(data.path());
    call(&server, "POST", "/v1/organizations", &json!({"name": "acme"}), 201);
    let create = ["user", "create", "ada", "--role", "member", "--organization", "acme", "--password-stdin"];
    let (code, out, log) = run(data.path(), &create, &format!("{PASSWORD}\n"));
    assert_eq!((code, log.as_str()), (0, ""));
    let ada = call(&server, "GET", &format!("/v1/users/{}", out.trim_end()), &Value::Null, 200);
    assert_eq!((&ada["name"], &ada["has_password"]), (&json!("ada"), &json!(true)));
    let session = json!({"name": "ada", "password": PASSWORD});
    assert_eq!(call(&server, "POST", "/v1/sessions", &session, 201)["role"], "member");
    let (code, out, log) = run(data.path(), &["token", "create", "ci", "--user", "ada", "--expires-in", "30"], "");
    assert_eq!((code, log.as_str(), out.lines().count()), (0, "", 1));
    let token = out.trim_end();
    assert!(token.starts_with("pc_adm_"), "{out}");
    assert_eq!(server.call(token), 200);
    assert_eq!(send(&server.admin, "GET", "/v1/gateways", token, "").0, 403, "a member's token is a member's");
    let tokens = call(&server, "GET", "/v1/tokens", &Value::Null, 200);
    let listed = tokens["items"].as_array().unwrap().iter().find(|listed| listed["name"] == "ci").unwrap();
    assert_eq!((&listed["user_name"], listed["expires_at"].is_string()), (&json!("ada"), true));
    assert!(!server.stop("-TERM").1.contains(token));
}

#[test]
fn what_cannot_be_is_said_in_one_line_and_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let missing = data.path().join("nothing");
    for (arguments, code) in [(["backup", "b.db"].as_slice(), 1), (&["epoch", "new"], 1)] {
        assert_eq!(run(&missing, arguments, "").0, code, "{arguments:?}");
    }
    assert_eq!(run(&missing, &["token", "create", "t", "--user", "ada"], "").0, 1);
    assert!(!missing.exists(), "nothing was created");
    let operator = ["user", "create", "root", "--role", "operator"];
    assert_eq!(run(data.path(), &operator, "").0, 0);
    let cases: [(&[&str], &str, i32); 11] = [
        (&operator, "", 1),
        (&["user", "create", "x", "--role", "member"], "", 2),
        (&["user", "create", "x", "--role", "operator", "--organization", "acme"], "", 2),
        (&["user", "create", "x", "--role", "admin", "--organization", "acme"], "", 1),
        (&["user", "create", "", "--role", "operator"], "", 2),
        (&["user", "create", "x", "--role", "operator", "--password-stdin"], "hunter2\n", 2),
        (&["user", "create", "x", "--role", "operator", "--password-stdin"], "two lines of\nhunter2 here\n", 2),
        (&["token", "create", "t", "--user", "nobody"], "", 1),
        (&["token", "create", "t", "--user", "root", "--expires-at", "2020-01-01T00:00:00Z"], "", 2),
        (&["token", "create", "t", "--user", "root", "--expires-at", "soon"], "", 2),
        (&["token", "create", "t", "--user", "root", "--expires-in", "0"], "", 2),
    ];
    for (arguments, input, code) in cases {
        let (got, out, log) = run(data.path(), arguments, input);
        assert_eq!((got, out.as_str()), (code, ""), "{arguments:?} {log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
    for arguments in [["backup", "b.db"], ["restore", "b.db"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).env_clear().env("PORTCULLIS_DATABASE_URL", "postgres://x:hunter2@127.0.0.1:1/x");
        let output = command.output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !log.contains("hunter2"), "{log}");
    }
}

/// What a worker of `gateway` is answered that has come as far as `cursor`.
fn poll(server: &Running, gateway: &str, cursor: Cursor) -> Page {
    let ask = Poll { number: 7, ask: Ask::After { cursor, wait_ms: 0 } };
    let (status, bytes) = send(&server.sync, "GET", &format!("/sync/v1/changes?{ask}"), gateway, "");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    Page::parse(&bytes).unwrap()
}

/// Where a worker is that has applied all there is.
fn head(server: &Running, gateway: &str) -> Cursor {
    let nowhere = Cursor { epoch: portcullis_core::wire::Epoch::from_number(1), revision: 0 };
    let header = poll(server, gateway, nowhere).header;
    match header.content {
        Content::Snapshot { revision, .. } => Cursor { epoch: header.epoch, revision },
        Content::Delta { .. } => panic!("a delta for a worker of another epoch"),
    }
}

#[test]
fn a_restored_backup_is_another_life_in_which_workers_start_over() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup.db"));
    let server = serve(&data);
    call(&server, "POST", "/v1/organizations", &json!({"name": "acme"}), 201);
    let gateway = call(&server, "POST", "/v1/gateways", &json!({"name": "edge"}), 201);
    let gateway = gateway["token"].as_str().unwrap();
    let key = call(&server, "POST", "/v1/keys", &json!({"kind": "serverless", "name": "k"}), 201);
    let key = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let backup = ["backup", file.to_str().unwrap()];
    let restore = ["restore", file.to_str().unwrap()];
    let replace = ["restore", file.to_str().unwrap(), "--replace"];
    assert_eq!(run(&data, &backup, ""), (0, String::new(), String::new()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&data, &backup, "").0, 1, "a file that is there is left as it is");
    call(&server, "DELETE", &key, &Value::Null, 200);
    let old = head(&server, gateway);
    let (code, _, log) = run(&data, &replace, "");
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("stop the control plane"), "{log}");
    assert_eq!(call(&server, "GET", &key, &Value::Null, 200)["status"], "revoked");
    server.stop("-TERM");
    assert!(run(&data, &restore, "").2.contains("--replace"));
    let before = std::fs::read(data.join("portcullis.db")).unwrap();
    let junk = folder.path().join("junk.db");
    std::fs::write(&junk, vec![b'x'; 9_000]).unwrap();
    assert_eq!(run(&data, &["restore", junk.to_str().unwrap(), "--replace"], "").0, 1);
    assert_eq!(std::fs::read(data.join("portcullis.db")).unwrap(), before);
    let (code, epoch, log) = run(&data, &replace, "");
    assert_eq!((code, log.as_str()), (0, ""));
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["portcullis.db"]);
    assert_eq!(std::fs::metadata(data.join("portcullis.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let server = serve(&data);
    assert_eq!(call(&server, "GET", &key, &Value::Null, 200)["status"], "active");
    let page = poll(&server, gateway, old);
    assert!(matches!(page.header.content, Content::Snapshot { part: 0, .. }), "{:?}", page.header);
    assert_eq!((page.header.epoch.to_string().as_str(), page.records.len()), (epoch.trim_end(), 1));
    assert_ne!(page.header.epoch, old.epoch);
    server.stop("-TERM");
    let (code, another, _) = run(&data, &["epoch", "new"], "");
    assert_eq!(code, 0);
    let server = serve(&data);
    assert_eq!(head(&server, gateway).epoch.to_string(), another.trim_end());
    server.stop("-TERM");
    // Into a place where there is nothing yet.
    let elsewhere = folder.path().join("elsewhere");
    assert_eq!(run(&elsewhere, &restore, "").0, 0);
}

/// Runs one of PostgreSQL's own tools.
fn postgres(tool: &str, arguments: &[&str]) {
    let bin = std::env::var_os("PORTCULLIS_TEST_POSTGRES_BIN").expect("run `make test`");
    let output = Command::new(Path::new(&bin).join(tool)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_restored_dump_of_postgresql_is_another_life_as_well() {
    let server_url = std::env::var("PORTCULLIS_TEST_POSTGRES_URL").expect("run `make test`");
    let (address, _) = server_url.rsplit_once('/').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.dump");
    let file = file.to_str().unwrap();
    let database = |name: &str| {
        let name = format!("{name}_{}", std::process::id());
        postgres("psql", &["--no-psqlrc", "--dbname", &server_url, "--command", &format!("CREATE DATABASE {name}")]);
        format!("{address}/{name}")
    };
    let start = |url: &str| {
        let mut command = command(folder.path());
        command.env("PORTCULLIS_BOOTSTRAP_TOKEN", TOKEN).env("PORTCULLIS_DATABASE_URL", url);
        Running::start(command)
    };
    let (dumped, restored) = (database("dumped"), database("restored"));
    let server = start(&dumped);
    call(&server, "POST", "/v1/organizations", &json!({"name": "acme"}), 201);
    let gateway = call(&server, "POST", "/v1/gateways", &json!({"name": "edge"}), 201);
    let gateway = gateway["token"].as_str().unwrap();
    let key = call(&server, "POST", "/v1/keys", &json!({"kind": "serverless", "name": "k"}), 201);
    let key = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    postgres("pg_dump", &["--format=custom", "--file", file, "--dbname", &dumped]);
    call(&server, "DELETE", &key, &Value::Null, 200);
    let old = head(&server, gateway);
    server.stop("-TERM");
    postgres("pg_restore", &["--dbname", &restored, file]);
    let mut epoch = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    epoch.args(["epoch", "new"]).env_clear().env("PORTCULLIS_DATABASE_URL", &restored);
    let epoch = epoch.output().unwrap();
    assert!(epoch.status.success(), "{}", String::from_utf8_lossy(&epoch.stderr));
    let server = start(&restored);
    assert_eq!(call(&server, "GET", &key, &Value::Null, 200)["status"], "active");
    let page = poll(&server, gateway, old);
    assert!(matches!(page.header.content, Content::Snapshot { part: 0, .. }), "{:?}", page.header);
    assert_eq!(page.header.epoch.to_string(), String::from_utf8(epoch.stdout).unwrap().trim_end());
    assert_ne!(page.header.epoch, old.epoch);
    server.stop("-TERM");
}
