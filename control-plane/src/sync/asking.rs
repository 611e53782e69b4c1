//! What one poll is answered with, from what is known when it comes to what happens while it waits.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::push::fleet::{Sighting, Worker};
use portcullis_core::wire::{Body, Content, Cursor, Lease, Revision};
use tokio::time::Instant;

use super::SyncPort;
use super::admission::WorkerName;
use super::changes::ChangesError;
use crate::bearer::BearerError;
use crate::domain::feed::News;
use crate::domain::gateway::Gateway;
use crate::storage::{Delta, Snapshot};

/// What the records of an answer are, and the records.
pub type Answer = (Content, Arc<Body>);

/// A poll of one gateway, and what is known of the gateway.
///
/// `news` is always older than `gateway`: what the gateway is said to serve held at that revision or came later. So
/// an answer that goes up to `news.revision`, for a cursor that is not behind the gateway's `scope_revision`, leaves
/// out nothing that the gateway should have at that revision.
pub struct Asking<'a> {
    sync: &'a SyncPort,
    token: Digest,
    news: News,
    /// The database showed `news` at this instant or later.
    looked_at: Instant,
    gateway: Arc<Gateway>,
    worker: Option<WorkerName>,
}

impl<'a> Asking<'a> {
    /// A poll with this token.
    pub async fn begin(sync: &'a SyncPort, token: Digest) -> Result<Self, ChangesError> {
        let (news, looked_at) = sync.store.feed().latest();
        let gateway = authenticate(sync, token, news).await?;
        Ok(Self { sync, token, news, looked_at, gateway, worker: None })
    }

    /// Counts the worker that polls. What receipts depend on is stored before it is answered.
    pub async fn report(&mut self, worker: Option<Worker>) -> Result<(), ChangesError> {
        let Some(worker) = worker else {
            return Ok(());
        };
        let (gateway, name, node) = (self.gateway.id, worker.name.clone(), worker.node.clone());
        let applied = worker.applied;
        self.sync.fleet.note_news();
        let seen = self.sync.fleet.saw(gateway, worker, self.gateway.max_staleness_ms);
        let seen = seen.inspect_err(|error| tracing::error!(%gateway, %error, "a worker is refused"))?;
        let node = node.as_deref();
        match seen.sighting {
            Sighting::New => tracing::info!(%gateway, worker = name, node, "worker appeared"),
            Sighting::Loaded => {
                let revision = applied.map(|cursor| cursor.revision);
                tracing::info!(%gateway, worker = name, node, revision, "worker has its first snapshot");
            }
            Sighting::Known => {}
        }
        self.worker = Some((gateway, name));
        match seen.store_first {
            Some(version) => Ok(self.sync.fleet.stored(version).await?),
            None => Ok(()),
        }
    }

    /// For how long the answer may be relied on, if not for ever. The worker is counted with it from now on.
    pub async fn lease(&self) -> Result<Option<Lease>, ChangesError> {
        let bound_ms = self.gateway.max_staleness_ms;
        if let Some((gateway, name)) = &self.worker
            && let Some(version) = self.sync.fleet.promise(*gateway, name, bound_ms)
        {
            self.sync.fleet.stored(version).await?;
        }
        // Rounded up: what is vouched for must not be younger than it is.
        let age_ms = self.looked_at.elapsed().as_micros().div_ceil(1_000);
        let age_ms = u64::try_from(age_ms).unwrap_or(u64::MAX);
        Ok(bound_ms.map(|max_staleness_ms| Lease { max_staleness_ms, age_ms }))
    }

    /// Takes note of what the feed says now, and of what has become of the gateway if any gateway was changed.
    async fn update(&mut self) -> Result<(), ChangesError> {
        let (latest, looked_at) = self.sync.store.feed().latest();
        if latest.revision != self.news.revision {
            self.sync.fleet.note_news();
        }
        if latest.gateway_changes != self.news.gateway_changes {
            self.gateway = authenticate(self.sync, self.token, latest).await?;
        }
        (self.news, self.looked_at) = (latest, looked_at);
        Ok(())
    }

