//! The workers that receipts wait for, as this process knows them: [`portcullis_core::push::fleet`] with a lock, a
//! clock and somebody who keeps it.
//!
//! The sync port reports every poll here ([`Fleet::saw`]) and waits where something must be stored before it answers
//! ([`Fleet::stored`]). The admin API waits here for receipts ([`Fleet::receipt`]). The [`keeper`] stores what has
//! changed, fetches what other processes on the same database have heard, and forgets who has been silent for too
//! long.
//!
//! It fails at storing as the database does: a worker that cannot be stored is not answered, and asks again.

pub mod keeper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::{self as core, Full, Propagation, SILENCE_US_MAX, Seen, Sighting, Worker};
use portcullis_core::wire::{Cursor, Revision};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::domain::timestamp::Timestamp;
use crate::metrics::Metrics;
use crate::storage::{StorageError, Store};

/// How long a worker waits for being stored before it is told to ask again.
const STORING_TIME_MAX: Duration = Duration::from_secs(5);
/// From this many workers on a receipt is looked at once a millisecond at most, rather than at each acknowledgement.
const CROWD: usize = 64;
/// How often a receipt is looked at while nobody acknowledges anything: workers under a bound stop by themselves.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// For how many revisions it is remembered when their receipts were complete.
const COMPLETIONS_MAX: usize = 1_024;

/// The workers. Clones share them.
#[derive(Debug, Clone)]
pub struct Fleet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workers: Mutex<core::Fleet>,
    store: Store,
    metrics: Metrics,
    /// When the monotonic clock began to count.
    start: Instant,
    /// The newest revision then.
    head_at_start: Revision,
    /// When receipts were first seen to be complete, by the monotonic clock: of the latest revisions.
    completions: Mutex<BTreeMap<Revision, u64>>,
    /// Changes whenever a receipt may have come further.
    progress: watch::Sender<()>,
    /// The version up to which everything is stored.
    stored: watch::Sender<u64>,
    /// Wakes the keeper: somebody waits for being stored.
    urgent: Notify,
    /// Wakes the keeper where other processes wait for what this one has heard.
    acknowledged: Notify,
}

/// A worker could not be stored in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker cannot be stored now")]
pub struct NotStored;

/// How far a revision has come, with the instants by the wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The revision.
    pub revision: Revision,
    /// How long after its commit this was so; `None` if it was committed before this process began to listen.
    pub elapsed: Option<Duration>,
    /// Who has applied it, and who has not.
    pub propagation: Propagation,
    /// Whether every worker is in it that was answered before the revision was committed, by whichever process.
    pub is_certain: bool,
    /// When every pending worker will have stopped, if each of them will.
    pub enforced_by: Option<Timestamp>,
    /// Until then there may be workers that are not known.
    pub settling_until: Option<Timestamp>,
}

impl Receipt {
    /// Whether no worker accepts any more what the revision took away.
    pub const fn is_complete(&self) -> bool {
        self.is_certain && self.propagation.is_complete()
    }
}

impl Fleet {
    /// The workers that `store` knows of. They count as heard now.
    pub async fn open(store: &Store, metrics: Metrics) -> Result<Self, StorageError> {
        let mut read = store.read().await?;
        let (settled, stored) = (read.view().is_settled().await?, read.view().workers().await?);
        let mut workers = core::Fleet::new(store.epoch(), (!settled).then_some(SILENCE_US_MAX));
        let head_at_start = store.feed().news().revision;
        workers.note(head_at_start, 0);
        for (gateway, worker) in stored {
            workers.merge(gateway, worker, 0);
        }
        Ok(Self(Arc::new(Inner {
            workers: Mutex::new(workers),
            store: store.clone(),
            metrics,
            start: Instant::now(),
            head_at_start,
            completions: Mutex::default(),
            progress: watch::Sender::new(()),
            stored: watch::Sender::new(0),
            urgent: Notify::new(),
            acknowledged: Notify::new(),
        })))
    }

    /// Takes note of what the feed says is committed. Whoever hands out revisions does so first, so that none is
    /// acknowledged before it is noted.
    pub fn note_news(&self) {
        let revision = self.0.store.feed().news().revision;
        let now_us = self.now_us();
        self.workers().note(revision, now_us);
    }

    /// Records a poll of a worker of `gateway`, which will be answered with this bound on its staleness.
    pub fn saw(&self, gateway: GatewayId, worker: Worker, bound_ms: Option<u64>) -> Result<Seen, Full> {
        let now_us = self.now_us();
        let seen = self.workers().saw(gateway, worker, bound_ms, now_us)?;
        for took_us in &seen.acknowledged_us {
            self.0.metrics.acknowledged(Duration::from_micros(*took_us));
        }
        let progress = match seen.sighting {
            Sighting::New | Sighting::Loaded => true,
            Sighting::Known => !seen.acknowledged_us.is_empty(),
        };
        if progress {
            self.0.progress.send_replace(());
            self.0.acknowledged.notify_one();
        }
        Ok(seen)
    }

