//! The program as it runs: started, called over the network, stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// `portcullis serve` on the database in `data`, on ports that are free.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .arg("serve")
        .env_clear()
        .env("PORTCULLIS_DATA_DIR", data)
        .env("PORTCULLIS_LISTEN", "127.0.0.1:0")
        .env("PORTCULLIS_SYNC_LISTEN", "127.0.0.1:0")
        .env("PORTCULLIS_LOG_FORMAT", "json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub struct Running {
    child: Child,
    pub admin: String,
    pub sync: String,
    log: BufReader<ChildStderr>,
    logged: String,
}

impl Running {
    /// Starts the program and waits until it serves.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, admin: String::new(), sync: String::new(), log, logged: String::new() };
        while running.admin.is_empty() {
            let mut line = String::new();
            assert!(running.log.read_line(&mut line).unwrap() > 0, "it ended: {}", running.logged);
            running.logged.push_str(&line);
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "serving" {
                event["admin"].as_str().unwrap().clone_into(&mut running.admin);
                event["sync"].as_str().unwrap().clone_into(&mut running.sync);
            }
        }
        running
    }

    /// The status of a list of keys with this token.
    pub fn call(&self, token: &str) -> u16 {
        assert_ne!(self.admin, self.sync);
        send(&self.admin, "GET", "/v1/keys", token, "").0
    }

    /// Stops it with a signal. Returns what it wrote to standard output and to the log.
    pub fn stop(mut self, signal: &str) -> (String, String) {
        let started = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert!(started.elapsed() < Duration::from_secs(5));
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.log.read_to_string(&mut self.logged).unwrap();
        (out, std::mem::take(&mut self.logged))
    }
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the body of a call with this token.
pub fn send(address: &str, method: &str, path: &str, token: &str, body: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
}
