//! What a worker says of the requests that it has seen.
//!
//! A worker sends a [`Report`] as the JSON body of a `POST` to [`USAGE_PATH`], with the headers that it polls with. The
//! name of the worker and the number of the report make it one: sent again, it is counted once. So a report does not
//! change between two attempts to send it, and a worker sends the next one only when this one has been answered.
//!
//! The answer is a [`Receipt`]. Rows that cannot be counted are refused one by one; the others count.

use serde::{Deserialize, Serialize};

use crate::id::{ApiId, KeyId};
use crate::outcome::Outcome;
use crate::wire::is_default;

/// Where a worker posts its reports.
pub const USAGE_PATH: &str = "/sync/v1/usage";
/// The most rows of one report.
pub const ROWS_MAX: usize = 2_000;
/// The longest report, in bytes: rows whose numbers are all of the longest fit.
pub const REPORT_BYTES_MAX: usize = 1 << 20;
/// The largest number that one row may state, so that no sum of many reports overflows.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// What a worker has counted in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its number: 1 for the worker's first, and one more each time.
    pub sequence: u64,
    /// The hour to which it all belongs, by the control plane's clock: the milliseconds since the Unix epoch at which the
    /// hour began.
    pub hour_ms: u64,
    /// When the last of it was counted, by the same clock.
    pub until_ms: u64,
    /// At most [`ROWS_MAX`], each with something to count.
    pub rows: Vec<ReportRow>,
}

/// The requests of one key to one API that ended in one way under one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// The key; absent where a worker that could not report for long has run out of room to tell keys apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The API.
    pub api: ApiId,
    /// How the requests ended.
    pub outcome: Outcome,
    /// Which of the API's prices held when they came ([`crate::wire::ApiRecord::price_version`]).
    pub price_version: u32,
    /// How much there was.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How much there was. Every field is left out of a message where it is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: u64,
    /// Bytes of their bodies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request_bytes: u64,
    /// Bytes of the bodies of their responses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_bytes: u64,
    /// Tokens of callers' input.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prompt_tokens: u64,
    /// Tokens that models wrote.
    #[serde(default, skip_serializing_if = "is_default")]
    pub completion_tokens: u64,
    /// Of how many responses the tokens are an estimate: streams that did not say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub estimated: u64,
    /// Of how many responses that could have stated their tokens nothing is known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknown: u64,
}

impl Counts {
    /// What `f` makes of each number.
    #[must_use]
    pub fn each(self, f: impl Fn(u64) -> u64) -> Self {
        Self {
            requests: f(self.requests),
            request_bytes: f(self.request_bytes),
            response_bytes: f(self.response_bytes),
            prompt_tokens: f(self.prompt_tokens),
            completion_tokens: f(self.completion_tokens),
            estimated: f(self.estimated),
            unknown: f(self.unknown),
        }
    }

    /// Both together; a sum that is too large stays at the largest number.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            request_bytes: self.request_bytes.saturating_add(other.request_bytes),
            response_bytes: self.response_bytes.saturating_add(other.response_bytes),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            estimated: self.estimated.saturating_add(other.estimated),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The report's number.
    pub sequence: u64,
    /// False if it had been counted before.
    pub counted: bool,
    /// The rows that were not counted, by their places in the report, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRow>,
}

/// A row that was not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its place in the report, counted from 0.
    pub row: usize,
    /// Why not, for people.
    pub reason: String,
}
