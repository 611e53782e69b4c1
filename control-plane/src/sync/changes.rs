//! `GET /sync/v1/changes`: one poll of one worker.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_core::digest::Digest;
use portcullis_core::wire::{Ask, Body, Content, Cursor, Header, Poll, PollQuery, PollQueryError, Revision};

use super::{SyncPort, worker};
use crate::bearer::{self, BearerError};
use crate::domain::feed::News;
use crate::domain::gateway::Gateway;
use crate::problem::Problem;
use crate::storage::{Delta, Snapshot, StorageError};

/// The longest that a poll is held back.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Why a poll is not answered with a page.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// No gateway has this token.
    #[error("not authenticated")]
    Bearer(#[from] BearerError),
    /// The query asks for nothing.
    #[error("{0}")]
    Query(String),
    /// The worker knows a future that this database does not.
    #[error("The worker is at revision {worker}, the database at {database} of the same epoch: it was rolled back.")]
    RolledBack {
        /// The worker's revision.
        worker: Revision,
        /// Our newest revision.
        database: Revision,
    },
    /// The snapshot has fewer parts.
    #[error("The snapshot has no such part.")]
    NoSuchPart,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<QueryRejection> for ChangesError {
    fn from(rejection: QueryRejection) -> Self {
        Self::Query(rejection.body_text())
    }
}

impl From<PollQueryError> for ChangesError {
    fn from(error: PollQueryError) -> Self {
        Self::Query(error.to_string())
    }
}

impl IntoResponse for ChangesError {
    fn into_response(self) -> Response {
        match self {
            Self::Bearer(error) => error.into(),
            Self::Query(_) | Self::NoSuchPart => Problem::new(StatusCode::BAD_REQUEST, self),
            Self::RolledBack { .. } => Problem::new(StatusCode::CONFLICT, self),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Answers one poll, when there is something to say or its wait is over.
pub async fn changes(
    State(sync): State<SyncPort>,
    headers: HeaderMap,
    query: Result<Query<PollQuery>, QueryRejection>,
) -> Result<Response, ChangesError> {
    let token = bearer::digest_of(&headers)?;
    let mut asking = Asking::begin(&sync, token).await?;
    let Query(query) = query?;
    let poll = Poll::try_from(query)?;
    worker::track(&sync.fleet, asking.gateway.id, &headers, &poll.ask, sync.store.clock().now());
    let (content, page) = match poll.ask {
        Ask::Everything => asking.first_part(None).await?,
        Ask::Part { at, part } => match sync.snapshots.at(at, &asking.gateway.serves).await {
            Some(snapshot) => part_of(&snapshot, part)?,
            None => asking.first_part(None).await?,
        },
        Ask::CatchUp { at } => asking.after(at, Duration::ZERO).await?,
        Ask::After { cursor, wait_ms } => {
            let wait = Duration::from_millis(wait_ms.into()).min(WAIT_MAX);
            asking.after(cursor, wait).await?
        }
    };
    let header = Header {
        poll: poll.number,
        epoch: sync.store.epoch(),
        now_ms: sync.store.clock().now().unix_ms(),
        content,
        lease: None,
    };
    let bytes = page.page(&header).map_err(StorageError::from)?;
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, bytes).into_response())
}

type Answer = (Content, Arc<Body>);

/// A poll of one gateway, and what is known of the gateway.
///
/// `news` is always older than `gateway`: what the gateway is said to serve held at that revision or came later. So
/// an answer that goes up to `news.revision`, for a cursor that is not behind the gateway's `scope_revision`, leaves
/// out nothing that the gateway should have at that revision.
struct Asking<'a> {
    sync: &'a SyncPort,
    token: Digest,
    news: News,
    gateway: Gateway,
}

impl<'a> Asking<'a> {
    async fn begin(sync: &'a SyncPort, token: Digest) -> Result<Self, ChangesError> {
        let news = sync.store.feed().news();
        let gateway = authenticate(sync, token).await?;
        Ok(Self { sync, token, news, gateway })
    }

    /// Takes note of `latest`, and of what has become of the gateway if any gateway was changed.
    async fn update(&mut self, latest: News) -> Result<(), ChangesError> {
        if latest.gateway_changes != self.news.gateway_changes {
            self.gateway = authenticate(self.sync, self.token).await?;
        }
        self.news = latest;
        Ok(())
    }

    /// Everything after `cursor`, or an empty delta if nothing comes in time.
    async fn after(&mut self, cursor: Cursor, wait: Duration) -> Result<Answer, ChangesError> {
        let store = &self.sync.store;
        if cursor.epoch != store.epoch() {
            return self.first_part(None).await;
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
        let store = &self.sync.store;
        store.refresh().await?;
        let latest = store.feed().news();
        if from > latest.revision {
            tracing::error!(
                worker = from,
                database = latest.revision,
                "the database was rolled back without a new epoch: a worker knows later revisions"
            );
            return Err(ChangesError::RolledBack { worker: from, database: latest.revision });
        }
        self.update(latest).await
    }

    /// Returns once there is something after `from`, the server stops or the wait is over. Deleting the gateway
    /// ends the poll as well: its token opens nothing any more.
    async fn wait_for_news(&mut self, from: Revision, wait: Duration) -> Result<(), ChangesError> {
        let mut news = self.sync.store.feed().subscribe();
        let mut stopping = self.sync.stopping.clone();
        let deadline = tokio::time::sleep(wait);
        tokio::pin!(deadline);
        loop {
            let latest = *news.borrow_and_update();
            self.update(latest).await?;
            if latest.revision != from || *stopping.borrow() {
                return Ok(());
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return Ok(()) },
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
                () = &mut deadline => return Ok(()),
            }
        }
    }

    /// The first part of a snapshot, of one after `beyond` if the worker has that already.
    async fn first_part(&mut self, beyond: Option<Revision>) -> Result<Answer, ChangesError> {
        loop {
            let serves = self.gateway.serves.clone();
            let snapshot = self.sync.snapshots.recent(beyond, self.gateway.scope_revision, &serves).await?;
            // The snapshot is of a later instant than what is known of the gateway, which may have changed between.
            self.gateway = authenticate(self.sync, self.token).await?;
            if self.gateway.serves == serves {
                return part_of(&snapshot, 0);
            }
        }
    }
}

async fn authenticate(sync: &SyncPort, token: Digest) -> Result<Gateway, ChangesError> {
    let found = sync.store.read().await?.view().gateway_of_token(token).await?;
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
