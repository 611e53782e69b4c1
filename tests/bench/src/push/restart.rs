//! The control plane is killed and started again while all workers are connected.

use std::time::Instant;

use portcullis_tests::database::Database;
use portcullis_tests::measure::Distribution;

use super::{RECEIPT_WAIT, Settings, reach_of, report_agreement, report_receipts, report_traffic};
use crate::estate::Estate;
use crate::fleet::Size;
use crate::report::{Section, grouped};

/// How many keys there are.
const KEYS: u32 = 1_000;
/// How often it is killed.
const ROUNDS: usize = 3;

/// Measures.
pub async fn run(settings: Settings) -> Section {
    let mut estate = Estate::build(Database::Sqlite, KEYS).await;
    let fleet = estate.workers(Size { workers: settings.workers, real: settings.real }, "worker");
    let title = format!("Restart: {} workers, SQLite, killed {ROUNDS} times", grouped(settings.workers));
    let mut section = Section::new("restart", title);
    let head = estate.head().await;
    section.count("absent", "workers that never got the first snapshot", fleet.reach(head, settings.patience).await);

    let before = fleet.totals();
    let (mut healthy, mut returns, mut deletions, mut peaks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    for _ in 0..ROUNDS {
        let killed = Instant::now();
        estate.house.kill_control_plane().await;
        estate.house.start_control_plane().await;
        healthy.push(killed.elapsed());
        // Counted from the process's start.
        let process = estate.process();
        let deletion = estate.delete_one(RECEIPT_WAIT).await;
        fleet.reach(deletion.revision, settings.patience).await;
        returns.extend(fleet.returns(killed));
        deletions.push(deletion);
        peaks.push(process.peak());
        cpu.push(process.cpu());
    }
    section.times("healthy", "from the kill until it is healthy again", &Distribution::of(healthy));
    let missing = ROUNDS * settings.workers - returns.len();
    section.times("returned", "from the kill to a worker's next poll", &Distribution::of(returns));
    section.count("lost", "workers that never came back", missing);
    let (times, missing) = reach_of(&fleet, &deletions);
    section.times("acknowledged", "from a DELETE as soon as it is healthy to a worker's acknowledgement", &times);
    section.count("missing", "acknowledgements that never came", missing);
    report_receipts(&mut section, &deletions);
    section.times("cpu", "control plane, processor time until all had acknowledged", &Distribution::of(cpu));
    section.bytes("peak", "control plane, most memory", &[("", peaks.into_iter().max().unwrap_or(0))]);
    report_traffic(&mut section, &fleet, before);
    report_agreement(&mut section, &fleet, &mut estate).await;
    section
}
