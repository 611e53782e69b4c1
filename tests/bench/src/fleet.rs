//! Workers by the hundred, and when each of them acknowledged what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::digest::Digest;
use portcullis_tests::random::Random;
use tokio::task::JoinSet;

use crate::real::RealWorker;
use crate::worker::{Follower, Identity, Station, Worker};

/// How many workers one Envoy has, for their node ids.
const WORKERS_PER_NODE: usize = 4;
/// How often it is looked whether all have acknowledged something. What is reported is taken from their logs.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Workers that run. Dropping it ends them.
#[derive(Debug, Default)]
pub struct Fleet {
    stations: Vec<Arc<Station>>,
    real: Vec<RealWorker>,
    followers: JoinSet<()>,
}

/// What all workers together have got.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Answers.
    pub answers: u64,
    /// Bytes of them, heads included.
    pub bytes: u64,
    /// Polls that got no page.
    pub failures: u64,
}

/// How many of whom there are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Workers in all.
    pub workers: usize,
    /// How many of them are real.
    pub real: usize,
}

impl Fleet {
    /// Starts workers at this sync port with this token. Their names begin with `name`.
    pub fn start(size: Size, sync: SocketAddr, token: &str, name: &str) -> Self {
        let mut fleet = Self::default();
        let mut random = Random::new(1);
        for number in 0..size.workers {
            let identity = Identity {
                sync,
                token: token.to_owned(),
                name: format!("{name}-{number}"),
                node: format!("{name}-{}", number / WORKERS_PER_NODE),
            };
            let (station, random) = (Arc::new(Station::default()), random.branch());
            fleet.stations.push(Arc::clone(&station));
            if number < size.real {
                fleet.real.push(RealWorker::start(identity, station, random));
            } else {
                fleet.followers.spawn(Worker::new(identity, Follower::default(), station, random).run());
            }
        }
        fleet
    }

    /// How many workers there are, and how many of them are real.
    pub fn size(&self) -> Size {
        Size { workers: self.stations.len(), real: self.real.len() }
    }

    /// Waits until all have acknowledged `revision`, at most for `patience`. How many have not.
    pub async fn reach(&self, revision: u64, patience: Duration) -> usize {
        let start = Instant::now();
        loop {
            let late = self.stations.iter().filter(|station| station.acknowledged() < Some(revision)).count();
            if late == 0 || start.elapsed() > patience {
                return late;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How long after `since` each worker acknowledged `revision`; those that have not are left out.
    pub fn times(&self, since: Instant, revision: u64) -> Vec<Duration> {
        let time = |station: &Arc<Station>| {
            let log = station.log();
            // Revisions in a log only grow.
            let place = log.acknowledgements.partition_point(|(_, acknowledged)| *acknowledged < revision);
            log.acknowledgements.get(place).map(|(at, _)| at.saturating_duration_since(since))
        };
        self.stations.iter().filter_map(time).collect()
    }

    /// How long after `since` each worker first polled on a connection that was made later than that.
    pub fn returns(&self, since: Instant) -> Vec<Duration> {
        let time = |station: &Arc<Station>| {
            let log = station.log();
            log.connections.iter().find(|at| **at >= since).map(|at| at.duration_since(since))
        };
        self.stations.iter().filter_map(time).collect()
    }

    /// What they have got since they started.
    pub fn totals(&self) -> Totals {
        self.stations.iter().fold(Totals::default(), |totals, station| {
            let log = station.log();
            Totals {
                answers: totals.answers + log.answers,
                bytes: totals.bytes + log.bytes,
                failures: totals.failures + u64::try_from(log.failures.len()).unwrap_or(0),
            }
        })
    }

    /// The last failure of some worker, if there were any.
    pub fn a_failure(&self) -> Option<String> {
        self.stations.iter().find_map(|station| station.log().failures.last().cloned())
    }

    /// How many real workers do not hold exactly these keys.
    pub async fn disagreeing(&self, live: Vec<Digest>) -> usize {
        let live = Arc::new(live);
        let mut disagreeing = 0;
        for worker in &self.real {
            disagreeing += usize::from(!worker.holds(Arc::clone(&live)).await);
        }
        disagreeing
    }
}
