//! The clients that are written in Python: JSON in, JSON out.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::house::program;
use crate::raw::{Answer, Fields};

/// Runs `tests/clients/<script>` with `input` and returns what it printed.
pub async fn run(script: &str, input: &Value) -> Value {
    run_file(&Path::new("clients").join(script), input).await
}

/// Runs `tests/<path>` with `input` and returns what it printed. What it says besides that goes where this process does
/// so.
pub async fn run_file(path: &Path, input: &Value) -> Value {
    let script = path.display();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut child = Command::new(program("PORTCULLIS_PYTHON"))
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("its standard input");
    stdin.write_all(input.to_string().as_bytes()).await.expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{script} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// Sends each request over HTTP/2 in clear text, unchecked, on a connection of its own.
pub async fn send_h2(address: SocketAddr, requests: &[Fields]) -> Vec<Answer> {
    let input = json!({"host": address.ip().to_string(), "port": address.port(), "requests": requests});
    let answers = run("raw_h2.py", &input).await;
    let answers = answers.as_array().expect("a list").iter();
    answers
        .map(|answer| Answer {
            status: answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()),
            headers: serde_json::from_value(answer["headers"].clone()).unwrap_or_default(),
            body: answer["body"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}
