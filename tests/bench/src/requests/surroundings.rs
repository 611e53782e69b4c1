//! What else there is to say of a run: Envoys that wait, and who else used the machine.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::cores::Cores;
use super::gate::Gate;
use crate::process::{Process, cpu_of_all};
use crate::report::Section;

/// How long an idle Envoy is looked at.
const IDLE_SECONDS: u32 = 2;

/// What else there is to say of a run.
#[derive(Debug)]
pub struct Surroundings {
    /// The processor time of each Envoy, by its name, in one second without requests.
    pub idle: Vec<(String, Duration)>,
    /// How many cores processes other than the Envoys, their services and the generator have used.
    pub others: f64,
    /// The cores.
    pub cores: Arc<Cores>,
}

impl Surroundings {
    /// As a table.
    pub fn section(&self) -> Section {
        let mut section = Section::new("surroundings", "Surroundings");
        for (name, idle) in &self.idle {
            let us = idle.as_secs_f64() * 1e6;
            let label = format!("idle Envoy ({name}), processor time in a second");
            section.row(&format!("idle/{name}"), label, format!("{us:.0} µs"), json!({"us": us}));
        }
        let text = format!("{:.2} cores", self.others);
        let label = "everything but the Envoys, their services and the generator";
        section.row("others", label, text, json!({"cores": self.others}));
        for workers in [1, 2] {
            let pinned = self.cores.suffice(workers);
            let text = if pinned { "on cores of its own" } else { "shares all cores with the generator" };
            section.row(&format!("pinned/{workers}"), format!("Envoy with {workers} workers"), text, json!(pinned));
        }
        section
    }
}

/// The processor time of each Envoy, in one second without requests.
pub fn idle(gates: &[Gate]) -> Vec<(String, Duration)> {
    let used = || gates.iter().map(|gate| gate.process().cpu_of_threads());
    let before = used().collect::<Vec<_>>();
    std::thread::sleep(Duration::from_secs(IDLE_SECONDS.into()));
    let names = gates.iter().map(|gate| format!("{} {}", gate.chain.name, gate.workers));
    let idle = used().zip(before).map(|(after, before)| after.saturating_sub(before) / IDLE_SECONDS);
    names.zip(idle).collect()
}

/// What has been used by no Envoy, no service of one and not the generator.
pub fn used_by_others(gates: &[Gate]) -> Duration {
    let processes = gates.iter().flat_map(|gate| gate.service().into_iter().chain([gate.process()]));
    let ours = processes.chain([Process::own()]).map(Process::cpu).sum();
    cpu_of_all().saturating_sub(ours)
}
