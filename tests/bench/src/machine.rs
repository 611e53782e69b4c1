//! What a figure was measured on, without which it means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The machine and the versions, each with its name.
#[derive(Debug)]
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// This machine, this build, and the programs at hand.
    pub fn describe(control_plane: &Path) -> Self {
        let uname = rustix::system::uname();
        let kernel = format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let processor = field("/proc/cpuinfo", "model name");
        let memory = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 20;
        let postgres = std::env::var_os("PORTCULLIS_TEST_POSTGRES_BIN")
            .map(|directory| said(Command::new(Path::new(&directory).join("postgres")).arg("--version")));
        let mut facts = vec![
            ("machine", format!("{cores} cores ({processor}), {memory} GiB of memory, {kernel}")),
            ("control plane", said(Command::new(control_plane).arg("--version"))),
            ("commit", said(Command::new("git").args(["describe", "--always", "--dirty"]))),
            ("compiler", said(Command::new("rustc").arg("--version"))),
        ];
        let envoy = std::env::var_os("ENVOY").map(|envoy| said(Command::new(envoy).arg("--version")));
        facts.extend(envoy.map(|version| ("Envoy", version.rsplit("version: ").next().unwrap_or_default().to_owned())));
        facts.extend(postgres.map(|version| ("PostgreSQL", version)));
        facts.push(("command", std::env::args().collect::<Vec<_>>().join(" ")));
        Self(facts)
    }

    /// For people, one fact a line.
    pub fn print(&self) {
        for (name, fact) in &self.0 {
            println!("- {name}: {fact}");
        }
    }

    /// The machine, Envoy's version and the commit in a line, below a picture.
    pub fn line(&self) -> String {
        let facts = self.0.iter().filter(|(name, _)| ["machine", "Envoy", "commit"].contains(name));
        let words = facts.map(|(name, fact)| match *name {
            "machine" => fact.clone(),
            // Between the commit that it was built from and how.
            "Envoy" => format!("Envoy {}", fact.split('/').nth(1).unwrap_or(fact)),
            name => format!("{name} {fact}"),
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        self.0.iter().map(|(name, fact)| ((*name).to_owned(), json!(fact))).collect()
    }
}

/// The first value of `field` in a file of lines `field: value`.
fn field(file: &str, field: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.split_once(':'));
    value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// What a program says of itself; nothing is measured by it, so its absence is no error.
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
