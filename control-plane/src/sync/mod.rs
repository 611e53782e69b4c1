//! The sync port: what filter workers ask and report, and what answers them ([`portcullis_core::wire`]).
//!
//! `GET /sync/v1/changes` with a gateway's token. A worker that is behind is answered at once: with a delta, or
//! with the parts of a snapshot if it is too far behind or of another epoch. A worker that has everything waits
//! here until something is committed, its wait is over, its gateway is deleted, or the server stops; then it
//! gets what there is, possibly an empty delta.
//!
//! Nothing is rendered twice for a herd: `snapshots` and `deltas` each do the work once and share it, `gateways`
//! remembers who may ask, and `admission` lets a few load at a time. What a waiting worker costs is its connection.
//!
//! Every poll is reported to the [`Fleet`], by which receipts know what has been applied.
//!
//! A worker that is *ahead* of the database in its own epoch has seen a future that was lost: the database was
//! rolled back without a new epoch. It is refused with 409 and logged as an error, because what it was told
//! since, deletions included, is no longer known here.

mod admission;
mod asking;
mod changes;
mod deltas;
mod gateways;
mod snapshots;
#[cfg(test)]
mod tests;
mod usage;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use portcullis_core::wire::{CHANGES_PATH, USAGE_PATH};
use tokio::sync::watch;

use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::Store;

use admission::Admission;
use deltas::Deltas;
use gateways::Gateways;
use snapshots::Snapshots;
use usage::Usage;

/// How often what has not been used for a while is let go.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(15);

/// What the sync port works with. Clones share it.
#[derive(Debug, Clone)]
pub struct SyncPort {
    store: Store,
    fleet: Fleet,
    gateways: Arc<Gateways>,
    admission: Arc<Admission>,
    snapshots: Arc<Snapshots>,
    deltas: Arc<Deltas>,
    usage: Usage,
    stopping: watch::Receiver<bool>,
}

impl SyncPort {
    /// A sync port on `store`, whose polls end when `stopping` turns true.
    pub fn new(store: Store, fleet: Fleet, metrics: Metrics, stopping: watch::Receiver<bool>) -> Self {
        Self {
            usage: Usage::on(store.clone(), metrics),
            snapshots: Arc::new(Snapshots::new(store.clone())),
            deltas: Arc::new(Deltas::default()),
            gateways: Arc::default(),
            admission: Arc::default(),
            store,
            fleet,
            stopping,
        }
    }

    /// Lets go of unused snapshots, until the server stops.
    pub async fn keep_house(mut self) {
        let mut interval = tokio::time::interval(HOUSEKEEPING_INTERVAL);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
            }
            self.snapshots.release_unused(self.store.clock().now()).await;
        }
    }
}

/// The sync port as a service.
pub fn router(sync: SyncPort) -> Router {
    Router::new()
        .route(CHANGES_PATH, get(changes::changes))
        .route(USAGE_PATH, post(usage::report))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This resource does not take this method.")
        })
        .fallback(async || Problem::not_found("resource"))
        .with_state(sync)
}
