//! How a worker hands over what it has counted.
//!
//! Every `report_interval_ms`, and at once when rows for a whole report wait, the worker posts the report that its
//! ledger gives it (`portcullis_core::ledger`), and does so again until the control plane has said that it has it. One
//! report is under way at a time. Workers do not report in step: each begins at a random moment of the interval.
//!
//! How it fails: whatever is not a receipt is no answer. The same report is sent again after 1 s, then after twice as
//! long each time up to 30 s, less up to a half at random; meanwhile what is counted adds up in the ledger. An answer that
//! got lost does no harm, since the control plane knows the report by its number. Requests never wait for any of this.
//!
//! What can be lost, and when (of Envoy as of 1.40):
//!
//! - *An Envoy that is killed, or a virtual machine that traps*, takes with it what it has counted since its last report.
//! - *A change of configuration* ends the root context once the old listener's drain time is over; until then what runs
//!   there is reported like everything else. The context then hands over what is left before it lets itself be deleted,
//!   for which it takes at most [`CLOSING_MS_MAX`]. Envoy grants that as long as the virtual machine lives on, which it
//!   does for a new configuration of the same module and `vm_id`. With another module it is gone at once: a first report
//!   leaves it on an open connection, but nobody waits for the receipt, and there is no second one.
//! - *An Envoy that is told to stop* (SIGTERM, `/quitquitquit`) ends its workers' event loops first and the root contexts
//!   afterwards, when nothing can be sent any more. Whoever wants to lose nothing stops the requests first
//!   (`POST /drain_listeners?graceful`), waits for longer than an interval, and then stops Envoy.

use std::time::Duration;

use portcullis_core::wire::{NODE_HEADER, Receipt, USAGE_PATH, WORKER_HEADER};

use crate::host::{self, Level};
use crate::metrics::ReportResult;
use crate::worker::Worker;

/// How long Envoy waits for a receipt.
const TIMEOUT_MS: u64 = 10_000;
/// The first and the longest pause after a report that was not taken in, in milliseconds.
const BACK_OFF_MS: (u64, u64) = (1_000, 30_000);
/// How long a root context that is to end may go on to hand over what is left.
const CLOSING_MS_MAX: u64 = 5_000;

/// The one report that is under way, or the time of the next.
#[derive(Debug, Default)]
pub struct Reporter {
    state: State,
    /// How often the report was sent without success.
    failures: u32,
    /// When to stop trying, once the root context is to end.
    closes_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent when the monotonic clock shows this.
    DueAt(u64),
    /// Under way, with the callout's number. Envoy ends every callout; if it has not when the monotonic clock shows this,
    /// the report is sent again.
    UnderWay { number: u32, overdue_ms: u64 },
}

impl Default for State {
    fn default() -> Self {
        Self::DueAt(0)
    }
}

/// What came back instead of a receipt.
enum Failure {
    /// Nothing, or that the control plane cannot now.
    Unanswered(Option<u16>),
    /// That it does not take such a report.
    Rejected(u16),
    /// Something else.
    NoReceipt,
}

impl Reporter {
    /// Draws the moment of the interval at which this worker reports.
    pub fn begin(&mut self, interval_ms: u32) {
        let phase_ms = host::random().checked_rem(u64::from(interval_ms)).unwrap_or(0);
        self.state = State::DueAt(host::monotonic_ms().saturating_add(phase_ms));
    }

    /// Whether the callout with this number is the report.
    pub fn awaits(&self, callout: u32) -> bool {
        matches!(self.state, State::UnderWay { number, .. } if number == callout)
    }

    /// Sends what is due.
    pub fn tick(&mut self, worker: &mut Worker) {
        let now_ms = host::monotonic_ms();
        match self.state {
            State::DueAt(due_ms) if due_ms <= now_ms || self.hurries(worker) => self.send(worker, now_ms),
            State::UnderWay { overdue_ms, .. } if overdue_ms <= now_ms => {
                self.fail(worker, now_ms, &Failure::Unanswered(None));
            }
            State::DueAt(_) | State::UnderWay { .. } => {}
        }
    }

    /// The root context is to end: sends what is left at once. False if there is nothing left.
    pub fn close(&mut self, worker: &mut Worker) -> bool {
        let now_ms = host::monotonic_ms();
        self.closes_ms = Some(now_ms.saturating_add(CLOSING_MS_MAX));
        if let State::DueAt(_) = self.state {
            self.send(worker, now_ms);
        }
        !self.is_closed(worker)
    }

    /// Whether a root context that is to end need wait no longer: everything has been taken in, or its time is up.
    pub fn is_closed(&self, worker: &Worker) -> bool {
        self.closes_ms
            .is_some_and(|closes_ms| worker.ledger.unreported_rows() == 0 || closes_ms <= host::monotonic_ms())
    }

