//! One worker's conversation with the control plane.
//!
//! There is one poll at a time, and it is always in one of three states: due at some time, under way, or answered by a
//! page that is being taken in. `portcullis_core::sync` says what comes next; this module does it.

use std::ops::RangeInclusive;
use std::time::Duration;

use portcullis_core::directory::Directory;
use portcullis_core::sync::{Rejection, Step};
use portcullis_core::wire::{Ask, CHANGES_PATH, LEASE_HEADER, MEMORY_HEADER, NODE_HEADER, Poll, WORKER_HEADER};

use crate::host::{self, Level};
use crate::metrics::PollResult;
use crate::worker::Worker;

/// How soon to try again what could not be tried.
const PAUSE_MS: u32 = 1_000;
/// How long Envoy waits for a page of a snapshot.
const PAGE_TIMEOUT_MS: u64 = 30_000;
/// How long an answer may take that has already been held back for as long as it was asked to be.
const GRACE_MS: RangeInclusive<u64> = 1_000..=10_000;

/// The poll that the worker has.
#[derive(Debug, Default)]
pub struct Link {
    poll: PollState,
    /// When the first poll was sent, to tell how long the first key set took.
    first_poll_ms: Option<u64>,
    /// Whether that has been told.
    is_ready: bool,
}

/// Where the one poll that a worker has is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollState {
    /// To be sent when the monotonic clock shows this.
    DueAt(u64),
    /// Under way, with the callout's number. Envoy ends every callout; if it has not when the monotonic clock shows
    /// this, the poll is given up, because a worker that no longer polls would keep deleted keys for ever.
    UnderWay { number: u32, overdue_ms: u64 },
    /// Answered by a page of which a slice is taken in with each tick.
    Answered,
}

impl Default for PollState {
    fn default() -> Self {
        Self::DueAt(0)
    }
}

impl Link {
    /// Whether the callout with this number is the poll.
    pub fn awaits(&self, callout: u32) -> bool {
        matches!(self.poll, PollState::UnderWay { number, .. } if number == callout)
    }

    /// Whether a page is being taken in.
    pub fn has_work(&self) -> bool {
        self.poll == PollState::Answered
    }

