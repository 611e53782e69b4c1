//! `POST /sync/v1/usage`: what a worker has counted.
//!
//! Reports that come at the same time are committed together: each is put into a queue and waits; one task takes what has
//! come, counts it in one transaction, and answers everyone. So a thousand workers cost a few transactions a second, and
//! nobody is answered before what they said is committed. A worker that goes away meanwhile is counted all the same, and is
//! told so when it sends the report again.
//!
//! It fails as the database does: then nobody of a batch is counted, all get 503, and all send the same again.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_core::wire::{REPORT_BYTES_MAX, ROWS_MAX, Receipt, Report, WORKER_HEADER};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{SyncPort, worker};
use crate::bearer::{self, BearerError};
use crate::domain::gateway::Gateway;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::{Counted, StorageError, Store};

/// How many reports wait at most; further ones are told to come again.
const WAITING_MAX: usize = 4_096;
/// How many are committed together.
const BATCH_MAX: usize = 64;
/// How many rows are committed together, unless the first report alone has more.
const BATCH_ROWS_MAX: usize = 20_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Why a report is not counted.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// No gateway has this token.
    #[error("not authenticated")]
    Bearer(#[from] BearerError),
    /// The worker does not name itself, so that its report could not be told from another's.
    #[error("Name the worker in the header {WORKER_HEADER}.")]
    Unnamed,
    /// Longer than any report.
    #[error("A report has at most {REPORT_BYTES_MAX} bytes.")]
    TooLarge,
    /// It did not arrive whole.
    #[error("The report did not arrive whole.")]
    Cut,
    /// It is none.
    #[error("This is not a usage report: {0}")]
    NoReport(String),
    /// Too many others are waiting, or the database cannot count it now.
    #[error("Usage cannot be counted now; send the same report again.")]
    Later,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<BytesRejection> for UsageError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { Self::TooLarge } else { Self::Cut }
    }
}

impl IntoResponse for UsageError {
    fn into_response(self) -> Response {
        match self {
            Self::Bearer(error) => error.into(),
            Self::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, self),
            Self::Unnamed | Self::Cut | Self::NoReport(_) => Problem::new(StatusCode::BAD_REQUEST, self),
            Self::Later => Problem::unavailable(&self.to_string()),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Counts a report, or says that it was counted before.
pub async fn report(
    State(sync): State<SyncPort>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, UsageError> {
    let token = bearer::digest_of(&headers)?;
    let (news, _) = sync.store.feed().latest();
    let found = sync.gateways.of_token(&sync.store, token, news.gateway_changes).await?;
    let gateway = found.ok_or(BearerError::Malformed)?;
    let worker = worker::name(&headers).ok_or(UsageError::Unnamed)?.to_owned();
    let report = read(&body?)?;
    Ok(Json(sync.usage.count(gateway, worker, report).await?))
}

fn read(body: &[u8]) -> Result<Report, UsageError> {
    let report: Report = serde_json::from_slice(body).map_err(|error| UsageError::NoReport(error.to_string()))?;
    let fault = if report.sequence == 0 || i64::try_from(report.sequence).is_err() {
        Some("its number is not one that reports have")
    } else if report.rows.len() > ROWS_MAX {
        Some("it has too many rows")
    } else if !report.hour_ms.is_multiple_of(HOUR_MS) {
        Some("its hour does not begin with one")
    } else {
        None
    };
    match fault {
        Some(fault) => Err(UsageError::NoReport(fault.to_owned())),
        None => Ok(report),
    }
}

/// Where reports wait to be counted. Clones share it.
#[derive(Debug, Clone)]
pub struct Usage(mpsc::Sender<Waiting>);

/// A report that waits, and who waits for its receipt.
#[derive(Debug)]
struct Waiting {
    gateway: Arc<Gateway>,
    worker: String,
    report: Report,
    /// Nothing is sent if it could not be counted.
    receipt: oneshot::Sender<Receipt>,
}

impl Usage {
    /// A queue, and the task that empties it: it ends when nobody is left who could put something in.
    pub fn on(store: Store, metrics: Metrics) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(count_all(store, metrics, waiting));
        Self(queue)
    }

    async fn count(&self, gateway: Arc<Gateway>, worker: String, report: Report) -> Result<Receipt, UsageError> {
        let (receipt, counted) = oneshot::channel();
        let waiting = Waiting { gateway, worker, report, receipt };
        self.0.try_send(waiting).map_err(|_| UsageError::Later)?;
        counted.await.map_err(|_| UsageError::Later)
    }
}

async fn count_all(store: Store, metrics: Metrics, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        let mut rows = first.report.rows.len();
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && rows < BATCH_ROWS_MAX
            && let Ok(next) = waiting.try_recv()
        {
            rows += next.report.rows.len();
            batch.push(next);
        }
        let start = Instant::now();
        match count_batch(&store, &batch).await {
            Ok(counted) => {
                let took = start.elapsed();
                for (waiting, counted) in batch.into_iter().zip(counted) {
                    metrics.reported(&waiting.report, &counted, took);
                    // Whoever has gone away sends it again.
                    let _ = waiting.receipt.send(counted.receipt);
                }
            }
            // Dropped, so that everyone who waits is told to come again.
            Err(error) => tracing::warn!(%error, reports = batch.len(), "usage cannot be counted now"),
        }
    }
}

async fn count_batch(store: &Store, batch: &[Waiting]) -> Result<Vec<Counted>, StorageError> {
    let mut write = store.write(None).await?;
    let mut counted = Vec::with_capacity(batch.len());
    for Waiting { gateway, worker, report, .. } in batch {
        counted.push(write.count_report(gateway, worker, report).await?);
    }
    write.commit().await?;
    Ok(counted)
}
