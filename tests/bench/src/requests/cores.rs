//! Which cores an Envoy, its authorization service and the generator run on: as many as the Envoy has workers are its own,
//! where that leaves one for the generator. The service has one besides where there are enough, and otherwise those of its
//! Envoy: on the generator's, it would be slowed down by what is no part of the measurement.

use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::process::Process;

/// The last a process can come: it runs when nothing else on its core wants to.
const LAST: i32 = 19;

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
        self.0.len() > workers as usize
    }

    /// Keeps all threads of an Envoy with this many workers on its cores.
    pub fn pin(&self, envoy: Process, workers: u32) {
        let set = self.of_envoy(workers);
        envoy.threads().into_iter().for_each(|thread| pin(thread, &set));
    }

    /// Keeps the authorization service of such an Envoy where it belongs.
    pub fn pin_service(&self, service: Process, workers: u32) {
        let own = workers as usize;
        let has_own = self.0.len() > own + 1;
        let set = if has_own { self.set(|place| place == own) } else { self.of_envoy(workers) };
        service.threads().into_iter().for_each(|thread| pin(thread, &set));
    }

    /// Leaves the core of an Envoy with one worker to that worker. The rest of it, and another process, go to the
    /// generator's core and come last there.
    pub fn isolate_worker(&self, envoy: Process, other: Process) {
        let set = self.set(|place| place == self.0.len() - 1);
        let rest = envoy.threads().into_iter().filter(|thread| !envoy.name_of(*thread).starts_with("wrk:"));
        for thread in rest.chain(other.threads()) {
            pin(thread, &set);
            setpriority_process(Pid::from_raw(thread), LAST).expect("a thread that comes last");
        }
    }

    /// Keeps this thread away from the cores of an Envoy with this many workers.
    pub fn keep_off(&self, workers: u32) {
        let last = self.0.len() - 1;
        let set = self.set(|place| !self.suffice(workers) || place == last);
        sched_setaffinity(None, &set).expect("the generator is pinned");
    }

    fn of_envoy(&self, workers: u32) -> CpuSet {
        self.set(|place| !self.suffice(workers) || place < workers as usize)
    }

    fn set(&self, choose: impl Fn(usize) -> bool) -> CpuSet {
        let mut set = CpuSet::new();
        self.0.iter().enumerate().filter(|(place, _)| choose(*place)).for_each(|(_, core)| set.set(*core));
        set
    }
}

fn pin(thread: i32, set: &CpuSet) {
    sched_setaffinity(Pid::from_raw(thread), set).expect("a thread is pinned");
}
