//! Child processes: start one with a log file, see whether it lives, stop it.
//!
//! Each child can have its own process group, so that Ctrl-C in a terminal reaches only the parent, which then stops the
//! children in the right order. Stopping is SIGTERM, a bounded wait, then SIGKILL, always to the one process by its id. A
//! dropped [`ChildProcess`] is killed at once.
//!
//! A child inherits the environment except for every `PORTCULLIS_…` variable: it gets those of its [`Launch`] only, so
//! that no process holds a secret that it has no use for.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a child may take to end after SIGTERM.
pub const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// How many lines of a log explain a failure.
pub const LOG_TAIL_LINES: usize = 20;

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its name in messages.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, besides what is inherited (see the module).
    pub environment: Vec<(String, OsString)>,
    /// Where its output goes; appended to.
    pub log: PathBuf,
    /// How it is tied to this process.
    pub tie: Tie,
}

/// What happens to a child when its parent is interrupted or dies.
#[derive(Clone, Debug)]
pub enum Tie {
    /// It is in the parent's process group: a Ctrl-C in the terminal ends both. For tests.
    Group,
    /// It has its own group, and ends when the parent's thread does; the path is that of a program with the `guard`
    /// command (see [`crate::guard`]). For the runner.
    Guarded(PathBuf),
}

/// A child could not be started, or did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// No log file, or no such program.
    #[error("cannot start {name} ({program}): {error}")]
    Start {
        /// Which child.
        name: &'static str,
        /// Its program, or its log file.
        program: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// The operating system would not say how it ended.
    #[error("cannot wait for {name}: {error}")]
    Wait {
        /// Which child.
        name: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
}

/// A child process. Dropping it kills it.
#[derive(Debug)]
pub struct ChildProcess {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl ChildProcess {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`ChildError::Start`].
    pub fn start(launch: &Launch) -> Result<Self, ChildError> {
        let failed = |path: &Path| {
            let program = path.display().to_string();
            move |error| ChildError::Start { name: launch.name, program, error }
        };
        if let Some(directory) = launch.log.parent() {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        let log = OpenOptions::new().append(true).create(true).open(&launch.log).map_err(failed(&launch.log))?;
        let log_too = log.try_clone().map_err(failed(&launch.log))?;
        let child = command(launch)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed(&launch.program))?;
        Ok(Self { name: launch.name, log: launch.log.clone(), child })
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id, while it has not been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, for an error message.
    pub fn log_tail(&self) -> String {
        tail(&self.log, LOG_TAIL_LINES)
    }

    /// Waits until it ends by itself. Safe to cancel.
    ///
    /// # Errors
    ///
    /// [`ChildError::Wait`].
    pub async fn ended(&mut self) -> Result<ExitStatus, ChildError> {
        self.child.wait().await.map_err(|error| ChildError::Wait { name: self.name, error })
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        // The id is ours until the child is waited for, so this can hit no stranger. A child that ended meanwhile makes
        // the call fail, which is what was wanted.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }

    /// SIGTERM, at most [`STOP_PATIENCE`], then SIGKILL. Ends with the child gone.
    ///
    /// # Errors
    ///
    /// [`ChildError::Wait`].
    pub async fn stop(&mut self) -> Result<ExitStatus, ChildError> {
        self.signal(Signal::TERM);
        if let Ok(ended) = tokio::time::timeout(STOP_PATIENCE, self.ended()).await {
            return ended;
        }
        self.kill().await
    }

    /// SIGKILL. Ends with the child gone.
    ///
    /// # Errors
    ///
    /// [`ChildError::Wait`].
    pub async fn kill(&mut self) -> Result<ExitStatus, ChildError> {
        self.signal(Signal::KILL);
        self.ended().await
    }
}

fn command(launch: &Launch) -> Command {
    let mut command = match &launch.tie {
        Tie::Group => Command::new(&launch.program),
        Tie::Guarded(guard) => {
            let mut command = Command::new(guard);
            command.process_group(0);
            command.arg("guard").arg("--parent").arg(std::process::id().to_string()).arg("--").arg(&launch.program);
            command
        }
    };
    command.args(&launch.arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The last `lines` lines of a file; what went wrong with reading, where something did.
pub fn tail(path: &Path, lines: usize) -> String {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return format!("(cannot read {}: {error})", path.display()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut last = VecDeque::with_capacity(lines);
    for line in text.lines() {
        if last.len() == lines {
            last.pop_front();
        }
        last.push_back(line);
    }
    last.into_iter().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, directory: &Path) -> Launch {
        Launch {
            name: "shell",
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("PORTCULLIS_TEST_ONLY".to_owned(), "given".into())],
            log: directory.join("log").join("shell.log"),
            tie: Tie::Group,
        }
    }

    #[tokio::test]
    async fn output_goes_to_the_log_and_the_environment_is_as_given() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo out; echo err >&2; echo $PORTCULLIS_TEST_ONLY";
        let mut child = ChildProcess::start(&shell(script, directory.path())).unwrap();
        assert!(child.ended().await.unwrap().success());
        assert_eq!(child.log_tail(), "out\nerr\ngiven");
    }

    #[tokio::test]
    async fn stop_lets_a_child_end_in_its_own_way() {
        let directory = tempfile::tempdir().unwrap();
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
        let mut child = ChildProcess::start(&shell(script, directory.path())).unwrap();
        while child.log_tail() != "ready" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(child.stop().await.unwrap().code(), Some(7));
        assert_eq!(child.id(), None);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let mut launch = shell("", directory.path());
        launch.program = "/nonexistent/envoy".into();
        let error = ChildProcess::start(&launch).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/envoy"), "{error}");
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(&path, "1\n2\n3\n").unwrap();
        assert_eq!(tail(&path, 2), "2\n3");
        assert!(tail(&directory.path().join("none"), 2).contains("none"));
    }
}
