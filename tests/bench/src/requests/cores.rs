//! Which cores an Envoy and the generator run on: as many as the Envoy has workers are its own, where that leaves one for
//! the generator.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::process::Process;

/// The cores that this process may use.
#[derive(Debug)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Those.
    pub fn usable() -> Self {
        let set = sched_getaffinity(None).expect("the cores of this process");
        Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
    }

    /// Whether an Envoy with this many workers has cores of its own.
    pub fn suffice(&self, workers: u32) -> bool {
        self.0.len() > usize::try_from(workers).unwrap_or(usize::MAX)
    }

    /// Keeps all threads of an Envoy with this many workers on its cores.
    pub fn pin(&self, envoy: Process, workers: u32) {
        let set = self.set(|place| !self.suffice(workers) || u32::try_from(place).is_ok_and(|place| place < workers));
        for thread in envoy.threads() {
            sched_setaffinity(Pid::from_raw(thread), &set).expect("a thread of Envoy is pinned");
        }
    }

    /// Keeps this thread away from the cores of an Envoy with this many workers.
    pub fn keep_off(&self, workers: u32) {
        let last = self.0.len() - 1;
        let set = self.set(|place| !self.suffice(workers) || place == last);
        sched_setaffinity(None, &set).expect("the generator is pinned");
    }

    fn set(&self, choose: impl Fn(usize) -> bool) -> CpuSet {
        let mut set = CpuSet::new();
        self.0.iter().enumerate().filter(|(place, _)| choose(*place)).for_each(|(_, core)| set.set(*core));
        set
    }
}
