//! What one poll is answered with, from what is known when it comes to what happens while it waits.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::push::{
    self,
    answer::{Answer as Decision, Known, Wanted},
    fleet::{Sighting, Worker, lengthens},
};
use portcullis_core::wire::{Ask, Body, Content, Cursor, Lease, Revision};
use tokio::time::Instant;

use super::SyncPort;
use super::admission::WorkerName;
use super::changes::ChangesError;
use crate::bearer::BearerError;
use crate::domain::feed::News;
use crate::domain::gateway::Gateway;
use crate::storage::{Delta, Snapshot};

/// The longest that a poll is held back.
const WAIT_MAX: Duration = Duration::from_secs(30);

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
    /// Whether that was after the poll came, and after its worker was stored if it had to be.
    is_fresh: bool,
    gateway: Arc<Gateway>,
    worker: Option<WorkerName>,
    /// Whether the worker had to be stored because of this poll, or may go on for longer because of its answer.
    is_promised: bool,
    /// The bound on staleness that the worker reports.
    reported_ms: Option<u64>,
    /// The bound on staleness that it is counted with.
    bound_ms: Option<u64>,
}

impl<'a> Asking<'a> {
    /// A poll with this token.
    pub async fn begin(sync: &'a SyncPort, token: Digest) -> Result<Self, ChangesError> {
        let (news, looked_at) = sync.store.feed().latest();
        let gateway = authenticate(sync, token, news).await?;
        let bound_ms = gateway.max_staleness_ms;
        let (is_fresh, is_promised, reported_ms, worker) = (false, false, None, None);
        Ok(Self { sync, token, news, looked_at, is_fresh, gateway, worker, is_promised, reported_ms, bound_ms })
    }

    /// Counts the worker that polls. What receipts depend on is stored before it is answered.
    pub async fn report(&mut self, worker: Option<Worker>) -> Result<(), ChangesError> {
        let Some(worker) = worker else {
            return Ok(());
        };
        let (gateway, name, node) = (self.gateway.id, worker.name.clone(), worker.node.clone());
        let applied = worker.applied;
        self.reported_ms = worker.bound_ms;
        self.is_promised = lengthens(self.reported_ms, self.bound_ms);
        self.sync.fleet.note_news();
        let seen = self.sync.fleet.saw(gateway, worker, self.bound_ms);
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
        if let Some(version) = seen.store_first {
            self.sync.fleet.stored(version).await?;
            self.is_promised = true;
        }
        Ok(())
    }

    /// For how long the answer may be relied on, if not for ever.
    pub fn lease(&self) -> Option<Lease> {
        // Rounded up: what is vouched for must not be younger than it is.
        let age_ms = self.looked_at.elapsed().as_micros().div_ceil(1_000);
        let age_ms = u64::try_from(age_ms).unwrap_or(u64::MAX);
        self.bound_ms.map(|max_staleness_ms| Lease { max_staleness_ms, age_ms })
    }

