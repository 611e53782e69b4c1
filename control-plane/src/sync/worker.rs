//! What a poll says about the worker that sends it.

use axum::http::HeaderMap;
use portcullis_core::id::GatewayId;
use portcullis_core::wire::{Ask, MEMORY_HEADER, NODE_HEADER, WORKER_HEADER};

use crate::domain::fleet::{Fleet, Sighting, Worker};
use crate::domain::timestamp::Timestamp;

/// The longest name of a worker.
const WORKER_BYTES_MAX: usize = 64;
/// The longest node id.
const NODE_BYTES_MAX: usize = 256;

/// Remembers the worker that sent a poll with these headers, if it names itself.
pub fn track(fleet: &Fleet, gateway: GatewayId, headers: &HeaderMap, ask: &Ask, now: Timestamp) {
    let Some(id) = visible(headers, WORKER_HEADER, WORKER_BYTES_MAX) else {
        return;
    };
    let applied = match ask {
        Ask::After { cursor, .. } => Some(*cursor),
        // What it has of a snapshot does not serve yet.
        Ask::Everything | Ask::Part { .. } | Ask::CatchUp { .. } => None,
    };
    let memory = visible(headers, MEMORY_HEADER, 20).and_then(|text| text.parse().ok());
    let worker = Worker {
        id: id.to_owned(),
        node: visible(headers, NODE_HEADER, NODE_BYTES_MAX).filter(|node| *node != "-").map(str::to_owned),
        last_seen_at: now,
        applied,
        memory_bytes: memory,
    };
    let node = worker.node.clone().unwrap_or_default();
    match fleet.saw(gateway, worker) {
        Sighting::New => tracing::info!(%gateway, worker = id, node, "worker appeared"),
        Sighting::Loaded => {
            let revision = applied.map(|cursor| cursor.revision);
            tracing::info!(%gateway, worker = id, node, revision, "worker has its first snapshot");
        }
        Sighting::Known => {}
    }
}

/// The value of a header, if it is visible ASCII of the right length: what is logged must not forge a line.
fn visible<'a>(headers: &'a HeaderMap, name: &str, bytes_max: usize) -> Option<&'a str> {
    let value = headers.get(name)?;
    let fits = (1..=bytes_max).contains(&value.len());
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    value.to_str().ok().filter(|_| fits && visible)
}
