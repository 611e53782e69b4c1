//! What is known of one worker: the newest revision that it has acknowledged, and when it did what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use portcullis_core::wire::{Ask, Poll};

/// What is known of one worker.
#[derive(Debug, Default)]
pub struct Station {
    /// The newest revision that it has acknowledged, and 1 more so that 0 stands for none.
    acknowledged: AtomicU64,
    log: Mutex<Log>,
}

/// What one worker has done since its start.
#[derive(Debug, Default)]
pub struct Log {
    /// When it had sent a poll that acknowledges a later revision than the poll before.
    pub acknowledgements: Vec<(Instant, u64)>,
    /// When it had sent the first poll on each of its connections.
    pub connections: Vec<Instant>,
    /// How many answers it got.
    pub answers: u64,
    /// How many bytes they had, heads included.
    pub bytes: u64,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Station {
    /// The newest revision that the worker has acknowledged.
    pub fn acknowledged(&self) -> Option<u64> {
        self.acknowledged.load(Ordering::SeqCst).checked_sub(1)
    }

    /// What the worker has done.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this poll was sent, on a connection that may be a new one.
    pub fn polled(&self, poll: Poll, connection_is_new: bool) {
        let now = Instant::now();
        if connection_is_new {
            self.log().connections.push(now);
        }
        if let Ask::After { cursor, .. } = poll.ask
            && self.acknowledged() < Some(cursor.revision)
        {
            self.log().acknowledgements.push((now, cursor.revision));
            self.acknowledged.store(cursor.revision + 1, Ordering::SeqCst);
        }
    }

    /// Notes that an answer of this many bytes came.
    pub fn answered(&self, bytes: usize) {
        let mut log = self.log();
        log.answers += 1;
        log.bytes += u64::try_from(bytes).unwrap_or(0);
    }

    /// Notes that a poll got no page.
    pub fn failed(&self, why: String) {
        self.log().failures.push(why);
    }
}
