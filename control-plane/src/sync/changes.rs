//! `GET /sync/v1/changes`: one poll of one worker.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use portcullis_core::push::fleet::Full;
use portcullis_core::wire::{Body, Header, Poll, PollQuery, PollQueryError, Revision};

use super::admission::Crowded;
use super::asking::Asking;
use super::{SyncPort, worker};
use crate::bearer::{self, BearerError};
use crate::fleet::NotStored;
use crate::problem::Problem;
use crate::storage::StorageError;

/// Up to this size a page is sent in one piece.
const COPIED_BYTES_MAX: usize = 16 * 1024;

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
    /// More workers than can be counted.
    #[error(transparent)]
    Full(#[from] Full),
    /// The worker cannot be stored, and so would not be counted after a restart.
    #[error(transparent)]
    NotStored(#[from] NotStored),
    /// Others are loading their key sets.
    #[error(transparent)]
    Crowded(#[from] Crowded),
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
            Self::Full(_) | Self::NotStored(_) | Self::Crowded(_) => Problem::unavailable(&self.to_string()),
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
    asking.report(worker::describe(&headers, &poll, sync.store.clock().now())).await?;
    let (content, page) = asking.answer(poll.ask).await?;
    let now_ms = sync.store.clock().now().unix_ms();
    let header = Header { poll: poll.number, epoch: sync.store.epoch(), now_ms, lease: asking.lease(), content };
    respond(page, &header)
}

/// Sends a page. The records of a large one are shared by all answers that hold them, and not copied.
fn respond(page: Arc<Body>, header: &Header) -> Result<Response, ChangesError> {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if page.len() <= COPIED_BYTES_MAX {
        return Ok((headers, page.page(header).map_err(StorageError::from)?).into_response());
    }
    let (first, last) = page.frame(header).map_err(StorageError::from)?;
    let length = HeaderValue::from(first.len() + page.len() + last.len());
    let pieces = [Bytes::from(first), Bytes::from_owner(Shared(page)), Bytes::from(last)];
    let body = HttpBody::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    Ok((headers, [(CONTENT_LENGTH, length)], body).into_response())
}

/// The records of a page, as bytes that many answers own.
struct Shared(Arc<Body>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}
