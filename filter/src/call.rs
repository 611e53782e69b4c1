//! What is still to be done for a request that was let pass: what goes by of it is counted, its response says how much
//! is left of limits, and where tokens are counted it is read in passing.
//!
//! Limits take tokens when the response is over; everything else is counted once the request is done, in whatever way
//! it ended. The counters of limits are in Envoy's shared data, so that all workers count together and a worker that is
//! loaded anew goes on where the one before it was (`portcullis_core::limit`). Usage is counted in the worker
//! (`portcullis_core::ledger`), and handed over from there (`report`).
//!
//! Only answers to `POST` use tokens. What a `GET` shows of an answer that the upstream has stored was counted when that
//! was made.

use std::sync::Arc;

use portcullis_core::decide::Admission;
use portcullis_core::limit::{Answer, HEADER, Limits, POLICY_HEADER, Shared, Standing};
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::usage::{Reader, Usage};
use portcullis_core::wire::Counts;

use crate::host::{self, Headers, Level, Map};
use crate::metrics::TokenUsage;
use crate::worker::Worker;

/// Where the workers of this Envoy keep the counters. A change of their form must change the name.
const COUNTERS: &str = "portcullis.limits.1.";

/// The most of a response that is read at once.
const PART_BYTES_MAX: usize = 1 << 16;

/// Envoy's shared data.
pub struct SharedValues;

impl Shared for SharedValues {
    fn read(&self, slot: u32) -> Option<(Vec<u8>, u32)> {
        host::shared_data(&name_of(slot))
    }

    fn write(&self, slot: u32, value: &[u8], version: Option<u32>) -> bool {
        host::set_shared_data(&name_of(slot), value, version)
    }
}

fn name_of(slot: u32) -> String {
    [COUNTERS, itoa::Buffer::new().format(slot)].concat()
}

/// A request on its way.
#[derive(Debug)]
pub struct Call {
    /// Who was let in, and where.
    pub admission: Admission,
    /// What its limits have said, if any hold it.
    limited: Option<Told>,
    /// Whether the response may use tokens.
    is_post: bool,
    /// What has gone by, and in the end what it used.
    counts: Counts,
    /// Of the response; `None` before there is one.
    class: Option<StatusClass>,
    /// What reads the response's tokens: from its headers to its end, and only if they are counted.
    reader: Option<Box<Reader>>,
}

/// What limits said to a request that passes.
#[derive(Debug)]
struct Told {
    /// How they stood, for the caller; empty if that is not to be told.
    field: String,
    /// By rule, a bit each: whether it had no unit for the request.
    short: u8,
}

/// What the limits of an API say to a request.
#[derive(Debug)]
pub enum Limited {
    /// It passes.
    Passes(Box<Call>),
    /// It does not.
    Refused(Arc<Limits>, Standing),
    /// Nobody knows.
    Unknown,
}

/// What is looked at of a response's headers.
#[derive(Default)]
struct Seen<'h> {
    status: Option<&'h [u8]>,
    content_type: Option<&'h [u8]>,
    content_encoding: Option<&'h [u8]>,
}

impl<'h> Seen<'h> {
    fn of(headers: &'h Headers) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers.iter() {
            match name {
                b":status" => _ = seen.status.get_or_insert(value),
                b"content-type" => _ = seen.content_type.get_or_insert(value),
                b"content-encoding" => _ = seen.content_encoding.get_or_insert(value),
                _ => {}
            }
        }
        seen
    }
}

impl Call {
    /// Asks the limits.
    pub fn admit(worker: &mut Worker, admission: Admission, is_post: bool) -> Limited {
        let passes = |admission, limited| {
            let counts = Counts::default();
            Limited::Passes(Box::new(Self { admission, limited, is_post, counts, class: None, reader: None }))
        };
        let Some(limits) = &admission.limits else {
            return passes(admission, None);
        };
        let answer = worker.limiter.admit(&SharedValues, limits, admission.counted(limits), host::monotonic_ns);
        if let Answer::Passes(standing) | Answer::Refused(standing) = &answer
            && standing.would_refuse(limits)
        {
            worker.metrics.count_observed(admission.caller.api);
        }
        match answer {
            Answer::Passes(standing) => {
                let told = Told { field: standing.field(limits), short: standing.short };
                passes(admission, Some(told))
            }
            Answer::Refused(standing) => Limited::Refused(Arc::clone(limits), standing),
            Answer::Unknown => Limited::Unknown,
        }
    }

    /// Whether somebody wants to know the tokens of the response.
    pub fn counts_tokens(&self) -> bool {
        let is_limited = || self.admission.limits.as_ref().is_some_and(|limits| limits.policy().counts_tokens());
        self.is_post && (self.admission.count_tokens || is_limited())
    }

