//! `push`: how soon a change is with a thousand workers, and what that costs.
//!
//! | phase | what happens |
//! |---|---|
//! | [`deletes`] | single keys are deleted by the admin API, at a modest rate |
//! | [`flood`] | keys change by the thousand while one is deleted now and then |
//! | [`restart`] | the control plane is killed and started again |
//! | [`newcomers`] | workers that have nothing come all at once |
//!
//! Each phase has a control plane of its own with a new database. What is late is reported as late: nothing here fails
//! because a machine is slow, and every wait is bounded by [`Settings::patience`].

pub mod deletes;
pub mod flood;
pub mod newcomers;
pub mod restart;

use std::time::{Duration, Instant};

use portcullis_tests::measure::Distribution;

use crate::estate::{Deletion, Estate};
use crate::fleet::{Fleet, Totals};
use crate::process::{Process, cpu_of_all};
use crate::report::{Section, grouped};

/// How large it all is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many workers there are.
    pub workers: usize,
    /// How many of them are real ones.
    pub real: usize,
    /// How long the deletes and the flood go on.
    pub duration: Duration,
    /// How long anything is waited for.
    pub patience: Duration,
}

/// The size of a fleet that was there before something happened, and tells how it fares.
const OBSERVERS: usize = 100;

/// How long a DELETE waits for its receipt where that is of interest.
const RECEIPT_WAIT: Duration = Duration::from_secs(8);

/// What was used from one instant on.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    control_plane: Process,
    control_plane_cpu: Duration,
    generator_cpu: Duration,
    all_cpu: Duration,
    memory_before: u64,
}

impl Meter {
    /// Starts now.
    pub fn start(control_plane: Process) -> Self {
        control_plane.reset_peak();
        Self {
            started: Instant::now(),
            control_plane,
            control_plane_cpu: control_plane.cpu(),
            generator_cpu: Process::own().cpu(),
            all_cpu: cpu_of_all(),
            memory_before: control_plane.resident(),
        }
    }

    /// Processor time of the control plane.
    pub fn cpu(&self) -> Duration {
        self.control_plane.cpu().saturating_sub(self.control_plane_cpu)
    }

    /// Reports processor time and memory until now.
    pub fn report(&self, section: &mut Section) {
        let wall = self.started.elapsed();
        section.cpu("control_plane_cpu", "control plane, processor time", self.cpu(), wall);
        let generator = Process::own().cpu().saturating_sub(self.generator_cpu);
        section.cpu("generator_cpu", "the generator's, on the same cores", generator, wall);
        let others = cpu_of_all().saturating_sub(self.all_cpu).saturating_sub(self.cpu()).saturating_sub(generator);
        section.cpu("other_cpu", "everything else on this machine, PostgreSQL included", others, wall);
        let (peak, after) = (self.control_plane.peak(), self.control_plane.resident());
        let memory = [("before", self.memory_before), ("most", peak), ("after", after)];
        section.bytes("control_plane_memory", "control plane, memory", &memory);
    }
}

/// Reports what the workers got since `before`, and what went wrong.
fn report_traffic(section: &mut Section, fleet: &Fleet, before: Totals) {
    let totals = fleet.totals();
    section.count("answers", "answers to polls", totals.answers - before.answers);
    section.bytes("sent", "sent to workers", &[("", totals.bytes - before.bytes)]);
    section.count("failures", "polls that failed", totals.failures - before.failures);
    if let Some(failure) = fleet.a_failure().filter(|_| totals.failures > before.failures) {
        section.row("a_failure", "one of them", failure.clone(), failure.into());
    }
}

/// Reports whether the real workers hold what the database holds.
async fn report_agreement(section: &mut Section, fleet: &Fleet, estate: &mut Estate) {
    let live = estate.live_digests().await;
    let (keys, real) = (live.len(), fleet.size().real);
    let disagreeing = fleet.disagreeing(live).await;
    let text = format!("{disagreeing} of {real}, over {} keys", grouped(keys));
    section.row("disagreeing", "real workers that differ from the database", text, disagreeing.into());
}

/// How long each worker took to acknowledge each deletion, from the request being sent; and how many never did.
fn reach_of(fleet: &Fleet, deletions: &[Deletion]) -> (Distribution, usize) {
    let times = deletions.iter().flat_map(|deletion| fleet.times(deletion.sent, deletion.revision));
    let times = Distribution::of(times);
    let missing = deletions.len() * fleet.size().workers - times.count();
    (times, missing)
}

/// Reports what the receipts of these deletions say, if there are any.
fn report_receipts(section: &mut Section, deletions: &[Deletion]) {
    let answers = Distribution::of(deletions.iter().map(|deletion| deletion.answered - deletion.sent));
    section.times("answered", "from a DELETE to its answer", &answers);
    let receipts = deletions.iter().map(|deletion| &deletion.receipt).filter(|receipt| receipt.is_object());
    let receipts = receipts.collect::<Vec<_>>();
    if receipts.is_empty() {
        return;
    }
    let elapsed = receipts.iter().filter_map(|receipt| receipt["elapsed_ms"].as_u64()).map(Duration::from_millis);
    section.times("elapsed", "what the receipts say it took", &Distribution::of(elapsed));
    let complete = receipts.iter().filter(|receipt| receipt["status"] == "complete").count();
    section.count("complete", "receipts that say complete", complete);
}
