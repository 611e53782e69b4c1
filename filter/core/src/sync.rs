//! How a worker follows its control plane: a state machine without I/O.
//!
//! The adapter around it sends what [`Replica::poll`] asks, gives the answer to [`Replica::answered`] or
//! [`Replica::failed`], and does as it is told: poll again at once, or later, or call [`Replica::work`] first.
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
//! - A large page is taken in by slices, between which requests are judged by the directory that was there. Only a
//!   delta to the directory that serves is applied in one go, once all of it has been read.
//! - A delta must begin at the revision that the worker has. If it does not, something is missing, and the
//!   worker asks for everything. So it does when the epoch changes.
//! - A lower revision in the same epoch is refused: a control plane that has gone back in time could bring a
//!   deleted key back.
//! - An answer that brings the worker to the head shows that it was current when it asked. If answers carry a lease,
//!   and the last such moment is longer ago than that allows, the directory is stale: nothing is judged by it, and
//!   polls go on.
//! - After a failure the next poll waits 100 ms, then twice as long each time up to 2 s, less up to a half at
//!   random, so that a fleet does not come back in step.

mod contact;
mod copy;
mod intake;

use crate::directory::{Directory, Serving};
use crate::wire::{Ask, Content, Cursor, OpenPage, PageError, Poll};

use contact::{Contact, ServerClock};
use copy::{Copy, Staging};
use intake::{Answer, Intake, Phase, Sent};

/// How long a poll may be held back by the control plane while there is nothing new, in milliseconds.
pub const POLL_WAIT_MS: u32 = 20_000;
/// The first and the longest pause after a failed poll, in milliseconds.
pub const BACK_OFF_MS: (u32, u32) = (100, 2_000);

/// How much of a page is taken in at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// How many bytes are read, but one record at least. A page that is no longer is read at once.
    pub bytes: usize,
    /// How many records are added to a snapshot, but one at least.
    pub records: usize,
}

/// What takes 1 to 2 ms in WebAssembly: 1,300 keys are read in 1.2 ms, and a page of 5,300 is added in 0.8 ms.
/// tests/e2e/scale.rs prints what it comes to.
impl Default for Slice {
    fn default() -> Self {
        Self { bytes: 256 * 1024, records: 8_192 }
    }
}

/// One worker's copy of what its control plane knows.
#[derive(Debug, Default)]
pub struct Replica {
    serving: Option<Copy>,
    staging: Option<Staging>,
    /// A page that has not been taken in to its end. No poll is outstanding then.
    intake: Option<Intake>,
    /// Set when what serves can no longer be brought up to date by deltas.
    resync: bool,
    polls: u64,
    outstanding: Option<Sent>,
    failures: u32,
    clock: Option<ServerClock>,
    contact: Option<Contact>,
    max_staleness_ms: Option<u64>,
    slice: Slice,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Poll again at once.
    Poll,
    /// Poll again after this many milliseconds.
    PollAfter(u32),
    /// Call [`Replica::work`] as soon as requests have had their turn.
    Work,
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
    /// A replica that takes pages in by slices of this size.
    pub fn with_slice(slice: Slice) -> Self {
        Self { slice, ..Self::default() }
    }

