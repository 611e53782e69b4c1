//! `/v1/gateways`: create, list, get with workers, change, give another token, delete. For operators alone.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod reissue;
pub mod workers;

use portcullis_core::id::{ApiId, GatewayId};
use portcullis_core::key::PlainKey;
use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::{Cursor, Epoch, Revision};
use serde::Serialize;
use utoipa::ToSchema;

use super::refusals::OneError;
use super::reveal;
use crate::domain::actor::Actor;
use crate::domain::fault::Faults;
use crate::domain::gateway::{Gateway, MAX_STALENESS_SECONDS, SERVED_APIS_MAX, Serves};
use crate::domain::timestamp::Timestamp;
use crate::storage::{StorageError, View};

/// Why a gateway cannot be called so.
const TAKEN: &str = "There is a gateway with this name already.";

/// A gateway with its token: the only answer that ever holds one.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedGateway {
    /// The token with which its workers ask the sync port. It is shown here and never again.
    #[serde(serialize_with = "reveal")]
    #[schema(value_type = String, example = "pc_gwt_Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwxyz12")]
    token: PlainKey,
    #[serde(flatten)]
    view: GatewayView,
}

/// The gateway with this id, if `actor` may know of it.
async fn handled(view: &mut View<'_>, id: GatewayId, actor: Actor) -> Result<Gateway, OneError> {
    let gateway = view.gateway(id).await?.ok_or(OneError::Unknown("gateway"))?;
    actor.sees_gateways().map_err(|denied| OneError::Denied(denied, "gateway"))?;
    Ok(gateway)
}

/// Which APIs `references`, ids or names, come to.
async fn resolve(view: &mut View<'_>, references: &[String]) -> Result<Result<Serves, Faults>, StorageError> {
    let mut faults = Faults::default();
    if references.len() > SERVED_APIS_MAX {
        return Ok(Err(Faults::one("/apis", format!("name at most {SERVED_APIS_MAX} APIs, or null for all"))));
    }
    let mut apis = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().enumerate() {
        match view.api_named(reference).await? {
            Some(api) => apis.push(api.id),
            None => faults.add(format!("/apis/{index}"), "there is no API with this id or name"),
        }
    }
    apis.sort_unstable();
    apis.dedup();
    Ok(faults.check().map(|()| Serves::Apis(apis)))
}

/// A bound on the staleness of workers, as it is stored.
fn max_staleness_ms(seconds: u32) -> Result<u64, Faults> {
    if MAX_STALENESS_SECONDS.contains(&seconds) {
        return Ok(u64::from(seconds) * 1_000);
    }
    let (least, most) = (MAX_STALENESS_SECONDS.start(), MAX_STALENESS_SECONDS.end());
    Err(Faults::one("/max_staleness_seconds", format!("expected {least} to {most}, or null for none")))
}

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
    /// The ids of the APIs that it serves, and of whose keys it is told; null if it serves all.
    #[schema(value_type = Option<Vec<String>>, required = true)]
    apis: Option<Vec<ApiId>>,
    /// After this long without contact its workers refuse every request; null if they go on with what they know.
    #[schema(required = true, example = 30)]
    max_staleness_seconds: Option<u64>,
    /// Its workers, until they have been silent for ten minutes.
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
    /// The longest time without contact after which it refuses every request; null if it never does.
    #[schema(required = true)]
    max_staleness_seconds: Option<u64>,
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
            apis: match gateway.serves {
                Serves::Everything => None,
                Serves::Apis(apis) => Some(apis),
            },
            max_staleness_seconds: gateway.max_staleness_ms.map(|ms| ms / 1_000),
            workers: workers.collect(),
        }
    }
}

impl WorkerView {
    fn new(worker: Worker, head: Cursor) -> Self {
        let comparable = worker.applied.filter(|applied| applied.epoch == head.epoch);
        Self {
            id: worker.name,
            node: worker.node,
            last_seen_at: Timestamp::from_unix_ms(worker.last_seen_ms),
            epoch: worker.applied.map(|applied| applied.epoch),
            revision: worker.applied.map(|applied| applied.revision),
            lag: comparable.map(|applied| head.revision.saturating_sub(applied.revision)),
            max_staleness_seconds: worker.bound_ms.map(|ms| ms / 1_000),
            memory_bytes: worker.memory_bytes,
        }
    }
}