    /// Everything after `cursor`, or an empty delta if nothing comes in time.
    pub async fn after(&mut self, cursor: Cursor, wait: Duration) -> Result<Answer, ChangesError> {
        let store = &self.sync.store;
        if cursor.epoch != store.epoch() {
            return self.first_part(None).await;
        }
        if let Some(worker) = &self.worker {
            self.sync.admission.leave(worker);
        }
        let from = cursor.revision;
        self.wait_for_news(from, wait).await?;
        if from > self.news.revision {
            self.look_ahead(from).await?;
        }
        let head = self.news.revision;
        if from < self.gateway.scope_revision {
            return self.first_part(Some(from)).await;
        }
        if from == head {
            let content = Content::Delta { from, to: from, more: false };
            return Ok((content, Arc::default()));
        }
        match self.sync.deltas.after(store, from, head, &self.gateway.serves).await? {
            Delta::Page { to, more, body } => Ok((Content::Delta { from, to, more }, body)),
            Delta::TooFar => self.first_part(Some(from)).await,
        }
    }

    /// The worker knows later revisions than we have heard of: another process may have committed them.
    async fn look_ahead(&mut self, from: Revision) -> Result<(), ChangesError> {
        self.sync.store.refresh().await?;
        self.update().await?;
        if from > self.news.revision {
            let database = self.news.revision;
            tracing::error!(
                worker = from,
                database,
                "the database was rolled back without a new epoch: a worker knows later revisions"
            );
            return Err(ChangesError::RolledBack { worker: from, database });
        }
        Ok(())
    }

    /// Returns once there is something after `from`, the server stops or the wait is over. Deleting the gateway
    /// ends the poll as well: its token opens nothing any more.
    async fn wait_for_news(&mut self, from: Revision, wait: Duration) -> Result<(), ChangesError> {
        let mut news = self.sync.store.feed().subscribe();
        let mut stopping = self.sync.stopping.clone();
        let deadline = tokio::time::sleep(wait);
        tokio::pin!(deadline);
        loop {
            news.mark_unchanged();
            self.update().await?;
            if self.news.revision != from || *stopping.borrow() {
                return Ok(());
            }
            let goes_on = tokio::select! {
                changed = news.changed() => changed.is_ok(),
                _ = stopping.wait_for(|stopping| *stopping) => false,
                () = &mut deadline => false,
            };
            if !goes_on {
                // Nothing has come, and that is known as of the last look at the database.
                return self.update().await;
            }
        }
    }

    /// A further part of the snapshot at `at`, or the first of another one if that is no longer there.
    pub async fn part(&mut self, at: Cursor, part: u32) -> Result<Answer, ChangesError> {
        let Some(snapshot) = self.sync.snapshots.at(at, &self.gateway.serves).await else {
            return self.first_part(None).await;
        };
        if let Some(worker) = &self.worker {
            self.sync.admission.stays(worker);
        }
        part_of(&snapshot, part)
    }

    /// The first part of a snapshot, of one after `beyond` if the worker has that already.
    pub async fn first_part(&mut self, beyond: Option<Revision>) -> Result<Answer, ChangesError> {
        if let Some(worker) = &self.worker {
            self.sync.admission.enter(worker).await?;
            self.update().await?;
        }
        loop {
            let serves = self.gateway.serves.clone();
            let snapshot = self.sync.snapshots.recent(beyond, self.gateway.scope_revision, &serves).await?;
            // The snapshot is of a later instant than what is known of the gateway, which may have changed between.
            let found = self.sync.store.read().await?.view().gateway_of_token(self.token).await?;
            self.gateway = Arc::new(found.ok_or(BearerError::Malformed)?);
            if self.gateway.serves == serves {
                return part_of(&snapshot, 0);
            }
        }
    }
}

async fn authenticate(sync: &SyncPort, token: Digest, news: News) -> Result<Arc<Gateway>, ChangesError> {
    let found = sync.gateways.of_token(&sync.store, token, news.gateway_changes).await?;
    Ok(found.ok_or(BearerError::Malformed)?)
}

fn part_of(snapshot: &Snapshot, part: u32) -> Result<Answer, ChangesError> {
    let index = usize::try_from(part).map_err(|_| ChangesError::NoSuchPart)?;
    let body = snapshot.pages.get(index).ok_or(ChangesError::NoSuchPart)?;
    let content = Content::Snapshot {
        revision: snapshot.at.revision,
        part,
        parts: u32::try_from(snapshot.pages.len()).unwrap_or(u32::MAX),
        keys: snapshot.keys,
    };
    Ok((content, Arc::clone(body)))
}
