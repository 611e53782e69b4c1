//! Single keys are deleted, one at a time, while a thousand workers wait.

use std::time::{Duration, Instant};

use portcullis_tests::database::Database;
use tokio::time::MissedTickBehavior;

use super::{Meter, RECEIPT_WAIT, Settings, reach_of, report_agreement, report_receipts, report_traffic};
use crate::estate::Estate;
use crate::fleet::Size;
use crate::report::{Section, grouped};

/// A delete begins so often, or when the one before was answered if that is later.
const EVERY: Duration = Duration::from_millis(100);
/// How many keys there are besides those that are deleted.
const KEYS_KEPT: u32 = 1_000;

/// Measures.
pub async fn run(settings: Settings) -> Section {
    let rounds = settings.duration.as_millis() / EVERY.as_millis();
    let keys = KEYS_KEPT + u32::try_from(rounds).expect("a short run");
    let mut estate = Estate::build(Database::Sqlite, keys).await;
    let fleet = estate.workers(Size { workers: settings.workers, real: settings.real }, "worker");
    let title =
        format!("Single deletes: {} workers, SQLite, one every {} ms", grouped(settings.workers), EVERY.as_millis());
    let mut section = Section::new("deletes", title);
    let head = estate.head().await;
    section.count("absent", "workers that never got the first snapshot", fleet.reach(head, settings.patience).await);

    let (before, meter) = (fleet.totals(), Meter::start(estate.process()));
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (end, mut deletions) = (Instant::now() + settings.duration, Vec::new());
    while Instant::now() < end {
        ticks.tick().await;
        deletions.push(estate.delete_one(RECEIPT_WAIT).await);
    }
    let last = deletions.last().map_or(0, |deletion| deletion.revision);
    fleet.reach(last, settings.patience).await;

    let (times, missing) = reach_of(&fleet, &deletions);
    section.count("deletes", "deletes", deletions.len());
    section.times("acknowledged", "from a DELETE being sent to a worker's acknowledgement", &times);
    section.count("missing", "acknowledgements that never came", missing);
    report_receipts(&mut section, &deletions);
    let each = meter.cpu() / u32::try_from(deletions.len()).expect("a short run");
    section.time("cpu_per_delete", "control plane, processor time for each delete", each);
    meter.report(&mut section);
    report_traffic(&mut section, &fleet, before);
    report_agreement(&mut section, &fleet, &mut estate).await;
    section
}
