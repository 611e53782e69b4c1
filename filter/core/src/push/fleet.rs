//! The workers of all gateways, how far each has come, and what a receipt may say of that.
//!
//! Each poll of a worker tells what it has applied ([`Fleet::saw`]), and each new revision is noted when this control
//! plane first knows it to be committed ([`Fleet::note`]). A receipt ([`Fleet::propagation`]) puts the two together.
//! For a revision of the current epoch a worker
//!
//! - has *applied* it, if it has acknowledged that revision or a later one of the same epoch;
//! - has *stopped*, if it runs under a bound on its staleness and that time has gone by since the revision was noted:
//!   it has heard of the revision in between, or it refuses everything;
//! - is *pending* otherwise. A receipt is complete when no worker is.
//!
//! A worker counts from its first poll until it is forgotten: after ten minutes of silence while this process was
//! listening, or when an operator says that it is gone. Silence is counted by the monotonic clock of this process
//! and from its start at the earliest, so neither a restart nor a step of the wall clock shortens it. A database that
//! was restored from a backup may not know all of its workers, so for the first ten minutes of listening no receipt
//! is complete ([`Fleet::new`]).
//!
//! What receipts depend on survives a restart, because it is stored before a worker is answered: that the worker
//! exists, and each lengthening of the bound under which it may run. [`Seen::store_first`] says when; everything
//! else may be stored later ([`Fleet::unsaved`]).
//!
//! The list is bounded. A worker that does not fit is refused ([`Full`]), because one that is served and not counted
//! would make every receipt a guess.

mod known;
mod propagation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use crate::id::GatewayId;
use crate::wire::{Cursor, Epoch, Revision};
use known::Known;
pub use propagation::Propagation;
use propagation::Standing;

/// How long a worker must be silent before it is forgotten, in microseconds: ten minutes.
pub const SILENCE_US_MAX: u64 = 600_000_000;
/// The most workers that are counted.
pub const WORKERS_MAX: usize = 10_000;
/// What is added to a bound on staleness before a worker counts as stopped, in microseconds, besides a thousandth of
/// it: clocks of two machines run apart by less than 500 millionths.
const STOP_MARGIN_US: u64 = 1_000_000;

/// All workers that count.
#[derive(Debug)]
pub struct Fleet {
    epoch: Epoch,
    settles_at_us: Option<u64>,
    workers: BTreeMap<(GatewayId, String), Entry>,
    known: Known,
    /// Counts changes, so that it can be told what has been stored.
    version: u64,
}

/// What is known of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The name that it drew at its start.
    pub name: String,
    /// The node id of its Envoy, if it said one.
    pub node: Option<String>,
    /// The number of its latest poll, by which what is said of it by several, or arrives late, has an order.
    pub polls: u64,
    /// When its last poll came, by the wall clock, in milliseconds since the Unix epoch.
    pub last_seen_ms: u64,
    /// What it serves; `None` before its first snapshot is in.
    pub applied: Option<Cursor>,
    /// The longest time without contact, in milliseconds, after which it refuses everything; `None` if it may go on
    /// for ever.
    pub bound_ms: Option<u64>,
    /// The size of its memory in bytes, if it said so.
    pub memory_bytes: Option<u64>,
}

/// A worker and what is kept of it beside.
#[derive(Debug)]
struct Entry {
    worker: Worker,
    /// When it was last heard, by the monotonic clock.
    heard_us: u64,
    /// The change that touched it last, and the one up to which it is stored.
    version: u64,
    stored_version: u64,
    /// The bound that is stored, once it is stored at all.
    stored_bound_ms: Option<Option<u64>>,
}

/// What a poll has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What is new about its worker.
    pub sighting: Sighting,
    /// How long each revision took that it has acknowledged with this poll, from being noted, in microseconds.
    pub acknowledged_us: Vec<u64>,
    /// The version that must be stored before the worker is answered, if any must.
    pub store_first: Option<u64>,
}

/// What is new about a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// It was not counted before.
    New,
    /// It has applied its first snapshot.
    Loaded,
    /// Nothing that is worth a line.
    Known,
}

