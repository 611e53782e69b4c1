//! What a worker has counted and not yet handed over.
//!
//! ```text
//!  count ──► the hour that is counted now ── hour turns ──► hours before it ──► a report ──► answered: forgotten
//!            (key, API, outcome, price) -> Counts                               the same until then
//! ```
//!
//! - What is counted is added to a row. A row belongs to the hour in which its *segment* began; a new one begins with
//!   the first [`Ledger::tick`] in another hour.
//! - Up to [`ROWS_MAX`] rows of the oldest segment become a report, and leave the ledger with it. There is one report at
//!   a time. It stays as it is until it has been [answered](Ledger::answered), however often it is sent, so that whoever
//!   takes it in can tell by its number whether it has been counted before.
//! - A row never states more than [`AMOUNT_MAX`]: what is above it is left for the next report.
//!
//! How it fails: while nothing can be reported, rows add up, and nothing is ever forgotten to make room. When half of
//! the room is taken, a turning hour no longer begins a segment, since each key in use would take a row more: what is
//! counted then counts for the hour in which the last segment began. When all of it is taken, whoever has no row yet is
//! counted in a row without key, of which there are no more than APIs, outcomes and prices: it is lost who it was, and
//! not how much.
//!
//! A row takes 89 bytes of a hash table, of whose places at most 7 in 8 are used and which grows by doubling. Full, with
//! [`ROWS_WAITING_MAX`] rows in one segment, that is 23 MB; 47 MB if segments divide the rows as unluckily as they can.
//! A thousand active keys take 180 KB.

use std::collections::{HashMap, VecDeque};

use crate::id::{ApiId, KeyId};
use crate::mix::BuildMixer;
use crate::outcome::Outcome;
use crate::wire::{AMOUNT_MAX, Counts, ROWS_MAX, Report, ReportRow};

/// How many rows may wait: just as many as fit into 2¹⁸ places of a hash table.
pub const ROWS_WAITING_MAX: usize = (1 << 18) / 8 * 7;
/// How long a segment lasts.
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// How much there may be of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows of a report, but one at least.
    pub rows_of_report: usize,
    /// Rows that wait, besides those without key.
    pub rows_waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rows_of_report: ROWS_MAX, rows_waiting: ROWS_WAITING_MAX }
    }
}

/// As whose usage of what a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// The key; `None` where it has been lost.
    pub key: Option<KeyId>,
    /// The API.
    pub api: ApiId,
    /// Which of the API's prices held when the request came.
    pub price_version: u32,
    /// How the request ended.
    pub outcome: Outcome,
}

/// The counts of one worker.
#[derive(Debug, Default)]
pub struct Ledger {
    bounds: Bounds,
    /// What is counted now.
    current: Segment,
    /// Hours before that, the oldest first. None is empty.
    closed: VecDeque<Segment>,
    /// Rows of all segments.
    rows: usize,
    /// The control plane's time at the last tick.
    now_ms: u64,
    /// The number of the last report.
    sequence: u64,
    /// The report that has not been answered.
    report: Option<Report>,
}

/// What was counted in one hour.
#[derive(Debug, Default)]
struct Segment {
    hour_ms: u64,
    until_ms: u64,
    rows: HashMap<Account, Counts, BuildMixer>,
}

impl Ledger {
    /// A ledger of another size.
    pub fn with_bounds(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Takes note of the control plane's time, in milliseconds since the Unix epoch. To be called before anything is
    /// counted, and about once a second: what is counted then counts as counted now.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let hour_ms = now_ms.saturating_sub(now_ms % HOUR_MS);
        if self.current.rows.is_empty() {
            (self.current.hour_ms, self.current.until_ms) = (hour_ms, now_ms);
            return;
        }
        // A clock that is set back by a little, just after the hour, must not open the last hour again.
        let is_another = hour_ms > self.current.hour_ms || hour_ms.saturating_add(HOUR_MS) < self.current.hour_ms;
        if is_another && self.rows < self.bounds.rows_waiting / 2 {
            let next = Segment { hour_ms, until_ms: now_ms, rows: HashMap::default() };
            self.closed.push_back(std::mem::replace(&mut self.current, next));
        }
    }

    /// Counts.
    pub fn count(&mut self, account: Account, counts: Counts) {
        let segment = &mut self.current;
        segment.until_ms = segment.until_ms.max(self.now_ms);
        if let Some(before) = segment.rows.get_mut(&account) {
            *before = before.plus(counts);
            return;
        }
        let is_full = self.rows >= self.bounds.rows_waiting;
        let account = if is_full { Account { key: None, ..account } } else { account };
        let before = segment.rows.entry(account).or_insert_with(|| {
            self.rows = self.rows.saturating_add(1);
            Counts::default()
        });
        *before = before.plus(counts);
    }

    /// The report to send: the last one until it has been answered, then what has waited longest. `None` if there is
    /// nothing to report.
    pub fn report(&mut self) -> Option<&Report> {
        if self.report.is_none() {
            self.report = self.next_report();
        }
        self.report.as_ref()
    }

    /// Takes note that the report with this number has been taken in. False if that is not the one to send.
    pub fn answered(&mut self, sequence: u64) -> bool {
        self.report.take_if(|report| report.sequence == sequence).is_some()
    }

    /// Whether rows for a whole report wait, so that it had better be sent at once.
    pub const fn is_urgent(&self) -> bool {
        self.rows >= self.bounds.rows_of_report
    }

    /// How many rows have not been taken in, those of the report included.
    pub fn unreported_rows(&self) -> usize {
        self.rows.saturating_add(self.report.as_ref().map_or(0, |report| report.rows.len()))
    }

    fn next_report(&mut self) -> Option<Report> {
        let segment = self.closed.front_mut().unwrap_or(&mut self.current);
        if segment.rows.is_empty() {
            return None;
        }
        let before = segment.rows.len();
        let rows = segment.take(self.bounds.rows_of_report.max(1));
        self.rows = self.rows.saturating_sub(before.saturating_sub(segment.rows.len()));
        self.sequence = self.sequence.saturating_add(1);
        let report = Report { sequence: self.sequence, hour_ms: segment.hour_ms, until_ms: segment.until_ms, rows };
        self.closed.pop_front_if(|oldest| oldest.rows.is_empty());
        Some(report)
    }
}

impl Segment {
    /// Takes up to so many rows out. What a row has too much stays.
    fn take(&mut self, rows_max: usize) -> Vec<ReportRow> {
        let mut rows = Vec::with_capacity(rows_max.min(self.rows.len()));
        let mut left = Vec::new();
        // No more of the table is visited than is taken.
        for (account, counts) in self.rows.extract_if(|_, _| true).take(rows_max) {
            let Account { key, api, price_version, outcome } = account;
            let now = counts.each(|amount| amount.min(AMOUNT_MAX));
            let later = counts.each(|amount| amount.saturating_sub(AMOUNT_MAX));
            rows.push(ReportRow { key, api, outcome, price_version, counts: now });
            if later != Counts::default() {
                left.push((account, later));
            }
        }
        self.rows.extend(left);
        rows
    }
}

#[cfg(test)]
mod tests;
