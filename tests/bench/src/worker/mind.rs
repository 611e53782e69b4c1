//! What a worker asks and what it makes of the answers: as a follower, or as the real state machine.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_core::sync::{Rejection, Replica, Step};
use portcullis_core::wire::{Header, Poll};

use super::answer::Incoming;
use super::follower::{Follower, Unasked};
use super::skim::Skim;

/// How a worker makes up its mind.
pub trait Mind {
    /// What it wants of a page.
    type Incoming: Incoming;

    /// The next question. `now_ms` is what a monotonic clock shows.
    fn poll(&mut self, now_ms: u64) -> Poll;

    /// Takes the page that answers `poll`.
    fn answered(
        &mut self,
        poll: Poll,
        page: <Self::Incoming as Incoming>::Page,
        now_ms: u64,
    ) -> Result<(), NotFollowed>;

    /// How long to pause after a poll that got no page, in milliseconds. `random` is any number.
    fn failed(&mut self, random: u32) -> u64;
}

/// Why a page was not used.
#[derive(Debug, thiserror::Error)]
pub enum NotFollowed {
    /// By a follower.
    #[error(transparent)]
    Unasked(#[from] Unasked),
    /// By a real worker.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl Mind for Follower {
    type Incoming = Skim;

    fn poll(&mut self, _: u64) -> Poll {
        self.next_poll()
    }

    fn answered(&mut self, poll: Poll, header: Header, _: u64) -> Result<(), NotFollowed> {
        Ok(self.follow(poll, header)?)
    }

    fn failed(&mut self, random: u32) -> u64 {
        self.pause_ms(random)
    }
}

/// Shared, so that its directory can be looked at.
impl Mind for Rc<RefCell<Replica>> {
    type Incoming = Vec<u8>;

    fn poll(&mut self, now_ms: u64) -> Poll {
        self.borrow_mut().poll(now_ms)
    }

    fn answered(&mut self, _: Poll, page: Vec<u8>, now_ms: u64) -> Result<(), NotFollowed> {
        let mut replica = self.borrow_mut();
        let (mut step, mut outcome) = replica.answered(page, now_ms, 0);
        // No request waits here for its turn, so all slices are taken at once.
        while step == Step::Work {
            outcome?;
            (step, outcome) = replica.work(0);
        }
        Ok(outcome?)
    }

    fn failed(&mut self, random: u32) -> u64 {
        match self.borrow_mut().failed(random) {
            Step::PollAfter(pause_ms) => pause_ms.into(),
            Step::Poll | Step::Work | Step::Ignore => 0,
        }
    }
}
