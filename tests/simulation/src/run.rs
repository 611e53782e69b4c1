//! Runs: one seed, or many on all processors.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_core::wire::Cursor;

use crate::clock::{MINUTE, SECOND};
use crate::coverage::{Coverage, Thing};
use crate::laws::{Broken, Law};
use crate::world::{Event, Question, World};

/// How long after the last fault every worker must have arrived: a poll may just have been lost, and is waited for
/// half a minute.
const ARRIVAL_MAX: u64 = 2 * MINUTE;
/// How long after that the last receipt must be complete: names of the dead are remembered for ten minutes.
const RECEIPT_MAX: u64 = 12 * MINUTE;

/// What came of a seed.
#[derive(Debug)]
pub struct Run {
    /// The hash of all that happened.
    pub hash: u64,
    /// What happened how often.
    pub coverage: Coverage,
    /// The law that was broken, if one was.
    pub broken: Option<Broken>,
    /// The last events, if they were asked for.
    pub shown: Vec<String>,
}

/// A seed that broke a law.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, broken } = self;
        write!(f, "seed {seed} breaks {:?}: {}\n`make simulate SEED={seed}` shows it", broken.law, broken.how)
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Run {
    simulate(World::new(seed, false))
}

/// Runs a seed and keeps its last events in words.
pub fn run_shown(seed: u64) -> Run {
    simulate(World::new(seed, true))
}

fn simulate(mut world: World) -> Run {
    let duration = world.plan.duration;
    world.run_until(duration, |_| false);
    if world.broken.is_none() {
        world.quieten();
        arrive(&mut world);
    }
    let hash = world.trace.hash();
    Run { hash, coverage: world.coverage, broken: world.broken, shown: world.trace.shown() }
}

/// Waits until every worker has arrived, and then until the receipt of the newest revision is complete.
fn arrive(world: &mut World) {
    world.run_until(world.now + ARRIVAL_MAX, World::has_arrived);
    if world.broken.is_some() {
        return;
    }
    if !world.has_arrived() {
        let late = world.late();
        return world.break_law(Law::Arrives, format!("workers {late:?} have not arrived"));
    }
    world.count(Thing::Converged);
    let deadline = world.now + RECEIPT_MAX;
    while world.broken.is_none() && !world.is_enforced_everywhere() {
        if world.now >= deadline {
            return world.break_law(Law::Arrives, "the last receipt does not become complete".to_owned());
        }
        let (epoch, revision) = (world.database.epoch, world.database.revision);
        world.after(0, Event::Ask(Question { epoch, revision, written_by: 0 }));
        world.run_until(world.now + 10 * SECOND, |_| false);
    }
    if world.broken.is_none() {
        world.count(Thing::FinalReceipt);
    }
}

impl World {
    /// The living workers, of gateways that there are, that do not serve the newest revision.
    fn late(&self) -> Vec<usize> {
        let head = Cursor { epoch: self.database.epoch, revision: self.database.revision };
        let vms = self.vms.iter().enumerate();
        let counted = vms.filter(|(_, vm)| vm.is_alive && self.database.state.gateways.contains_key(&vm.gateway));
        counted.filter(|(_, vm)| vm.serves(self.now) != Some(head)).map(|(place, _)| place).collect()
    }

    fn has_arrived(&mut self) -> bool {
        self.late().is_empty()
    }

    fn is_enforced_everywhere(&self) -> bool {
        let revision = self.database.revision;
        self.control.iter().all(|control| control.fleet.is_complete(revision, control.clock.us(self.now)))
    }
}

/// Runs every seed from `first` to `last`, on all processors, until one breaks a law. What happened is added up.
pub fn run_all(first: u64, last: u64) -> Result<Coverage, Failure> {
    let next = AtomicU64::new(first);
    let is_over = AtomicBool::new(false);
    let sum = Mutex::new((Coverage::default(), None::<Failure>));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut coverage = Coverage::default();
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last {
                        break;
                    }
                    let run = run(seed);
                    coverage += &run.coverage;
                    if let Some(broken) = run.broken {
                        is_over.store(true, Ordering::Relaxed);
                        let mut sum = sum.lock().expect("nothing panics with it");
                        let found = Failure { seed, broken };
                        if sum.1.as_ref().is_none_or(|other| other.seed > found.seed) {
                            sum.1 = Some(found);
                        }
                    }
                }
                sum.lock().expect("nothing panics with it").0 += &coverage;
            });
        }
    });
    let (coverage, failure) = sum.into_inner().expect("nothing panics with it");
    failure.map_or(Ok(coverage), Err)
}
