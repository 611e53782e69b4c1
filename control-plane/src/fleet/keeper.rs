//! Keeps the list of workers: stores what has changed, fetches what others have heard, forgets who is silent.
//!
//! One task does all of it, one thing at a time, so that a worker that is forgotten is not stored again by a save that
//! was under way. What cannot be done now is tried again; workers that wait for being stored are told to ask again.

use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::Worker;
use tokio::sync::watch;

use super::Fleet;
use crate::domain::audit::Action;
use crate::storage::StorageError;

/// How often what nobody waits for is stored: when workers were last seen, and on SQLite what they have applied.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long acknowledgements are gathered for other processes, which wait for them.
const GATHERING: Duration = Duration::from_millis(2);
/// How often other processes are asked, whether or not they have told of anything.
const FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// How often silent workers are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(15);
/// How long a rest the database is given after an error.
const REST: Duration = Duration::from_millis(250);

/// What there is to do.
enum Duty {
    Save,
    /// Other processes wait for what has been acknowledged here.
    Gather,
    Fetch,
    Forget,
}

/// Keeps the list until `stopping` turns true, and saves it once more then.
pub async fn keep(fleet: &Fleet, mut stopping: watch::Receiver<bool>) {
    let mut save = tokio::time::interval(SAVE_INTERVAL);
    let mut fetch = tokio::time::interval(FETCH_INTERVAL);
    let mut forget = tokio::time::interval(FORGET_INTERVAL);
    let mut failing = false;
    loop {
        let shared = fleet.0.store.is_shared();
        let duty = tokio::select! {
            () = fleet.0.urgent.notified() => Duty::Save,
            () = fleet.0.acknowledged.notified(), if shared => Duty::Gather,
            () = fleet.0.store.workers_told(), if shared => Duty::Fetch,
            _ = fetch.tick(), if shared => Duty::Fetch,
            _ = forget.tick() => Duty::Forget,
            _ = save.tick() => Duty::Save,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let done = match duty {
            Duty::Save => fleet.save().await,
            Duty::Gather => {
                tokio::time::sleep(GATHERING).await;
                fleet.save().await
            }
            Duty::Fetch => fleet.fetch().await,
            Duty::Forget => fleet.forget_silent().await,
        };
        match done {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the list of workers cannot be kept now; trying again");
                }
                failing = true;
                tokio::time::sleep(REST).await;
                // Whoever waits for being stored goes on waiting.
                fleet.0.urgent.notify_one();
            }
        }
    }
    if let Err(error) = fleet.save().await {
        tracing::warn!(%error, "when workers were last seen is not stored");
    }
}

impl Fleet {
    async fn save(&self) -> Result<(), StorageError> {
        let (rows, version) = {
            let workers = self.workers();
            (workers.unsaved(), workers.version())
        };
        if !rows.is_empty() {
            self.0.store.save_workers(&rows).await?;
            self.workers().stored(&rows);
        }
        self.0.stored.send_if_modified(|stored| {
            let grows = *stored < version;
            *stored = (*stored).max(version);
            grows
        });
        Ok(())
    }

    pub(super) async fn fetch(&self) -> Result<(), StorageError> {
        let heard = self.0.store.workers_of_others().await?;
        let now_us = self.now_us();
        let mut workers = self.workers();
        for (gateway, worker) in heard {
            workers.merge(gateway, worker, now_us);
        }
        drop(workers);
        self.0.progress.send_replace(());
        Ok(())
    }

    pub(super) async fn forget_silent(&self) -> Result<(), StorageError> {
        let now_us = self.now_us();
        let silent = self.workers().forget_silent(now_us);
        if let Err(error) = self.record_forgotten(&silent).await {
            // They are counted on until it is in the audit that they are not.
            let mut workers = self.workers();
            silent.into_iter().for_each(|(gateway, worker)| workers.merge(gateway, worker, now_us));
            return Err(error);
        }
        for (gateway, worker) in &silent {
            let node = worker.node.as_deref();
            tracing::warn!(%gateway, worker = worker.name, node, "receipts no longer wait for a silent worker");
        }
        self.0.metrics.forgotten(silent.len());
        let settled = self.workers().settle(now_us);
        self.0.progress.send_replace(());
        if settled { self.0.store.settle().await } else { Ok(()) }
    }

    async fn record_forgotten(&self, silent: &[(GatewayId, Worker)]) -> Result<(), StorageError> {
        if silent.is_empty() {
            return Ok(());
        }
        let mut write = self.0.store.write(None).await?;
        for (gateway, worker) in silent {
            write.forget_worker(Action::WorkerForget, *gateway, worker).await?;
        }
        write.commit().await.map(|_| ())
    }
}
