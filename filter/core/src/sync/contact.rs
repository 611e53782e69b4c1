//! What answers tell of time: what the control plane's clock shows, and when the worker was last up to date.

use crate::wire::{Epoch, Lease};

/// The control plane's clock, carried forward by a monotonic one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerClock {
    server_ms: u64,
    monotonic_ms: u64,
}

impl ServerClock {
    /// The control plane's clock showed `server_ms` when the monotonic one showed `monotonic_ms`.
    pub(super) const fn new(server_ms: u64, monotonic_ms: u64) -> Self {
        Self { server_ms, monotonic_ms }
    }

    /// What it shows when the monotonic one shows `monotonic_ms`.
    pub(super) const fn now_ms(self, monotonic_ms: u64) -> u64 {
        let elapsed_ms = monotonic_ms.saturating_sub(self.monotonic_ms);
        self.server_ms.saturating_add(elapsed_ms)
    }
}

/// A moment at which the worker had all that there was in the history of one epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contact {
    epoch: Epoch,
    /// By the monotonic clock. It may be before that clock began.
    at_ms: i128,
}

impl Contact {
    /// What an answer without more to come proves of the time at which its poll was sent: the control plane answered
    /// later than that, and what it said was no older than it says.
    pub(super) fn new(epoch: Epoch, sent_ms: u64, lease: Option<Lease>) -> Self {
        let age_ms = lease.map_or(0, |lease| lease.age_ms);
        Self { epoch, at_ms: i128::from(sent_ms).saturating_sub(i128::from(age_ms)) }
    }

    /// The later of the two: an answer that is old in itself does not undo what a fresher one has shown. But what was
    /// heard of another epoch says nothing of this one.
    pub(super) fn or_later(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.epoch == self.epoch && other.at_ms > self.at_ms => other,
            Some(_) | None => self,
        }
    }

    /// How long ago that is.
    pub(super) fn staleness_ms(self, monotonic_ms: u64) -> u64 {
        let staleness_ms = i128::from(monotonic_ms).saturating_sub(self.at_ms);
        u64::try_from(staleness_ms.max(0)).unwrap_or(u64::MAX)
    }
}
