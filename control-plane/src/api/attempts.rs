//! Attempts at a password, each weighed against those that failed before: [`Throttle`] for all operations together.
//!
//! An attempt begins before anything is looked up, so that one that has to wait costs nothing. It is a failure until
//! [`Attempts::end`] says otherwise: of a caller who goes away in between, too.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::throttle::{Attempt, Locked, Throttle};
use crate::domain::timestamp::Timestamp;

/// Who has failed lately. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<Mutex<Throttle>>);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was the right password.
    Right,
    /// It was a wrong one, or there is no such account.
    Wrong,
    /// The password was not looked at.
    Unknown,
}

impl Attempts {
    /// Lets an attempt at the account called `account` through, or says how long to wait.
    pub fn begin(&self, account: &str, origin: Option<IpAddr>, now: Timestamp) -> Result<Attempt, Locked> {
        self.throttle().attempt(account, origin.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), now)
    }

    /// Counts an attempt for what it was.
    pub fn end(&self, attempt: Attempt, ended: Ended) {
        let mut throttle = self.throttle();
        match ended {
            Ended::Right => throttle.succeeded(attempt),
            Ended::Wrong => throttle.failed(attempt),
            Ended::Unknown => throttle.abandoned(attempt),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // It is whole after every call, even if one panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
