//! `make run` as a newcomer meets it: the tour works as pasted, Ctrl-C leaves nothing behind, and the next start
//! keeps the keys.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use portcullis_demo::ports;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const OPERATOR_TOKEN: &str = "operator-token-of-the-make-run-test";
const START_PATIENCE: Duration = Duration::from_secs(180);
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// A `make run` on ports of its own.
struct Run {
    child: Child,
    printed: PathBuf,
    ports: Vec<u16>,
    data: PathBuf,
}

impl Run {
    /// Starts it, in a process group of its own as a shell would, and waits for the end of the tour.
    async fn start(folder: &Path) -> Self {
        let ports = ports::free_ports(5).unwrap();
        let printed = folder.join("printed.txt");
        let output = fs::File::create(&printed).unwrap();
        let data = folder.join("data");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Whoever runs the tests may have been started in the background of a script, which ignores Ctrl-C.
        let mut make = Command::new("env");
        make.args(["--default-signal=INT,QUIT", "make", "run"])
            .current_dir(root)
            // This test itself runs below a make, whose state is not for this one.
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("MAKELEVEL")
            .env("PORTCULLIS_LISTEN", format!("127.0.0.1:{}", ports[0]))
            .env("PORTCULLIS_SYNC_LISTEN", format!("127.0.0.1:{}", ports[1]))
            .env("ENVOY_PORT", ports[2].to_string())
            .env("ENVOY_ADMIN_PORT", ports[3].to_string())
            .env("UPSTREAM_PORT", ports[4].to_string())
            .env("PORTCULLIS_DATA_DIR", &data)
            .env("PORTCULLIS_BOOTSTRAP_TOKEN", OPERATOR_TOKEN)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true);
        forget_cargo(&mut make);
        let child = make.spawn().unwrap();
        let mut run = Self { child, printed, ports, data };
        let start = Instant::now();
        while !run.printed().contains("Ctrl-C") {
            assert!(run.child.try_wait().unwrap().is_none(), "make run ended: {}", run.printed());
            assert!(start.elapsed() < START_PATIENCE, "no tour after {START_PATIENCE:?}: {}", run.printed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        run
    }

    fn printed(&self) -> String {
        fs::read_to_string(&self.printed).unwrap()
    }

    /// The commands of the tour, as a person would paste them.
    fn tour(&self) -> String {
        let printed = self.printed();
        let start = printed.find("# 1.").expect("a tour");
        printed[start..].to_owned()
    }

    async fn call(&self, key: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/v1/models", self.ports[2]);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).bearer_auth(key).send().await.unwrap().status().as_u16()
    }

    async fn issue(&self) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/v1/keys", self.ports[0]);
        let body = json!({"kind": "serverless", "name": "kept"});
        client.post(url).bearer_auth(OPERATOR_TOKEN).json(&body).send().await.unwrap().json().await.unwrap()
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().expect("it runs");
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }

    /// Waits for its end and checks that nothing of it is left.
    async fn assert_gone(mut self) {
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it still runs after {STOP_PATIENCE:?}: {}", self.printed())).unwrap();
        // What make leaves to itself may take a moment longer than make.
        let start = Instant::now();
        while !processes_with(&self.data).is_empty() {
            let left = processes_with(&self.data);
            assert!(start.elapsed() < STOP_PATIENCE, "left behind: {left:?}\n{}", self.printed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for port in &self.ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
        }
        // SQLite removes these when the last connection is closed in order.
        for lock in ["portcullis.db-wal", "portcullis.db-shm"] {
            assert!(!self.data.join(lock).exists(), "{lock} is left");
        }
    }
}

/// Takes away what cargo tells a test of its package: another cargo that is told the same builds anew whatever depends
/// on it.
fn forget_cargo(command: &mut Command) {
    let kept = ["CARGO_HOME", "CARGO_TARGET_DIR"];
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && !kept.contains(&name.as_str())) {
        command.env_remove(name);
    }
}

/// The command lines of all processes whose environment names this data directory.
fn processes_with(data: &Path) -> Vec<String> {
    let needle = format!("PORTCULLIS_DATA_DIR={}", data.display());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    processes
        .filter(|path| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == needle.as_bytes())
        })
        .map(|path| String::from_utf8_lossy(&fs::read(path.join("cmdline")).unwrap_or_default()).replace('\0', " "))
        .filter(|line| !line.is_empty())
        .collect()
}

async fn paste(tour: &str) -> String {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(tour).env("PORTCULLIS_BOOTSTRAP_TOKEN", OPERATOR_TOKEN).env_remove("MAKEFLAGS");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = shell.current_dir(root).stdin(Stdio::null()).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the tour failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn make_run_shows_a_tour_that_works_stops_cleanly_and_keeps_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path()).await;
    let pasted = paste(&run.tour()).await;
    for seen in [
        "chat.completion",
        "data: [DONE]",
        "401 Unauthorized",
        "insufficient_scope",
        "429 Too Many Requests",
        "retry-after: 1",
        "\"cost_micros\"",
        "rate_limited",
        "invalid_api_key",
        "revoked",
    ] {
        assert!(pasted.contains(seen), "the tour shows no {seen}: {pasted}");
    }
    let issued = run.issue().await;
    let key = issued["key"].as_str().expect("a key").to_owned();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(run.call(&key).await, 200);
    // A Ctrl-C reaches every process of the terminal's foreground group.
    kill_process_group(run.pid(), Signal::INT).unwrap();
    run.assert_gone().await;

    // A program that started make knows make alone: an editor's stop button, a supervisor.
    for signal in [Signal::INT, Signal::TERM] {
        let run = Run::start(folder.path()).await;
        assert_eq!(run.call(&key).await, 200, "the key of the first run");
        kill_process(run.pid(), signal).unwrap();
        run.assert_gone().await;
    }
}