    /// Takes note that a worker is about to be answered with this bound. Returns what must be stored before.
    pub fn promise(&self, gateway: GatewayId, name: &str, bound_ms: Option<u64>) -> Option<u64> {
        self.workers().promise(gateway, name, bound_ms)
    }

    /// Returns once everything up to `version` is stored.
    pub async fn stored(&self, version: u64) -> Result<(), NotStored> {
        let mut stored = self.0.stored.subscribe();
        self.0.urgent.notify_one();
        let waiting = tokio::time::timeout(STORING_TIME_MAX, stored.wait_for(|stored| *stored >= version));
        match waiting.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotStored),
        }
    }

    /// How far `revision` has come, as soon as no worker is pending or `wait` is over; `None` if there is no such
    /// revision yet.
    pub async fn receipt(&self, revision: Revision, wait: Duration) -> Option<Receipt> {
        self.note_news();
        if !self.workers().knows(revision) {
            return None;
        }
        let mut progress = self.0.progress.subscribe();
        let deadline = Instant::now() + wait;
        let is_certain = self.heard_from_others(deadline).await;
        while !self.workers().is_complete(revision, self.now_us()) && Instant::now() < deadline {
            let look = deadline.min(Instant::now() + LOOK_INTERVAL);
            // Nobody sends any more only when nobody waits any more.
            let _ = tokio::time::timeout_at(look, progress.changed()).await;
            if self.workers().len() > CROWD {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        self.look(revision, is_certain)
    }

    /// Fetches what other processes have stored until now. A worker that is stored later is answered with a look at the
    /// database after that, and so with what this process has committed before. False if that cannot be done in time.
    async fn heard_from_others(&self, deadline: Instant) -> bool {
        if !self.0.store.is_shared() {
            return true;
        }
        loop {
            match self.fetch().await {
                Ok(()) => return true,
                Err(error) if Instant::now() >= deadline => {
                    tracing::warn!(%error, "a receipt is pending: the workers of other control planes cannot be read");
                    return false;
                }
                Err(_) => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        }
    }

    fn look(&self, revision: Revision, is_certain: bool) -> Option<Receipt> {
        let now_us = self.now_us();
        let propagation = self.workers().propagation(revision, now_us)?;
        let now = self.0.store.clock().now();
        // Rounded up, so that what is promised for an instant holds at it.
        let at = |us: u64| now.after(Duration::from_millis(us.saturating_sub(now_us).div_ceil(1_000)));
        let until_us =
            if is_certain && propagation.is_complete() { self.completed_at(revision, now_us) } else { now_us };
        let elapsed = Duration::from_micros(until_us.saturating_sub(propagation.noted_at_us));
        Some(Receipt {
            revision,
            is_certain,
            elapsed: (revision > self.0.head_at_start).then_some(elapsed),
            enforced_by: propagation.enforced_at_us.map(at),
            settling_until: propagation.settles_at_us.map(at),
            propagation,
        })
    }

    /// When the receipt of `revision` was first seen to be complete, which it is now.
    fn completed_at(&self, revision: Revision, now_us: u64) -> u64 {
        let mut completions = self.0.completions.lock().unwrap_or_else(PoisonError::into_inner);
        let completed_at_us = *completions.entry(revision).or_insert(now_us);
        if completions.len() > COMPLETIONS_MAX {
            completions.pop_first();
        }
        completed_at_us
    }

    /// The workers of `gateway`, in the order of their names.
    pub fn of(&self, gateway: GatewayId) -> Vec<Worker> {
        self.workers().of(gateway).cloned().collect()
    }

    /// The newest revision that is known to be committed.
    pub fn head(&self) -> Cursor {
        let store = &self.0.store;
        Cursor { epoch: store.epoch(), revision: store.feed().news().revision }
    }

    /// Every worker, with its gateway.
    pub fn all(&self) -> Vec<(GatewayId, Worker)> {
        self.workers().workers().map(|(gateway, worker)| (gateway, worker.clone())).collect()
    }

    /// No longer counts a worker that an operator says is gone.
    pub fn forget(&self, gateway: GatewayId, name: &str) -> Option<Worker> {
        let forgotten = self.workers().forget(gateway, name);
        self.0.progress.send_replace(());
        forgotten
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn workers(&self) -> MutexGuard<'_, core::Fleet> {
        // Nothing panics while it holds the lock, and a list of sightings is never half written.
        self.0.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
