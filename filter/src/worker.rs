//! What the root context and the request contexts of one worker share.
//!
//! An Envoy worker is one thread with one virtual machine, so sharing is a reference count and a cell. Envoy
//! defers whatever a callback asks for until the callback has returned, so no callback runs inside another; a
//! cell that is taken all the same is treated as a worker that cannot judge.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use portcullis_core::decide::Caller;
use portcullis_core::ledger::Ledger;
use portcullis_core::limit::Limiter;
use portcullis_core::outcome::Outcome;
use portcullis_core::sync::Replica;
use portcullis_core::verdict::Refusal;
use portcullis_core::wire::Counts;

use crate::call;
use crate::config::Config;
use crate::host;
use crate::identity::Identity;
use crate::metrics::Metrics;

/// The most requests that wait for the first key set; what comes after them is refused at once.
const HELD_MAX: usize = 10_000;
/// The most leases that are given back in one callback, each of which takes some 2 µs.
const LEASES_RETURNED_MAX: usize = 256;

/// The state of one worker.
#[derive(Debug, Default)]
pub struct Worker {
    /// The plugin configuration.
    pub config: Config,
    /// Who the worker is.
    pub identity: Identity,
    /// The key set, and how far it follows the control plane.
    pub replica: Replica,
    /// The counters.
    pub metrics: Metrics,
    /// The rate limits.
    pub limiter: Limiter,
    /// What has been used and not yet been reported.
    pub ledger: Ledger,
    held: VecDeque<Held>,
}

/// The handle on it that every context has.
pub type Shared = Rc<RefCell<Worker>>;

/// A request that waits for the first key set.
#[derive(Debug, Clone, Copy)]
struct Held {
    context: u32,
    deadline_ms: u64,
}

impl Worker {
    /// Lets a request wait from now on. False if too many do already, or if nothing is to wait at all.
    pub fn hold(&mut self, context: u32, now_ms: u64) -> bool {
        if self.held.len() >= HELD_MAX || self.config.hold_ms == 0 {
            return false;
        }
        let deadline_ms = now_ms.saturating_add(u64::from(self.config.hold_ms));
        self.held.push_back(Held { context, deadline_ms });
        true
    }

    /// Forgets a request that was held and has gone away.
    pub fn forget(&mut self, context: u32) {
        self.held.retain(|held| held.context != context);
    }

    /// Counts a refused request, as whose usage it is if that is known.
    pub fn count_refused(&mut self, refusal: Refusal, by: Option<Caller>) {
        self.metrics.count_request(refusal.row().label);
        if let Some(caller) = by {
            self.ledger.count(caller.account(Outcome::Refused(refusal)), Counts { requests: 1, ..Counts::default() });
        }
    }

    /// Tells the ledger what time it is. To be called before anything is judged by a new directory, and once a second.
    pub fn keep_time(&mut self) {
        if let Some(now_ms) = self.replica.now_ms(host::monotonic_ms()) {
            self.ledger.tick(now_ms);
        }
    }

    /// Lets other workers have what this one has taken of limits and does not use. To be called once a second, with the
    /// number of workers as far as it is known.
    pub fn tend_leases(&mut self, workers: Option<usize>) {
        if let Some(workers) = workers.and_then(|workers| u64::try_from(workers).ok()) {
            self.limiter.set_workers(workers);
        }
        self.limiter.give_back(&call::SharedValues, host::monotonic_ns(), LEASES_RETURNED_MAX);
    }

    /// Whether any request waits.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// The next request that need wait no longer: any one once there is a key set, before that those whose time
    /// is up. All wait equally long, so the first in the queue is the first to go.
    pub fn next_released(&mut self, now_ms: u64) -> Option<u32> {
        let ready = self.replica.directory().is_some();
        let released = |held: &mut Held| ready || held.deadline_ms <= now_ms;
        self.held.pop_front_if(released).map(|held| held.context)
    }
}