    /// Counts the worker with the bound that it will be answered with, which may have changed while it waited. If it is
    /// longer, the database is to be looked at anew: a receipt may have counted the worker as stopped.
    async fn promise(&mut self) -> Result<(), ChangesError> {
        self.bound_ms = self.gateway.max_staleness_ms;
        let Some((gateway, name)) = &self.worker else {
            return Ok(());
        };
        let unstored = self.sync.fleet.promise(*gateway, name, self.bound_ms);
        if unstored.is_some() || lengthens(self.reported_ms, self.bound_ms) {
            (self.is_promised, self.is_fresh) = (true, false);
        }
        match unstored {
            Some(version) => Ok(self.sync.fleet.stored(version).await?),
            None => Ok(()),
        }
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

    /// What the poll is answered with, at once or when there is something to say.
    pub async fn answer(&mut self, ask: Ask) -> Result<Answer, ChangesError> {
        self.make_way(ask);
        let mut news = self.sync.store.feed().subscribe();
        let mut stopping = self.sync.stopping.clone();
        let mut ask = ask;
        let deadline = tokio::time::sleep(wait_of(ask));
        tokio::pin!(deadline);
        loop {
            news.mark_unchanged();
            self.update().await?;
            if self.bound_ms != self.gateway.max_staleness_ms {
                self.promise().await?;
            }
            let known = self.known();
            match push::answer::answer(ask, self.is_promised, &known) {
                Decision::LookFirst => self.look().await?,
                Decision::Hold if *stopping.borrow() => ask = at_once(ask),
                Decision::Hold => {
                    let goes_on = tokio::select! {
                        changed = news.changed() => changed.is_ok(),
                        _ = stopping.wait_for(|stopping| *stopping) => false,
                        () = &mut deadline => false,
                    };
                    if !goes_on {
                        ask = at_once(ask);
                    }
                }
                Decision::Delta { from, head } => return self.delta(from, head).await,
                Decision::Snapshot(wanted) => return self.first_part(wanted).await,
                Decision::Part { at, part } => return self.part(at, part).await,
                Decision::RolledBack { worker, database } => {
                    tracing::error!(
                        worker,
                        database,
                        "the database was rolled back without a new epoch: a worker knows later revisions"
                    );
                    return Err(ChangesError::RolledBack { worker, database });
                }
            }
        }
    }

    fn known(&self) -> Known {
        Known {
            epoch: self.sync.store.epoch(),
            head: self.news.revision,
            is_fresh: self.is_fresh,
            scope_revision: self.gateway.scope_revision,
            // The log itself says how far back it reaches.
            pruned: 0,
        }
    }

    /// Looks at the database, after everything that had to be stored of the worker is.
    async fn look(&mut self) -> Result<(), ChangesError> {
        self.sync.store.refresh().await?;
        self.is_fresh = true;
        Ok(())
    }

    /// Gives the worker's place among those who load to the next, if it has all parts.
    fn make_way(&self, ask: Ask) {
        match (ask, &self.worker) {
            (Ask::CatchUp { .. } | Ask::After { .. }, Some(worker)) => self.sync.admission.leave(worker),
            (Ask::Everything | Ask::Part { .. }, _) | (_, None) => {}
        }
    }

    async fn delta(&mut self, from: Revision, head: Revision) -> Result<Answer, ChangesError> {
        if from == head {
            return Ok((Content::Delta { from, to: from, more: false }, Arc::default()));
        }
        match self.sync.deltas.after(&self.sync.store, from, head, &self.gateway.serves).await? {
            Delta::Page { to, more, body } => Ok((Content::Delta { from, to, more }, body)),
            Delta::TooFar => self.first_part(Wanted::beyond(from, &self.known())).await,
        }
    }

    /// A further part of the snapshot at `at`, or the first of another one if that is no longer there.
    async fn part(&mut self, at: Cursor, part: u32) -> Result<Answer, ChangesError> {
        let Some(snapshot) = self.sync.snapshots.at(at, &self.gateway.serves).await else {
            return self.first_part(Wanted::by_a_newcomer(&self.known())).await;
        };
        if let Some(worker) = &self.worker {
            self.sync.admission.stays(worker);
        }
        part_of(&snapshot, part)
    }

    /// The first part of a snapshot that will do.
    async fn first_part(&mut self, wanted: Wanted) -> Result<Answer, ChangesError> {
        if let Some(worker) = &self.worker {
            self.sync.admission.enter(worker).await?;
        }
        loop {
            let serves = self.gateway.serves.clone();
            let snapshot = self.sync.snapshots.recent(wanted, &serves).await?;
            // The snapshot is of a later instant than what is known of the gateway, which may have changed between.
            let found = self.sync.store.read().await?.view().gateway_of_token(self.token).await?;
            self.gateway = Arc::new(found.ok_or(BearerError::Malformed)?);
            if self.gateway.serves == serves {
                return part_of(&snapshot, 0);
            }
        }
    }
}

/// How long the poll may be held back.
fn wait_of(ask: Ask) -> Duration {
    match ask {
        Ask::After { wait_ms, .. } => Duration::from_millis(wait_ms.into()).min(WAIT_MAX),
        Ask::Everything | Ask::Part { .. } | Ask::CatchUp { .. } => Duration::ZERO,
    }
}

/// The same, to be answered without waiting any more.
const fn at_once(ask: Ask) -> Ask {
    match ask {
        Ask::After { cursor, .. } => Ask::After { cursor, wait_ms: 0 },
        Ask::Everything | Ask::Part { .. } | Ask::CatchUp { .. } => ask,
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