/// There is no room for another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{WORKERS_MAX} workers are counted, and no more can be")]
pub struct Full;

/// A worker as it is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// Its gateway.
    pub gateway: GatewayId,
    /// What is known of it.
    pub worker: Worker,
    version: u64,
}

impl Fleet {
    /// Nobody yet, in this epoch. Until `settles_at_us` of the monotonic clock there may be workers that are neither
    /// stored nor heard of yet: ten minutes from the start, on a database that was restored and has not been served
    /// for so long since.
    pub const fn new(epoch: Epoch, settles_at_us: Option<u64>) -> Self {
        Self { epoch, settles_at_us, workers: BTreeMap::new(), known: Known::new(), version: 0 }
    }

    /// Takes note that everything up to `revision` is committed.
    pub fn note(&mut self, revision: Revision, monotonic_us: u64) {
        self.known.note(revision, monotonic_us);
    }

    /// Records a poll of a worker, which will be answered with `answered_bound_ms`. Once a worker has applied something
    /// it stays so, whatever it asks for next.
    pub fn saw(
        &mut self,
        gateway: GatewayId,
        mut worker: Worker,
        answered_bound_ms: Option<u64>,
        monotonic_us: u64,
    ) -> Result<Seen, Full> {
        let reported_bound_ms = worker.bound_ms;
        worker.bound_ms = longer(reported_bound_ms, answered_bound_ms);
        let is_full = self.workers.len() >= WORKERS_MAX;
        self.version = self.version.saturating_add(1);
        let version = self.version;
        match self.workers.entry((gateway, worker.name.clone())) {
            Place::Vacant(place) => {
                if is_full {
                    return Err(Full);
                }
                let fresh = Entry { worker, heard_us: monotonic_us, version, stored_version: 0, stored_bound_ms: None };
                place.insert(fresh);
                Ok(Seen { sighting: Sighting::New, acknowledged_us: Vec::new(), store_first: Some(version) })
            }
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                entry.order(&mut worker, reported_bound_ms);
                let before = entry.worker.applied;
                worker.applied = later(self.epoch, worker.applied, before);
                let acknowledged_us = self.known.acknowledged(
                    revision_in(self.epoch, before),
                    revision_in(self.epoch, worker.applied),
                    monotonic_us,
                );
                let loaded = before.is_none() && worker.applied.is_some();
                *entry = Entry { worker, heard_us: monotonic_us, version, ..*entry };
                let sighting = if loaded { Sighting::Loaded } else { Sighting::Known };
                Ok(Seen { sighting, acknowledged_us, store_first: entry.store_first() })
            }
        }
    }

    /// Takes note that a worker is about to be answered with this bound, which may have changed since it polled. Returns
    /// the version that must be stored before that, if any must.
    pub fn promise(&mut self, gateway: GatewayId, name: &str, bound_ms: Option<u64>) -> Option<u64> {
        let entry = self.workers.get_mut(&(gateway, name.to_owned()))?;
        let bound_ms = longer(entry.worker.bound_ms, bound_ms);
        if bound_ms != entry.worker.bound_ms {
            self.version = self.version.saturating_add(1);
            entry.worker.bound_ms = bound_ms;
            entry.version = self.version;
        }
        entry.store_first()
    }

    /// Takes over what the database says of a worker: at the start, or because another control plane heard from it.
    pub fn merge(&mut self, gateway: GatewayId, stored: Worker, monotonic_us: u64) {
        match self.workers.entry((gateway, stored.name.clone())) {
            Place::Vacant(place) => {
                let bound_ms = stored.bound_ms;
                place.insert(Entry {
                    worker: stored,
                    heard_us: monotonic_us,
                    version: 0,
                    stored_version: 0,
                    stored_bound_ms: Some(bound_ms),
                });
            }
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let known = &mut entry.worker;
                known.applied = later(self.epoch, stored.applied, known.applied);
                if stored.polls > known.polls {
                    entry.heard_us = monotonic_us;
                    entry.stored_bound_ms = Some(stored.bound_ms);
                    *known = Worker { applied: known.applied, ..stored };
                } else if stored.polls == known.polls {
                    known.bound_ms = longer(known.bound_ms, stored.bound_ms);
                }
            }
        }
    }

    /// What has changed since it was last stored.
    pub fn unsaved(&self) -> Vec<Unsaved> {
        let unsaved = self.workers.iter().filter(|(_, entry)| entry.version > entry.stored_version);
        let rows = unsaved.map(|((gateway, _), entry)| Unsaved {
            gateway: *gateway,
            worker: entry.worker.clone(),
            version: entry.version,
        });
        rows.collect()
    }

    /// The newest version: once what is [unsaved](Fleet::unsaved) now is stored, everything up to it is.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes note that these have been stored.
    pub fn stored(&mut self, rows: &[Unsaved]) {
        for row in rows {
            if let Some(entry) = self.workers.get_mut(&(row.gateway, row.worker.name.clone())) {
                entry.stored_version = entry.stored_version.max(row.version);
                entry.stored_bound_ms = Some(row.worker.bound_ms);
            }
        }
    }

    /// Whether `revision` has been noted.
    pub fn knows(&self, revision: Revision) -> bool {
        self.known.since(revision).is_some()
    }

    /// How far `revision` of this epoch has come; `None` if it has not been noted.
    pub fn propagation(&self, revision: Revision, monotonic_us: u64) -> Option<Propagation> {
        let noted_us = self.known.since(revision)?;
        let mut propagation = Propagation {
            noted_at_us: noted_us,
            total: self.workers.len(),
            applied: 0,
            stopped: 0,
            pending: Vec::new(),
            enforced_at_us: None,
            settles_at_us: self.settles_at_us.filter(|settles_at_us| monotonic_us < *settles_at_us),
        };
        let mut last_stop_us = Some(0);
        for ((gateway, _), entry) in &self.workers {
            match self.standing(&entry.worker, revision, noted_us, monotonic_us) {
                Standing::Applied => propagation.applied = propagation.applied.saturating_add(1),
                Standing::Stopped => propagation.stopped = propagation.stopped.saturating_add(1),
                Standing::Pending { stops_at_us } => {
                    last_stop_us = last_stop_us.and_then(|last| Some(stops_at_us?.max(last)));
                    propagation.pending.push((*gateway, entry.worker.clone()));
                }
            }
        }
        propagation.enforced_at_us = last_stop_us.filter(|_| !propagation.pending.is_empty());
        Some(propagation)
    }

    /// Whether the receipt of `revision` is complete.
    pub fn is_complete(&self, revision: Revision, monotonic_us: u64) -> bool {
        let Some(noted_us) = self.known.since(revision) else {
            return false;
        };
        self.settles_at_us.is_none_or(|settles_at_us| settles_at_us <= monotonic_us)
            && self.workers.values().all(|entry| match self.standing(&entry.worker, revision, noted_us, monotonic_us) {
                Standing::Applied | Standing::Stopped => true,
                Standing::Pending { .. } => false,
            })
    }

    /// How many workers count.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether no worker counts.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Every worker, with its gateway.
    pub fn workers(&self) -> impl Iterator<Item = (GatewayId, &Worker)> {
        self.workers.iter().map(|((gateway, _), entry)| (*gateway, &entry.worker))
    }

    /// The workers of `gateway`, in the order of their names.
    pub fn of(&self, gateway: GatewayId) -> impl Iterator<Item = &Worker> {
        let from = (gateway, String::new());
        let of_gateway = self.workers.range(from..).take_while(move |((owner, _), _)| *owner == gateway);
        of_gateway.map(|(_, entry)| &entry.worker)
    }

    /// Forgets everyone who has been silent for ten minutes, and says who that was.
    pub fn forget_silent(&mut self, monotonic_us: u64) -> Vec<(GatewayId, Worker)> {
        let silent = |entry: &Entry| monotonic_us.saturating_sub(entry.heard_us) > SILENCE_US_MAX;
        let gone = self.workers.extract_if(.., |_, entry| silent(entry));
        gone.map(|((gateway, _), entry)| (gateway, entry.worker)).collect()
    }

    /// Whether the time is over, from now on, in which there may be workers that are not known.
    pub fn settle(&mut self, monotonic_us: u64) -> bool {
        self.settles_at_us.take_if(|settles_at_us| *settles_at_us <= monotonic_us).is_some()
    }

    /// Forgets a worker because an operator says that it is gone. It counts again if it polls.
    pub fn forget(&mut self, gateway: GatewayId, name: &str) -> Option<Worker> {
        self.workers.remove(&(gateway, name.to_owned())).map(|entry| entry.worker)
    }

    fn standing(&self, worker: &Worker, revision: Revision, noted_us: u64, monotonic_us: u64) -> Standing {
        if worker.applied.is_some_and(|applied| applied.epoch == self.epoch && applied.revision >= revision) {
            return Standing::Applied;
        }
        let stops_at_us = worker.bound_ms.map(|bound_ms| noted_us.saturating_add(stopping_us(bound_ms)));
        if stops_at_us.is_some_and(|stops_at_us| stops_at_us <= monotonic_us) {
            Standing::Stopped
        } else {
            Standing::Pending { stops_at_us }
        }
    }
}