    /// Takes the answer to the report that is under way.
    pub fn receive(&mut self, worker: &mut Worker, body_size: usize) {
        let now_ms = host::monotonic_ms();
        match answer(body_size) {
            Ok(receipt) if worker.ledger.answered(receipt.sequence) => self.succeed(worker, now_ms, &receipt),
            Ok(_) => self.fail(worker, now_ms, &Failure::NoReceipt),
            Err(failure) => self.fail(worker, now_ms, &failure),
        }
    }

    /// Whether there is so much to report, or so little time, that the interval need not be kept.
    fn hurries(&self, worker: &Worker) -> bool {
        self.failures == 0 && (worker.ledger.is_urgent() || self.closes_ms.is_some())
    }

    fn send(&mut self, worker: &mut Worker, now_ms: u64) {
        self.state = State::DueAt(now_ms.saturating_add(u64::from(worker.config.report_interval_ms)));
        let Some(report) = worker.ledger.report() else { return };
        // Serializing numbers and ids into memory cannot fail.
        let body = serde_json::to_vec(report).unwrap_or_default();
        let authorization = format!("Bearer {}", worker.config.token);
        let cluster = worker.config.cluster.as_str();
        let headers = vec![
            (":method", "POST"),
            (":path", USAGE_PATH),
            (":authority", cluster),
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            (WORKER_HEADER, worker.identity.name.as_str()),
            (NODE_HEADER, worker.identity.node.as_str()),
        ];
        match host::call(cluster, headers, Some(&body), Duration::from_millis(TIMEOUT_MS)) {
            Some(number) => {
                let overdue_ms = now_ms.saturating_add(TIMEOUT_MS.saturating_mul(2));
                self.state = State::UnderWay { number, overdue_ms };
            }
            None => self.fail(worker, now_ms, &Failure::Unanswered(None)),
        }
    }

    fn succeed(&mut self, worker: &mut Worker, now_ms: u64, receipt: &Receipt) {
        worker.metrics.count_report(ReportResult::Counted);
        if std::mem::take(&mut self.failures) > 0 {
            host::log(Level::Info, "portcullis: usage is taken in again");
        }
        if let Some(first) = receipt.refused.first() {
            worker.metrics.count_refused_rows(receipt.refused.len());
            let (rows, reason) = (receipt.refused.len(), &first.reason);
            host::log(Level::Warn, &format!("portcullis: {rows} rows of usage were not counted, the first: {reason}"));
        }
        if self.hurries(worker) {
            self.send(worker, now_ms);
        } else {
            self.state = State::DueAt(now_ms.saturating_add(u64::from(worker.config.report_interval_ms)));
        }
    }

    /// Plans the next attempt, and says once per outage that there is one.
    fn fail(&mut self, worker: &mut Worker, now_ms: u64, failure: &Failure) {
        worker.metrics.count_report(match failure {
            Failure::Unanswered(_) => ReportResult::Failed,
            Failure::Rejected(_) | Failure::NoReceipt => ReportResult::Rejected,
        });
        if self.failures == 0 {
            let what = match failure {
                Failure::Unanswered(None) => "no answer".to_owned(),
                Failure::Unanswered(Some(status)) | Failure::Rejected(status) => format!("status {status}"),
                Failure::NoReceipt => "an answer that is no receipt of it".to_owned(),
            };
            let line = format!("portcullis: usage is not taken in and will be sent again: {what}");
            host::log(Level::Warn, &line);
        }
        let (first_ms, longest_ms) = BACK_OFF_MS;
        let doubled_ms = first_ms.checked_shl(self.failures.min(16)).unwrap_or(longest_ms);
        let pause_ms = doubled_ms.min(longest_ms);
        self.failures = self.failures.saturating_add(1);
        let less_ms = host::random().checked_rem(pause_ms / 2).unwrap_or(0);
        self.state = State::DueAt(now_ms.saturating_add(pause_ms.saturating_sub(less_ms)));
    }
}

/// The receipt, or what came in its place.
fn answer(body_size: usize) -> Result<Receipt, Failure> {
    // The headers of a call that got no answer at all are not there to be asked for.
    match host::call_response_status() {
        Some(200..=299) => {
            let body = host::call_response_body(body_size).ok_or(Failure::NoReceipt)?;
            serde_json::from_slice(&body).map_err(|_| Failure::NoReceipt)
        }
        Some(status @ 400..=499) => Err(Failure::Rejected(status)),
        status => Err(Failure::Unanswered(status)),
    }
}
