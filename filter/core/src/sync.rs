//! How a worker follows its control plane: a state machine without I/O.
//!
//! The adapter around it sends what [`Replica::poll`] asks, gives the answer to [`Replica::answered`] or
//! [`Replica::failed`], and does as it is told: poll again at once, or later.
//!
//! ```text
//!   Ask::Everything ──► part 0 ──► Ask::Part 1, 2 … ──► Ask::CatchUp ──► swap ──► Ask::After ◄─┐
//!         ▲               ▲                                  │                        │  delta │
//!         │               └── another snapshot, other epoch ─┴────────────────────────┤ ───────┘
//!         └──────────────────────────────────────────────────────────────────── gap ──┘
//! ```
//!
//! - Only the answer to the last poll counts, known by its number: what is late or repeated is ignored.
//! - A page is used whole or not at all. A snapshot is built aside, and so is what has changed since it was made: it
//!   takes over when there is nothing more, so that a key that was deleted before a worker began never opens
//!   anything there. Until then, and whatever goes wrong, the directory that was there serves on.
//! - A delta must begin at the revision that the worker has. If it does not, something is missing, and the
//!   worker asks for everything. So it does when the epoch changes.
//! - A lower revision in the same epoch is refused: a control plane that has gone back in time could bring a
//!   deleted key back.
//! - After a failure the next poll waits 100 ms, then twice as long each time up to 2 s, less up to a half at
//!   random, so that a fleet does not come back in step.

use crate::api;
use crate::directory::Directory;
use crate::wire::{Ask, Content, Cursor, Header, Page, PageError, Poll, Record};

/// How long a poll may be held back by the control plane while there is nothing new, in milliseconds.
pub const POLL_WAIT_MS: u32 = 20_000;
/// The first and the longest pause after a failed poll, in milliseconds.
pub const BACK_OFF_MS: (u32, u32) = (100, 2_000);

/// One worker's copy of what its control plane knows.
#[derive(Debug, Default)]
pub struct Replica {
    serving: Option<Copy>,
    staging: Option<Staging>,
    /// Set when what serves can no longer be brought up to date by deltas.
    resync: bool,
    polls: u64,
    outstanding: Option<Poll>,
    failures: u32,
    clock: Option<ServerClock>,
}

/// A directory and the point in history at which it stands.
#[derive(Debug)]
struct Copy {
    at: Cursor,
    directory: Directory,
}

/// A snapshot that does not serve yet.
#[derive(Debug)]
struct Staging {
    copy: Copy,
    next_part: u32,
    parts: u32,
}

/// The control plane's clock, carried forward by a monotonic one.
#[derive(Debug, Clone, Copy)]
struct ServerClock {
    server_ms: u64,
    monotonic_ms: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Poll again at once.
    Poll,
    /// Poll again after this many milliseconds.
    PollAfter(u32),
    /// The answer was to another poll: go on waiting for the one that is outstanding.
    Ignore,
}

/// Why an answer was not used. The directory is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The bytes are no page.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A record contradicts itself.
    #[error("record {0} of the page cannot be applied")]
    Record(usize),
    /// The page answers a question that was not asked.
    #[error("the page is not what was asked for")]
    Unasked,
    /// The control plane has gone back in time without a new epoch.
    #[error("the control plane offers revision {offered} after {applied} in the same epoch")]
    Rollback {
        /// The revision of the directory that serves.
        applied: u64,
        /// The lower one that was offered.
        offered: u64,
    },
}

impl Replica {
    /// The directory that requests are judged by, once there is one.
    pub fn directory(&self) -> Option<&Directory> {
        Some(&self.serving.as_ref()?.directory)
    }

    /// The point in history at which the directory stands.
    pub fn cursor(&self) -> Option<Cursor> {
        Some(self.serving.as_ref()?.at)
    }

    /// The control plane's time, in milliseconds since the Unix epoch, when the monotonic clock shows
    /// `monotonic_ms`. It is known once there is a directory.
    pub fn now_ms(&self, monotonic_ms: u64) -> Option<u64> {
        let clock = self.clock?;
        let elapsed = monotonic_ms.saturating_sub(clock.monotonic_ms);
        Some(clock.server_ms.saturating_add(elapsed))
    }

    /// The next question, to be sent now. Only its answer will count.
    pub fn poll(&mut self, _monotonic_ms: u64) -> Poll {
        self.polls = self.polls.saturating_add(1);
        let ask = match (&self.staging, &self.serving) {
            (Some(Staging { copy, next_part, parts }), _) if next_part < parts => {
                Ask::Part { at: copy.at, part: *next_part }
            }
            (Some(Staging { copy, .. }), _) => Ask::CatchUp { at: copy.at },
            (None, Some(serving)) if !self.resync => Ask::After { cursor: serving.at, wait_ms: POLL_WAIT_MS },
            (None, _) => Ask::Everything,
        };
        let poll = Poll { number: self.polls, ask };
        self.outstanding = Some(poll);
        poll
    }