impl Entry {
    /// Puts what a poll says of its worker in order with what is known. Only the answer to a worker's latest poll counts
    /// for it, so what its latest poll reports, and that poll is answered with, is all that it may run under.
    fn order(&mut self, polling: &mut Worker, reported_bound_ms: Option<u64>) {
        let before = &self.worker;
        if polling.polls <= before.polls {
            polling.polls = before.polls;
            polling.bound_ms = longer(polling.bound_ms, before.bound_ms);
        } else if polling.polls > before.polls.saturating_add(1) {
            // Somebody else may have answered the polls between, and stored a shorter bound: but none shorter than what
            // the worker reports.
            self.stored_bound_ms = self.stored_bound_ms.map(|_| reported_bound_ms);
        }
    }

    /// The version that must be stored before the worker is answered: unless it is stored, with a bound no shorter
    /// than the one under which it may run.
    fn store_first(&self) -> Option<u64> {
        let is_covered = self.stored_bound_ms.is_some_and(|stored| longer(stored, self.worker.bound_ms) == stored);
        (!is_covered).then_some(self.version)
    }
}

/// The later of two cursors of one worker: that of the current epoch rather than of another.
fn later(epoch: Epoch, reported: Option<Cursor>, before: Option<Cursor>) -> Option<Cursor> {
    match (reported, before) {
        (Some(reported), Some(before)) if reported.epoch == before.epoch => {
            Some(Cursor { revision: reported.revision.max(before.revision), ..reported })
        }
        (Some(_), Some(before)) if before.epoch == epoch => Some(before),
        (Some(reported), _) => Some(reported),
        (None, before) => before,
    }
}

/// The revision of a cursor, if it is one of this epoch.
fn revision_in(epoch: Epoch, cursor: Option<Cursor>) -> Option<Revision> {
    cursor.filter(|cursor| cursor.epoch == epoch).map(|cursor| cursor.revision)
}

/// Whether an answer lets a worker go on for longer than it reports that it may now. Such an answer must rest on a look at
/// the database after the worker is stored with it, even if it was stored with as long a bound before: a receipt may have
/// counted it with a shorter one in between.
pub fn lengthens(reported_bound_ms: Option<u64>, answered_bound_ms: Option<u64>) -> bool {
    longer(reported_bound_ms, answered_bound_ms) != reported_bound_ms
}

/// The longer of two bounds on staleness. None is longer than any.
fn longer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// How long after a commit a worker that runs under this bound has stopped for certain.
const fn stopping_us(bound_ms: u64) -> u64 {
    // A thousandth of a millisecond is a microsecond.
    bound_ms.saturating_mul(1_000).saturating_add(bound_ms).saturating_add(STOP_MARGIN_US)
}
