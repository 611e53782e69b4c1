//! Ten thousand keys change every second, and now and then one is deleted.
//!
//! No admin API could be called that often on this machine. Changes are committed in batches, straight into the database,
//! as the storage layer commits them ([`batches`]), over a *hot set* of keys: what two cores can render and carry to a
//! thousand workers is bounded, and what makes it fit is that a delta says each key once, however often it changed.

mod batches;

use std::time::{Duration, Instant};

use portcullis_tests::database::Database;
use portcullis_tests::measure::Distribution;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::{Meter, Settings, reach_of, report_agreement, report_traffic};
use crate::estate::{Deletion, Estate};
use crate::fleet::{Fleet, Size};
use crate::report::{Section, grouped, to_f64};

use batches::Batches;

/// How many keys change in a second.
const RATE: u32 = 10_000;
/// How many of them in one transaction, and so in one revision.
const BATCH: u32 = 100;
/// How many keys there are besides the hot set.
const KEYS: u32 = 1_000;
/// A delete begins so long after the one before was acknowledged by all.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the flood goes, and over how many keys.
#[derive(Debug, Clone)]
pub struct Flood {
    /// The database's name.
    pub name: &'static str,
    /// The database.
    pub database: Database,
    /// How many keys change again and again.
    pub hot: u32,
}

/// What came of committing.
struct Committed {
    revisions: u32,
    first: Instant,
    last: Instant,
    head: u64,
}

/// Measures.
pub async fn run(settings: Settings, flood: Flood) -> Section {
    let Flood { name, database, hot } = flood;
    let mut estate = Estate::build(database, KEYS + hot).await;
    let hot_keys = estate.keys.drain(..hot as usize).collect::<Vec<_>>();
    let fleet = estate.workers(Size { workers: settings.workers, real: settings.real }, "worker");
    let title = format!(
        "Flood: {} changes a second for {} s over a hot set of {} keys, {} in a transaction, {} workers, {name}",
        grouped(RATE as usize),
        settings.duration.as_secs(),
        grouped(hot as usize),
        grouped(BATCH as usize),
        grouped(settings.workers)
    );
    let mut section = Section::new(format!("flood_{}_{hot}", name.to_lowercase()), title);
    let head = estate.head().await;
    section.count("absent", "workers that never got the first snapshot", fleet.reach(head, settings.patience).await);

    let batches = Batches::new(&estate, &hot_keys).await;
    let (before, meter) = (fleet.totals(), Meter::start(estate.process()));
    let mut committing = tokio::spawn(commit(batches, settings.duration));
    let (mut memory, mut deletions) = (Vec::new(), Vec::new());
    let committed = loop {
        tokio::select! {
            committed = &mut committing => break committed.expect("the flood ends"),
            () = tokio::time::sleep(PAUSE) => {}
        }
        memory.push(estate.process().resident());
        delete_in_between(&mut estate, &fleet, settings, &mut deletions).await;
    };
    let late = fleet.reach(committed.head, settings.patience).await;

    report_commits(&mut section, &committed);
    let converged = Distribution::of(fleet.times(committed.last, committed.head));
    section.times("converged", "from the last commit to a worker's acknowledgement of it", &converged);
    section.count("late", "workers that never acknowledged it", late);
    let (times, missing) = reach_of(&fleet, &deletions);
    section.times("acknowledged", "meanwhile, from a DELETE to a worker's acknowledgement", &times);
    section.count("missing", "acknowledgements that never came", missing);
    let mebibytes = memory.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>();
    let text = mebibytes.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    section.row("memory_over_time", "control plane, memory meanwhile, MiB", text, json!(mebibytes));
    meter.report(&mut section);
    report_traffic(&mut section, &fleet, before);
    report_agreement(&mut section, &fleet, &mut estate).await;
    section
}

async fn delete_in_between(estate: &mut Estate, fleet: &Fleet, settings: Settings, deletions: &mut Vec<Deletion>) {
    let deletion = estate.delete_one(Duration::ZERO).await;
    fleet.reach(deletion.revision, settings.patience).await;
    deletions.push(deletion);
}

/// Commits at the rate, or as fast as the database takes it if that is less, for so long.
async fn commit(mut batches: Batches, duration: Duration) -> Committed {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * BATCH / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (first, mut revisions, mut head) = (Instant::now(), 0, 0);
    while first.elapsed() < duration {
        ticks.tick().await;
        head = batches.commit(BATCH as usize).await;
        revisions += 1;
    }
    Committed { revisions, first, last: Instant::now(), head }
}

fn report_commits(section: &mut Section, committed: &Committed) {
    let changes = u64::from(committed.revisions) * u64::from(BATCH);
    let rate = to_f64(changes) / (committed.last - committed.first).as_secs_f64();
    section.count("changes", "changes committed", changes);
    section.row("rate", "changes committed in a second", format!("{rate:.0}"), json!(rate));
}
