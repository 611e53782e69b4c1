//! `POST /sync/v1/usage`: what a worker has counted.
//!
//! Whoever sends one is authenticated before the report is read, and takes one of a few places: so what is read and not yet
//! counted takes a bounded room. Reports that wait are committed together: one task takes what has come, counts it in one
//! transaction, and answers everyone. Nobody is answered before what they said is committed. A worker that goes away
//! meanwhile is counted all the same, and is told so when it sends the report again.
//!
//! It fails as the database does: then nobody of a batch is counted, all get 503, and all send the same again. If the
//! database would fail again, each report is tried by itself, so that one which cannot be counted keeps no other back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use portcullis_core::wire::{REPORT_BYTES_MAX, ROWS_MAX, Receipt, Report, WORKER_HEADER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::{SyncPort, worker};
use crate::bearer::{self, BearerError};
use crate::domain::gateway::Gateway;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::{Counted, StorageError, Store};

/// How many reports are read or wait to be counted at once. Others wait for a place.
const PLACES: usize = 64;
/// How long one waits for a place before it is told to come again.
const PLACE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a report may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
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
    /// It did not arrive in time.
    #[error("The report took too long to arrive.")]
    Slow,
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

impl IntoResponse for UsageError {
    fn into_response(self) -> Response {
        match self {
            Self::Bearer(error) => error.into(),
            Self::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, self),
            Self::Unnamed | Self::Cut | Self::NoReport(_) => Problem::new(StatusCode::BAD_REQUEST, self),
            Self::Slow => Problem::new(StatusCode::REQUEST_TIMEOUT, self),
            Self::Later => Problem::unavailable(&self.to_string()),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Counts a report, or says that it was counted before.
pub async fn report(State(sync): State<SyncPort>, headers: HeaderMap, body: Body) -> Result<Json<Receipt>, UsageError> {
    let token = bearer::digest_of(&headers)?;
    let (news, _) = sync.store.feed().latest();
    let found = sync.gateways.of_token(&sync.store, token, news.gateway_changes).await?;
    let gateway = found.ok_or(BearerError::Malformed)?;
    let worker = worker::name(&headers).ok_or(UsageError::Unnamed)?.to_owned();
    let place = sync.usage.enter().await?;
    let report = parse(&read(body).await?)?;
    let (receipt, counted) = oneshot::channel();
    sync.usage.put(Waiting { gateway, worker, report, receipt, _place: place })?;
    Ok(Json(counted.await.map_err(|_| UsageError::Later)?))
}

async fn read(body: Body) -> Result<Bytes, UsageError> {
    match tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, REPORT_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(UsageError::TooLarge),
        Ok(Err(_)) => Err(UsageError::Cut),
        Err(_) => Err(UsageError::Slow),
    }
}

fn parse(body: &[u8]) -> Result<Report, UsageError> {
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
pub struct Usage {
    queue: mpsc::Sender<Waiting>,
    places: Arc<Semaphore>,
}

/// A report that waits, and who waits for its receipt.
#[derive(Debug)]
struct Waiting {
    gateway: Arc<Gateway>,
    worker: String,
    report: Report,
    /// Nothing is sent if it could not be counted.
    receipt: oneshot::Sender<Receipt>,
    _place: OwnedSemaphorePermit,
}

impl Usage {
    /// A queue, and the task that empties it: it ends when nobody is left who could put something in.
    pub fn on(store: Store, metrics: Metrics) -> Self {
        let (queue, waiting) = mpsc::channel(PLACES);
        tokio::spawn(count_all(store, metrics, waiting));
        Self { queue, places: Arc::new(Semaphore::new(PLACES)) }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, UsageError> {
        let place = tokio::time::timeout(PLACE_TIME_MAX, Arc::clone(&self.places).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(UsageError::Later)
    }

    fn put(&self, waiting: Waiting) -> Result<(), UsageError> {
        // Whoever has a place has room in the queue.
        self.queue.try_send(waiting).map_err(|_| UsageError::Later)
    }
}

async fn count_all(store: Store, metrics: Metrics, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        let mut rows = first.report.rows.len();
        let mut batch = vec![first];
        while rows < BATCH_ROWS_MAX
            && let Ok(next) = waiting.try_recv()
        {
            rows += next.report.rows.len();
            batch.push(next);
        }
        let alone = batch.len() == 1;
        match count(&store, &metrics, batch).await {
            Err((error, batch)) if !alone && !error.is_passing() => {
                for waiting in batch {
                    if let Err((error, _)) = count(&store, &metrics, vec![waiting]).await {
                        tracing::error!(%error, "a usage report cannot be counted");
                    }
                }
            }
            // Dropped with the batch: everyone who waits is told to come again.
            Err((error, batch)) => tracing::warn!(%error, reports = batch.len(), "usage cannot be counted now"),
            Ok(()) => {}
        }
    }
}

/// Counts reports in one transaction and answers them, or gives them back.
async fn count(store: &Store, metrics: &Metrics, batch: Vec<Waiting>) -> Result<(), (StorageError, Vec<Waiting>)> {
    let start = Instant::now();
    let counted = match count_batch(store, &batch).await {
        Ok(counted) => counted,
        Err(error) => return Err((error, batch)),
    };
    let took = start.elapsed();
    for (waiting, counted) in batch.into_iter().zip(counted) {
        metrics.reported(&waiting.report, &counted, took);
        // Whoever has gone away sends it again.
        let _ = waiting.receipt.send(counted.receipt);
    }
    Ok(())
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