    /// Takes the bytes that answer a poll. `random` is any random number.
    ///
    /// After a rejection the next step is a pause; the reason is for the log.
    pub fn answered(&mut self, answer: Vec<u8>, monotonic_ms: u64, random: u32) -> (Step, Result<(), Rejection>) {
        let page = match Page::parse(&answer) {
            Ok(page) => page,
            Err(error) => return (self.failed(random), Err(error.into())),
        };
        let Some(poll) = self.outstanding else {
            return (Step::Ignore, Ok(()));
        };
        if page.header.poll != poll.number {
            return (Step::Ignore, Ok(()));
        }
        self.outstanding = None;
        let header = page.header;
        match self.apply(poll.ask, page) {
            Ok(()) => {
                self.failures = 0;
                self.clock = Some(ServerClock { server_ms: header.now_ms, monotonic_ms });
                (Step::Poll, Ok(()))
            }
            Err(rejection) => (self.failed(random), Err(rejection)),
        }
    }

    /// Takes note that the outstanding poll got no answer. `random` is any random number.
    pub fn failed(&mut self, random: u32) -> Step {
        self.outstanding = None;
        let (first, longest) = BACK_OFF_MS;
        let doubled = first.checked_shl(self.failures.min(16)).unwrap_or(longest);
        let pause = doubled.min(longest);
        self.failures = self.failures.saturating_add(1);
        let less = random.checked_rem((pause / 2).max(1)).unwrap_or(0);
        Step::PollAfter(pause.saturating_sub(less))
    }

    fn apply(&mut self, ask: Ask, page: Page) -> Result<(), Rejection> {
        if let Some(index) = page.records.iter().position(|record| !is_sound(record)) {
            return Err(Rejection::Record(index));
        }
        let Header { epoch, content, .. } = page.header;
        match (ask, content) {
            (Ask::After { .. }, Content::Delta { from, to, .. }) => {
                let from = Cursor { epoch, revision: from };
                let applied = self.serving.as_mut().map(|serving| serving.advance(from, to, page.records));
                let applied = applied.unwrap_or(Err(Rejection::Unasked));
                // Whatever kept it from advancing, the next delta would meet it again.
                self.resync |= applied.is_err();
                applied
            }
            (Ask::CatchUp { .. }, Content::Delta { from, to, more }) => {
                let from = Cursor { epoch, revision: from };
                let mut staging = self.staging.take().ok_or(Rejection::Unasked)?;
                staging.copy.advance(from, to, page.records)?;
                if more {
                    self.staging = Some(staging);
                    return Ok(());
                }
                self.swap_in(staging.copy)
            }
            (Ask::Everything | Ask::Part { .. }, Content::Delta { .. }) => Err(Rejection::Unasked),
            (_, Content::Snapshot { revision, part: 0, parts, keys }) => {
                let at = Cursor { epoch, revision };
                let directory = Directory::with_capacity(usize::try_from(keys).unwrap_or(0));
                self.add_part(Staging { copy: Copy { at, directory }, next_part: 0, parts }, page.records)
            }
            (Ask::Part { at, part: asked }, Content::Snapshot { revision, part, parts, .. }) => {
                let staging = self
                    .staging
                    .take_if(|staging| at == Cursor { epoch, revision } && asked == part && staging.parts == parts);
                self.add_part(staging.ok_or(Rejection::Unasked)?, page.records)
            }
            (Ask::Everything | Ask::CatchUp { .. } | Ask::After { .. }, Content::Snapshot { .. }) => {
                Err(Rejection::Unasked)
            }
        }
    }

    /// Adds the next part to a snapshot.
    fn add_part(&mut self, mut staging: Staging, records: Vec<Record>) -> Result<(), Rejection> {
        if staging.next_part >= staging.parts {
            return Err(Rejection::Unasked);
        }
        staging.copy.apply(records)?;
        staging.next_part = staging.next_part.saturating_add(1);
        self.staging = Some(staging);
        Ok(())
    }

    /// Lets a snapshot that is whole and up to date serve.
    fn swap_in(&mut self, copy: Copy) -> Result<(), Rejection> {
        if let Some(serving) = &self.serving
            && serving.at.epoch == copy.at.epoch
            && serving.at.revision > copy.at.revision
        {
            let (applied, offered) = (serving.at.revision, copy.at.revision);
            return Err(Rejection::Rollback { applied, offered });
        }
        self.resync = false;
        self.serving = Some(copy);
        Ok(())
    }
}

impl Copy {
    /// Applies a delta that must begin exactly here.
    fn advance(&mut self, from: Cursor, to: u64, records: Vec<Record>) -> Result<(), Rejection> {
        if from != self.at || to < from.revision {
            return Err(Rejection::Unasked);
        }
        // Deletions stand first, so a delta that breaks off errs towards refusing.
        self.apply(records)?;
        self.at.revision = to;
        Ok(())
    }

    fn apply(&mut self, records: Vec<Record>) -> Result<(), Rejection> {
        for (index, record) in records.into_iter().enumerate() {
            self.directory.apply(record).map_err(|_| Rejection::Record(index))?;
        }
        Ok(())
    }
}

/// Whether a record can be applied to any directory.
fn is_sound(record: &Record) -> bool {
    match record {
        Record::Api(api) => api::checked(api).is_ok(),
        Record::Key(_) | Record::DeleteKey(_) | Record::DeleteApi(_) => true,
    }
}