    /// Counts a piece of the request that is passing, of so many bytes.
    pub const fn sent(&mut self, size: usize) {
        self.counts.request_bytes = self.counts.request_bytes.saturating_add(size as u64);
    }

    /// Tells the caller how the limits stand, and looks at what kind of response it is.
    pub fn answer(&mut self) {
        if let (Some(limits), Some(Told { field, .. })) = (&self.admission.limits, &self.limited)
            && !field.is_empty()
        {
            // An upstream may have limits of its own, and the draft (section 5) wants them told as well.
            host::add_header(Map::ResponseHeaders, POLICY_HEADER, limits.policy_field().as_bytes());
            host::add_header(Map::ResponseHeaders, HEADER, field.as_bytes());
        }
        if !self.counts_tokens() {
            self.class = class_of(host::header(Map::ResponseHeaders, ":status").as_deref());
            return;
        }
        let headers = Headers::read(Map::ResponseHeaders);
        let seen = headers.as_ref().map(Seen::of).unwrap_or_default();
        self.class = class_of(seen.status);
        let content_type = seen.content_type.unwrap_or_default();
        self.reader = Reader::for_content_type(content_type, seen.content_encoding).map(Box::new);
    }

    /// Counts and reads the piece of the response that is passing, of so many bytes.
    pub fn received(&mut self, size: usize) {
        self.counts.response_bytes = self.counts.response_bytes.saturating_add(size as u64);
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.can_read()) else { return };
        let mut start = 0;
        while start < size {
            let part = host::response_body(start, PART_BYTES_MAX.min(size.saturating_sub(start)));
            let Some(part) = part.filter(|part| !part.is_empty()) else { break };
            reader.feed(&part);
            start = start.saturating_add(part.len());
        }
    }

    /// The response is over, or will not go on: takes the tokens that it used. More than once makes no difference.
    pub fn end(&mut self, worker: &mut Worker) {
        let Some(reader) = self.reader.take() else { return };
        let usage = reader.finish();
        let is_success = self.class == Some(StatusClass::Success);
        let kind = match usage {
            Usage::Read(_) => Some(TokenUsage::Read),
            // What a refusal or an error does not state is nothing that anybody misses.
            Usage::Estimated { .. } => is_success.then_some(TokenUsage::Estimated),
            Usage::Unknown => is_success.then_some(TokenUsage::Unknown),
        };
        if let Some(kind) = kind {
            let (prompt, completion) = usage.parts();
            (self.counts.prompt_tokens, self.counts.completion_tokens) = (prompt, completion);
            self.counts.estimated = u64::from(kind == TokenUsage::Estimated);
            self.counts.unknown = u64::from(kind == TokenUsage::Unknown);
            worker.metrics.count_token_usage(kind);
            worker.metrics.count_tokens(prompt, completion);
        }
        self.charge(worker, usage);
    }

    /// Takes the tokens from the limits, if they count any.
    fn charge(&self, worker: &mut Worker, usage: Usage) {
        let (Some(limits), Some(told)) = (&self.admission.limits, &self.limited) else { return };
        if !limits.policy().counts_tokens() {
            return;
        }
        let tokens = match usage {
            Usage::Read(tokens) => tokens.total,
            Usage::Estimated { prompt, completion } => prompt.saturating_add(completion),
            Usage::Unknown => 0,
        };
        // The policy may have changed since the request came. Without one now there is nothing to take from.
        let now = worker.replica.directory().and_then(|directory| directory.apis.limits(self.admission.caller.api));
        let Some(now) = now.filter(|now| tokens > 0 && now.policy().counts_tokens()) else { return };
        let short = if Arc::ptr_eq(now, limits) { told.short } else { 0 };
        let counted = self.admission.counted(now);
        let bill = (tokens, short);
        if !worker.limiter.charge(&SharedValues, now, counted, host::monotonic_ns(), bill) {
            host::log(Level::Warn, "portcullis: tokens could not be taken from a rate limit: its counters are full");
        }
    }

    /// Counts the request, which is done.
    pub fn settle(mut self, worker: &mut Worker) {
        self.end(worker);
        let outcome = self.class.map_or(Outcome::Unanswered, Outcome::Answered);
        worker.metrics.count_response(outcome);
        worker.ledger.count(self.admission.caller.account(outcome), Counts { requests: 1, ..self.counts });
    }
}

fn class_of(status: Option<&[u8]>) -> Option<StatusClass> {
    let status = str::from_utf8(status?).ok()?.parse().ok()?;
    Some(StatusClass::of(status))
}