    /// What requests are judged by. The monotonic clock is read only if the directory can become stale.
    pub fn serving(&self, monotonic_ms: impl FnOnce() -> u64) -> Serving<'_> {
        let Some(Copy { directory, .. }) = &self.serving else {
            return Serving::Nothing;
        };
        let Some(max_staleness_ms) = self.max_staleness_ms else {
            return Serving::Current(directory);
        };
        match self.staleness_ms(monotonic_ms()) {
            Some(staleness_ms) if staleness_ms <= max_staleness_ms => Serving::Current(directory),
            Some(_) | None => Serving::Stale,
        }
    }

    /// The last directory that took over, whether or not it is stale by now.
    pub fn directory(&self) -> Option<&Directory> {
        Some(&self.serving.as_ref()?.directory)
    }

    /// The point in history at which the directory stands.
    pub fn cursor(&self) -> Option<Cursor> {
        Some(self.serving.as_ref()?.at)
    }

    /// How long it may be since the directory was current, in milliseconds.
    pub fn staleness_ms(&self, monotonic_ms: u64) -> Option<u64> {
        Some(self.contact?.staleness_ms(monotonic_ms))
    }

    /// How long that may be, as the last accepted answer said.
    pub const fn max_staleness_ms(&self) -> Option<u64> {
        self.max_staleness_ms
    }

    /// The control plane's time, in milliseconds since the Unix epoch, when the monotonic clock shows
    /// `monotonic_ms`. It is known once there is a directory.
    pub fn now_ms(&self, monotonic_ms: u64) -> Option<u64> {
        Some(self.clock?.now_ms(monotonic_ms))
    }

    /// The next question, to be sent now. Only its answer will count; a page that is being taken in is given up.
    pub fn poll(&mut self, monotonic_ms: u64) -> Poll {
        self.intake = None;
        self.polls = self.polls.saturating_add(1);
        let ask = match (&self.staging, &self.serving) {
            (Some(staging), _) => staging.next_ask(),
            (None, Some(serving)) if !self.resync => Ask::After { cursor: serving.at, wait_ms: self.wait_ms() },
            (None, _) => Ask::Everything,
        };
        let poll = Poll { number: self.polls, ask };
        self.outstanding = Some(Sent { poll, at_ms: monotonic_ms });
        poll
    }

    /// A worker that may go stale asks more often: it can lose an answer and be in time with the next one.
    fn wait_ms(&self) -> u32 {
        let third_ms = self.max_staleness_ms.map_or(u64::MAX, |max_staleness_ms| max_staleness_ms / 3);
        u32::try_from(third_ms).map_or(POLL_WAIT_MS, |third_ms| third_ms.min(POLL_WAIT_MS))
    }

    /// Takes the bytes that answer a poll. `random` is any random number.
    ///
    /// After a rejection the next step is a pause; the reason is for the log.
    pub fn answered(&mut self, answer: Vec<u8>, monotonic_ms: u64, random: u32) -> (Step, Result<(), Rejection>) {
        let Some(sent) = self.outstanding else {
            let step = if self.intake.is_some() { Step::Work } else { Step::Ignore };
            return (step, Ok(()));
        };
        let page = match OpenPage::open(answer) {
            Ok(page) => page,
            Err(error) => return (self.failed(random), Err(error.into())),
        };
        if page.header().poll != sent.poll.number {
            return (Step::Ignore, Ok(()));
        }
        self.outstanding = None;
        let is_large = page.unread_bytes() > self.slice.bytes;
        let answer = Answer { sent, header: page.header(), arrived_ms: monotonic_ms };
        self.intake = Some(Intake { answer, phase: Phase::of(page) });
        if is_large { (Step::Work, Ok(())) } else { self.work(random) }
    }

    /// Takes in the next slice of a page. `random` is any random number.
    ///
    /// After a rejection the next step is a pause, as with [`Self::answered`].
    pub fn work(&mut self, random: u32) -> (Step, Result<(), Rejection>) {
        let Some(Intake { answer, phase }) = self.intake.take() else {
            return (Step::Ignore, Ok(()));
        };
        match self.take_in(answer, phase) {
            Ok(Some(phase)) => {
                self.intake = Some(Intake { answer, phase });
                (Step::Work, Ok(()))
            }
            Ok(None) => {
                self.accept(answer);
                (Step::Poll, Ok(()))
            }
            Err(rejection) => (self.failed(random), Err(rejection)),
        }
    }

    /// Takes note that the outstanding poll got no answer. `random` is any random number.
    pub fn failed(&mut self, random: u32) -> Step {
        if self.intake.is_some() {
            return Step::Work;
        }
        self.outstanding = None;
        let (first, longest) = BACK_OFF_MS;
        let doubled = first.checked_shl(self.failures.min(16)).unwrap_or(longest);
        let pause = doubled.min(longest);
        self.failures = self.failures.saturating_add(1);
        let less = random.checked_rem((pause / 2).max(1)).unwrap_or(0);
        Step::PollAfter(pause.saturating_sub(less))
    }

    /// Believes what an answer says besides its records, once they are all in.
    fn accept(&mut self, answer: Answer) {
        let Answer { sent, header, arrived_ms } = answer;
        self.failures = 0;
        self.clock = Some(ServerClock::new(header.now_ms, arrived_ms));
        let told_ms = header.lease.map(|lease| lease.max_staleness_ms);
        match header.content {
            Content::Delta { more: false, .. } => {
                let contact = Contact::new(header.epoch, sent.at_ms, header.lease);
                self.contact = Some(contact.or_later(self.contact));
                self.max_staleness_ms = told_ms;
            }
            // What proves nothing must not let a worker go on for longer, or serve again: it may be counted as stopped.
            Content::Delta { more: true, .. } | Content::Snapshot { .. } => {
                let bounds_ms = [self.max_staleness_ms, told_ms];
                self.max_staleness_ms = bounds_ms.into_iter().flatten().min();
            }
        }
    }
}