    /// Whether nothing is to be done before the control plane answers.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.poll, PollState::UnderWay { .. })
    }

    /// Does what is due: takes in the next slice of a page, or sends the next poll.
    pub fn tick(&mut self, worker: &mut Worker) {
        match self.poll {
            PollState::Answered => {
                let outcome = worker.replica.work(random());
                self.follow(worker, outcome);
            }
            PollState::DueAt(due_ms) | PollState::UnderWay { overdue_ms: due_ms, .. } => {
                if due_ms <= host::monotonic_ms() {
                    self.send_poll(worker);
                }
            }
        }
    }

    /// Takes the answer to the poll that is under way. The next poll goes out at once if the page is small: it
    /// acknowledges what was just applied.
    pub fn receive(&mut self, worker: &mut Worker, body_size: usize) {
        // The headers of a call that got no answer at all are not there to be asked for.
        let status = host::call_response_status();
        let body = match status {
            Some(200) => host::call_response_body(body_size),
            Some(_) | None => None,
        };
        let Some(body) = body else {
            let shown = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            host::log(Level::Warn, &format!("portcullis: poll of the control plane failed: {shown}"));
            self.fail(worker);
            return;
        };
        let outcome = worker.replica.answered(body, host::monotonic_ms(), random());
        self.follow(worker, outcome);
    }

    fn send_poll(&mut self, worker: &mut Worker) {
        let sent_ms = host::monotonic_ms();
        self.first_poll_ms.get_or_insert(sent_ms);
        let poll = worker.replica.poll(sent_ms);
        let path = format!("{CHANGES_PATH}?{poll}");
        let authorization = format!("Bearer {}", worker.config.token);
        let memory = host::memory_bytes().to_string();
        let lease = worker.replica.max_staleness_ms().map(|max_staleness_ms| max_staleness_ms.to_string());
        let mut headers = vec![
            (":method", "GET"),
            (":path", path.as_str()),
            (":authority", worker.config.cluster.as_str()),
            ("authorization", authorization.as_str()),
            (WORKER_HEADER, worker.identity.name.as_str()),
            (NODE_HEADER, worker.identity.node.as_str()),
            (MEMORY_HEADER, memory.as_str()),
        ];
        headers.extend(lease.as_deref().map(|lease| (LEASE_HEADER, lease)));
        let timeout_ms = timeout_ms(poll);
        match host::call(&worker.config.cluster, headers, None, Duration::from_millis(timeout_ms)) {
            Some(number) => {
                let overdue_ms = sent_ms.saturating_add(timeout_ms.saturating_mul(2));
                self.poll = PollState::UnderWay { number, overdue_ms };
            }
            None => self.fail(worker),
        }
    }

    fn fail(&mut self, worker: &mut Worker) {
        worker.metrics.count_poll(PollResult::Failed);
        let step = worker.replica.failed(random());
        self.plan(worker, step);
    }

    /// Takes note of how an answer, or a slice of one, was received, and does what comes next.
    fn follow(&mut self, worker: &mut Worker, (step, result): (Step, Result<(), Rejection>)) {
        match (step, result) {
            (Step::Poll | Step::PollAfter(_), Ok(())) => {
                worker.metrics.count_poll(PollResult::Applied);
                self.log_first(worker);
            }
            (Step::Work | Step::Ignore, Ok(())) => {}
            (_, Err(rejection)) => {
                host::log(Level::Error, &format!("portcullis: answer of the control plane rejected: {rejection}"));
                worker.metrics.count_poll(PollResult::Rejected);
            }
        }
        self.plan(worker, step);
    }

    fn plan(&mut self, worker: &mut Worker, step: Step) {
        match step {
            Step::Poll => self.send_poll(worker),
            Step::PollAfter(pause_ms) => self.poll_in(pause_ms),
            Step::Work => self.poll = PollState::Answered,
            // Envoy gives each answer to the callout that asked for it, so no other answer is on its way.
            Step::Ignore => self.poll_in(PAUSE_MS),
        }
    }

    fn poll_in(&mut self, pause_ms: u32) {
        self.poll = PollState::DueAt(host::monotonic_ms().saturating_add(u64::from(pause_ms)));
    }

    /// Logs once that there is a key set.
    fn log_first(&mut self, worker: &Worker) {
        if let Some(directory) = worker.replica.directory()
            && !self.is_ready
        {
            self.is_ready = true;
            self.log_ready(directory);
        }
    }

    fn log_ready(&self, directory: &Directory) {
        let (keys, apis) = (directory.keys.len(), directory.apis.len());
        let now_ms = host::monotonic_ms();
        let took_ms = now_ms.saturating_sub(self.first_poll_ms.unwrap_or(now_ms));
        let bytes = host::memory_bytes();
        host::log(
            Level::Info,
            &format!(
                "portcullis: ready with {keys} keys and {apis} APIs after {took_ms} ms, in {bytes} bytes of memory"
            ),
        );
    }
}

/// How long Envoy waits for the answer to a poll. A worker that may go stale asks again in time.
fn timeout_ms(poll: Poll) -> u64 {
    match poll.ask {
        Ask::After { wait_ms, .. } => {
            let wait_ms = u64::from(wait_ms);
            wait_ms.saturating_add(wait_ms.clamp(*GRACE_MS.start(), *GRACE_MS.end()))
        }
        Ask::Everything | Ask::Part { .. } | Ask::CatchUp { .. } => PAGE_TIMEOUT_MS,
    }
}

/// Any random number.
fn random() -> u32 {
    let [a, b, c, d, ..] = host::random().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
