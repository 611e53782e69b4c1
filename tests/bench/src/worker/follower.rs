//! A worker's cursor without a worker's memory: what to ask next, judged by the headers of pages alone.
//!
//! It asks what `portcullis_core::sync::Replica` would ask, so that the control plane has the same work with it. Whatever
//! does not follow from what it asked is an error, and it begins anew; in a run without faults there must be none.

use portcullis_core::sync::{BACK_OFF_MS, POLL_WAIT_MS};
use portcullis_core::wire::{Ask, Content, Cursor, Header, Poll};

/// The page does not answer what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{header:?} is no answer to {poll:?}")]
pub struct Unasked {
    poll: Poll,
    header: Header,
}

/// The cursor of one worker.
#[derive(Debug, Default)]
pub struct Follower {
    polls: u64,
    place: Place,
    failures: u32,
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    /// Within a snapshot.
    Loading { at: Cursor, next: u32, parts: u32 },
    /// Serving.
    Following(Cursor),
}

impl Follower {
    /// The next question.
    pub fn next_poll(&mut self) -> Poll {
        self.polls += 1;
        let ask = match self.place {
            Place::Nowhere => Ask::Everything,
            Place::Loading { at, next, parts } if next < parts => Ask::Part { at, part: next },
            Place::Loading { at, .. } => Ask::CatchUp { at },
            Place::Following(cursor) => Ask::After { cursor, wait_ms: POLL_WAIT_MS },
        };
        Poll { number: self.polls, ask }
    }

    /// Takes the header of the page that answers `poll`.
    pub fn follow(&mut self, poll: Poll, header: Header) -> Result<(), Unasked> {
        let place = if header.poll == poll.number { next_place(poll.ask, header) } else { None };
        if let Some(place) = place {
            self.place = place;
            self.failures = 0;
            return Ok(());
        }
        self.place = Place::Nowhere;
        Err(Unasked { poll, header })
    }

    /// How long to pause after a poll that got no page, in milliseconds: as a worker does. `random` is any number.
    pub fn pause_ms(&mut self, random: u32) -> u64 {
        let (first, longest) = BACK_OFF_MS;
        let pause = (first << self.failures.min(16)).min(longest);
        self.failures += 1;
        u64::from(pause - random % (pause / 2))
    }
}

fn next_place(ask: Ask, header: Header) -> Option<Place> {
    let at = |revision| Cursor { epoch: header.epoch, revision };
    match (ask, header.content) {
        (Ask::After { cursor, .. }, Content::Delta { from, to, .. }) if cursor == at(from) && to >= from => {
            Some(Place::Following(at(to)))
        }
        (Ask::CatchUp { at: staged }, Content::Delta { from, to, more }) if staged == at(from) && to >= from => {
            Some(if more { Place::Loading { at: at(to), next: 0, parts: 0 } } else { Place::Following(at(to)) })
        }
        (_, Content::Snapshot { revision, part: 0, parts, .. }) => {
            Some(Place::Loading { at: at(revision), next: 1, parts })
        }
        (Ask::Part { at: begun, part: asked }, Content::Snapshot { revision, part, parts, .. })
            if begun == at(revision) && asked == part =>
        {
            Some(Place::Loading { at: begun, next: part + 1, parts })
        }
        (_, Content::Delta { .. } | Content::Snapshot { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::sync::{Replica, Step};
    use portcullis_core::wire::{Body, Epoch};

    use super::*;

    /// The law: it asks what a worker asks, whatever pages come.
    #[test]
    fn it_asks_what_a_worker_asks() {
        let delta = |from, to, more| Content::Delta { from, to, more };
        let part = |part| Content::Snapshot { revision: 5, part, parts: 3, keys: 0 };
        let pages = [
            part(0),
            part(1),
            part(2),
            delta(5, 7, true),
            delta(7, 9, false),
            delta(9, 9, false),
            delta(9, 12, true),
            delta(12, 13, false),
            part(0),
            part(1),
            part(0),
        ];
        let (mut follower, mut replica) = (Follower::default(), Replica::default());
        for content in pages {
            let poll = follower.next_poll();
            assert_eq!(poll, replica.poll(1), "before {content:?}");
            let header = Header { poll: poll.number, epoch: Epoch::from_number(1), now_ms: 1, lease: None, content };
            follower.follow(poll, header).unwrap();
            let (step, outcome) = replica.answered(Body::default().page(&header).unwrap(), 1, 0);
            assert_eq!((step, outcome), (Step::Poll, Ok(())), "{content:?}");
        }
        assert_eq!(follower.next_poll(), replica.poll(1));
    }

    #[test]
    fn a_gap_is_an_error_and_it_begins_anew() {
        let mut follower = Follower::default();
        let epoch = Epoch::from_number(1);
        follower.place = Place::Following(Cursor { epoch, revision: 4 });
        let poll = follower.next_poll();
        let content = Content::Delta { from: 5, to: 6, more: false };
        follower.follow(poll, Header { poll: 1, epoch, now_ms: 1, lease: None, content }).unwrap_err();
        assert_eq!(follower.next_poll().ask, Ask::Everything);
    }
}
