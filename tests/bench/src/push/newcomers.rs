//! Workers that have nothing come all at once, and there are many keys: what the others notice of it.

use std::time::{Duration, Instant};

use portcullis_tests::database::Database;
use portcullis_tests::measure::Distribution;

use super::{Meter, OBSERVERS, Settings, reach_of, report_agreement, report_traffic};
use crate::estate::Estate;
use crate::fleet::Size;
use crate::report::{Section, grouped};

/// How many keys there are.
const KEYS: u32 = 100_000;
/// A delete begins so long after the one before was acknowledged by all who had been there before.
const PAUSE: Duration = Duration::from_millis(500);

/// Measures.
pub async fn run(settings: Settings) -> Section {
    let mut estate = Estate::build(Database::Sqlite, KEYS).await;
    let observers = estate.workers(Size { workers: OBSERVERS, real: 0 }, "observer");
    let title = format!(
        "Newcomers: {} workers without anything at once, {} keys, SQLite, {OBSERVERS} workers were there before",
        grouped(settings.workers),
        grouped(KEYS as usize)
    );
    let mut section = Section::new("newcomers", title);
    let head = estate.head().await;
    let absent = observers.reach(head, settings.patience).await;
    section.count("absent", "workers that never got the first snapshot", absent);

    let meter = Meter::start(estate.process());
    let started = Instant::now();
    let newcomers = estate.workers(Size { workers: settings.workers, real: settings.real }, "newcomer");
    let mut deletions = Vec::new();
    while newcomers.reach(head, PAUSE).await > 0 && started.elapsed() < settings.patience {
        let deletion = estate.delete_one(Duration::ZERO).await;
        observers.reach(deletion.revision, settings.patience).await;
        deletions.push(deletion);
    }
    let arrived = newcomers.times(started, head);
    section.count("never", "newcomers that never had everything", settings.workers - arrived.len());
    section.times("arrived", "from the start to a newcomer having everything", &Distribution::of(arrived));
    let (times, missing) = reach_of(&observers, &deletions);
    section.times("acknowledged", "meanwhile, from a DELETE to the acknowledgement of who was there before", &times);
    section.count("missing", "acknowledgements that never came", missing);
    meter.report(&mut section);
    report_traffic(&mut section, &newcomers, crate::fleet::Totals::default());
    let head = estate.head().await;
    newcomers.reach(head, settings.patience).await;
    report_agreement(&mut section, &newcomers, &mut estate).await;
    section
}
