//! What a receipt says: how far a revision has come, and where each worker stands with it.

use super::Worker;
use crate::id::GatewayId;

/// How far a revision has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagation {
    /// Since when it has been known to be committed, by the monotonic clock.
    pub noted_at_us: u64,
    /// How many workers count.
    pub total: usize,
    /// How many of them have applied it.
    pub applied: usize,
    /// How many more have stopped accepting anything.
    pub stopped: usize,
    /// The others.
    pub pending: Vec<(GatewayId, Worker)>,
    /// When the last of these will have stopped, by the monotonic clock, if each of them runs under a bound.
    pub enforced_at_us: Option<u64>,
    /// Until then there may be workers that are not known, by the monotonic clock.
    pub settles_at_us: Option<u64>,
}

impl Propagation {
    /// Whether no worker accepts any more what the revision took away.
    pub const fn is_complete(&self) -> bool {
        self.pending.is_empty() && self.settles_at_us.is_none()
    }
}

/// Where a worker stands with a revision.
pub enum Standing {
    /// It has applied it.
    Applied,
    /// It has stopped accepting anything.
    Stopped,
    /// Neither. If it runs under a bound on its staleness, it stops by itself.
    Pending {
        /// When, by the monotonic clock.
        stops_at_us: Option<u64>,
    },
}
