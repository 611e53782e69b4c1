//! `/v1/gateways`: create, list, get with workers, delete.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;

use portcullis_core::id::GatewayId;
use portcullis_core::wire::{Cursor, Epoch, Revision};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fleet::Worker;
use crate::domain::gateway::Gateway;
use crate::domain::timestamp::Timestamp;

/// A gateway: a fleet of Envoys that share a token.
#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayView {
    #[schema(value_type = String, example = "gtw_0fq3s7m2k9x4b")]
    id: GatewayId,
    #[schema(example = "edge")]
    name: String,
    /// Its token, masked.
    #[schema(example = "pc_gwt_Ab…wxyz")]
    masked: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Its workers that have been in touch in the last ten minutes.
    workers: Vec<WorkerView>,
}

/// A worker of an Envoy.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerView {
    /// A random name, new with each start of the worker.
    id: String,
    /// The node id of its Envoy.
    #[schema(required = true)]
    node: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// The history of which it has applied `revision`; null before its first snapshot.
    #[schema(value_type = Option<String>, required = true)]
    epoch: Option<Epoch>,
    #[schema(value_type = Option<u64>, required = true)]
    revision: Option<Revision>,
    /// How many revisions it is behind; null if that cannot be said.
    #[schema(required = true)]
    lag: Option<u64>,
    /// The size of its memory.
    #[schema(required = true)]
    memory_bytes: Option<u64>,
}

impl GatewayView {
    /// A gateway with its workers, seen from `head`.
    pub fn new(gateway: Gateway, workers: Vec<Worker>, head: Cursor) -> Self {
        let workers = workers.into_iter().map(|worker| WorkerView::new(worker, head));
        Self {
            id: gateway.id,
            name: gateway.name.to_string(),
            masked: gateway.masked,
            created_at: gateway.created_at,
            workers: workers.collect(),
        }
    }
}

impl WorkerView {
    fn new(worker: Worker, head: Cursor) -> Self {
        let comparable = worker.applied.filter(|applied| applied.epoch == head.epoch);
        Self {
            id: worker.id,
            node: worker.node,
            last_seen_at: worker.last_seen_at,
            epoch: worker.applied.map(|applied| applied.epoch),
            revision: worker.applied.map(|applied| applied.revision),
            lag: comparable.map(|applied| head.revision.saturating_sub(applied.revision)),
            memory_bytes: worker.memory_bytes,
        }
    }
}
