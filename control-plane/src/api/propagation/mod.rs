//! `/v1/propagation`: how far a revision has come; and the receipts that writes carry in their answers.
//!
//! A write that filters must learn of is answered when no worker is pending any more, or when the time is over that
//! the caller gives it (`wait_ms`). The write itself lasts either way.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

pub mod get;

use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::Revision;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use crate::domain::timestamp::Timestamp;
use crate::fleet::Receipt;

/// How long a write waits for its receipt unless the caller says, in milliseconds.
const WAIT_MS: u32 = 2_000;
/// The longest that it does.
const WAIT_MS_MAX: u32 = 30_000;

/// How long to wait for workers.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// How long to wait until every worker has applied the change, in milliseconds.
    #[serde(default)]
    #[param(value_type = u32, required = false, minimum = 0, maximum = 30_000, default = 2_000)]
    pub wait_ms: Wait,
}

/// How long a receipt is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Wait(Duration);

impl Wait {
    /// Not at all.
    pub const NONE: Self = Self(Duration::ZERO);
}

impl Default for Wait {
    fn default() -> Self {
        Self(Duration::from_millis(WAIT_MS.into()))
    }
}

impl TryFrom<u32> for Wait {
    type Error = String;

    fn try_from(ms: u32) -> Result<Self, String> {
        let fits = ms <= WAIT_MS_MAX;
        fits.then(|| Self(Duration::from_millis(ms.into()))).ok_or_else(|| format!("expected 0 to {WAIT_MS_MAX}"))
    }
}

/// What a write has left, and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Written<T> {
    #[serde(flatten)]
    view: T,
    /// How far the change has come; null where filters have nothing to learn of it.
    #[schema(required = true)]
    propagation: Option<PropagationView>,
}

impl<T> Written<T> {
    /// The answer of a write, with its receipt.
    pub const fn new(view: T, propagation: Option<PropagationView>) -> Self {
        Self { view, propagation }
    }
}

/// Whether a change is enforced everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PropagationStatus {
    /// No worker goes by what was before.
    Complete,
    /// Some worker may.
    Pending,
}

/// How far a revision has come: which workers have applied it, and which have not.
#[derive(Debug, Serialize, ToSchema)]
pub struct PropagationView {
    revision: Revision,
    status: PropagationStatus,
    /// How many workers count: all that have polled, until ten minutes of silence.
    #[schema(example = 3)]
    workers_total: usize,
    /// How many of them have applied it.
    #[schema(example = 3)]
    workers_applied: usize,
    /// How many have not, and have stopped accepting anything for want of contact (`max_staleness_seconds`).
    workers_stopped: usize,
    /// How long after the commit this was so; null for what was committed before this control plane began to serve.
    #[schema(required = true, example = 6)]
    elapsed_ms: Option<u64>,
    /// The workers that may still go by what was before.
    pending: Vec<PendingWorker>,
    /// When each of these has applied it or accepts nothing any more; null if none is pending, or if one of them is
    /// under no `max_staleness_seconds`.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    enforced_by: Option<Timestamp>,
    /// After a restore: until then there may be workers that the backup does not know, and nothing is complete.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    settling_until: Option<Timestamp>,
}

/// A worker that has not applied a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingWorker {
    #[schema(value_type = String, example = "gtw_0fq3s7m2k9x4b")]
    gateway: GatewayId,
    /// The node id of its Envoy.
    #[schema(required = true)]
    node: Option<String>,
    /// Its name, new with each start.
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// What it has applied; null before its first snapshot.
    #[schema(value_type = Option<u64>, required = true)]
    revision: Option<Revision>,
}

impl From<Receipt> for PropagationView {
    fn from(receipt: Receipt) -> Self {
        let complete = receipt.is_complete();
        let propagation = receipt.propagation;
        Self {
            revision: receipt.revision,
            status: if complete { PropagationStatus::Complete } else { PropagationStatus::Pending },
            workers_total: propagation.total,
            workers_applied: propagation.applied,
            workers_stopped: propagation.stopped,
            elapsed_ms: receipt.elapsed.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            pending: propagation.pending.into_iter().map(PendingWorker::from).collect(),
            enforced_by: receipt.enforced_by,
            settling_until: receipt.settling_until,
        }
    }
}

impl From<(GatewayId, Worker)> for PendingWorker {
    fn from((gateway, worker): (GatewayId, Worker)) -> Self {
        Self {
            gateway,
            node: worker.node,
            worker: worker.name,
            last_seen_at: Timestamp::from_unix_ms(worker.last_seen_ms),
            revision: worker.applied.map(|cursor| cursor.revision),
        }
    }
}

impl App {
    /// The receipt of a write that was committed as `revision`, if filters have anything to learn of it.
    pub async fn receipt(&self, revision: Option<Revision>, wait: Wait) -> Option<PropagationView> {
        let Wait(wait) = wait;
        self.fleet.receipt(revision?, wait).await.map(PropagationView::from)
    }

    /// The receipt of a write that found nothing left to do: that of the newest revision, which comes after the one
    /// that did it.
    pub async fn receipt_of_all(&self, wait: Wait) -> Option<PropagationView> {
        self.receipt(Some(self.store.feed().news().revision), wait).await
    }
}
