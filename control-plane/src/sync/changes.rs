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
    // Before the token is looked up: a gateway that is closed in between is noticed while waiting.
    let closings = sync.store.feed().news().closings;
    let gateway = authenticate(&sync, token).await?;
    let Query(query) = query?;
    let poll = Poll::try_from(query)?;
    worker::track(&sync.fleet, gateway.id, &headers, &poll.ask, sync.store.clock().now());
    let (content, page) = match poll.ask {
        Ask::Everything => first_part(&sync, None).await?,
        Ask::Part { at, part } => match sync.snapshots.at(at).await {
            Some(snapshot) => part_of(&snapshot, part)?,
            None => first_part(&sync, None).await?,
        },
        Ask::CatchUp { at } => after(&sync, at, Wait { token, closings, time: Duration::ZERO }).await?,
        Ask::After { cursor, wait_ms } => {
            let wait = Wait { token, closings, time: Duration::from_millis(wait_ms.into()).min(WAIT_MAX) };
            after(&sync, cursor, wait).await?
        }
    };
    let header =
        Header { poll: poll.number, epoch: sync.store.epoch(), now_ms: sync.store.clock().now().unix_ms(), content };
    let bytes = page.page(&header).map_err(StorageError::from)?;
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, bytes).into_response())
}

async fn authenticate(sync: &SyncPort, token: Digest) -> Result<Gateway, ChangesError> {
    let found = sync.store.read().await?.view().gateway_of_token(token).await?;
    Ok(found.ok_or(BearerError::Malformed)?)
}

type Answer = (Content, Arc<Body>);

/// How a poll waits.
struct Wait {
    /// The digest of the token that it came with.
    token: Digest,
    /// How many gateways had been closed when the token was looked up.
    closings: u64,
    /// How long it waits.
    time: Duration,
}

/// Everything after `cursor`, or an empty delta if nothing comes in time.
async fn after(sync: &SyncPort, cursor: Cursor, wait: Wait) -> Result<Answer, ChangesError> {
    if cursor.epoch != sync.store.epoch() {
        return first_part(sync, None).await;
    }
    let from = cursor.revision;
    wait_for_news(sync, from, wait).await?;
    let head = sync.store.feed().news().revision;
    if from == head {
        let content = Content::Delta { from, to: from, more: false };
        return Ok((content, Arc::default()));
    }
    if from > head {
        // Another process may have written what we have not heard of: the database itself knows.
        let database = sync.store.read().await?.view().head().await?.revision;
        if from > database {
            tracing::error!(
                worker = from,
                database,
                "the database was rolled back without a new epoch: a worker knows later revisions"
            );
            return Err(ChangesError::RolledBack { worker: from, database });
        }
        sync.store.feed().publish(database);
    }
    match sync.deltas.after(&sync.store, from, head).await? {
        Delta::Page { to, more, body } => Ok((Content::Delta { from, to, more }, body)),
        Delta::TooFar => first_part(sync, Some(from)).await,
    }
}

/// Returns once there is something after `from`, the server stops or the wait is over. Deleting the gateway ends
/// the poll as well: its token opens nothing any more.
async fn wait_for_news(sync: &SyncPort, from: Revision, mut wait: Wait) -> Result<(), ChangesError> {
    let mut news = sync.store.feed().subscribe();
    let mut stopping = sync.stopping.clone();
    let deadline = tokio::time::sleep(wait.time);
    tokio::pin!(deadline);
    loop {
        let latest = *news.borrow_and_update();
        if latest.closings != wait.closings {
            wait.closings = latest.closings;
            authenticate(sync, wait.token).await?;
        }
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
async fn first_part(sync: &SyncPort, beyond: Option<Revision>) -> Result<Answer, ChangesError> {
    let snapshot = sync.snapshots.recent(beyond).await?;
    part_of(&snapshot, 0)
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
