//! What is still to be done for a request that a rate limit has let pass: its response says how much is left, and where
//! tokens are limited it is read in passing and charged for when it is over.
//!
//! The counters are in Envoy's shared data, so that all workers count together and a worker that is loaded anew goes on
//! where the one before it was (`portcullis_core::limit`).

use std::sync::Arc;

use portcullis_core::decide::Admission;
use portcullis_core::limit::{Answer, HEADER, Limits, POLICY_HEADER, Shared, Standing};
use portcullis_core::usage::{Reader, Usage};

use crate::host::{self, Level, Map};
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

/// A limited request on its way.
#[derive(Debug)]
pub struct Call {
    admission: Admission,
    limits: Arc<Limits>,
    standing: Standing,
    /// What reads the response's tokens; from its headers on, and only if they are limited.
    reader: Option<Reader>,
}

/// What the limits of an API say to a request.
#[derive(Debug)]
pub enum Limited {
    /// It passes; no limit holds it if there is no call.
    Passes(Option<Box<Call>>),
    /// It does not.
    Refused(Arc<Limits>, Standing),
    /// Nobody knows.
    Unknown,
}

impl Call {
    /// Asks the limits.
    pub fn admit(worker: &mut Worker, admission: &Admission) -> Limited {
        let Some(limits) = &admission.limits else {
            return Limited::Passes(None);
        };
        let answer = worker.limiter.admit(&SharedValues, limits, admission.counted(limits), host::monotonic_ns);
        if let Answer::Passes(standing) | Answer::Refused(standing) = &answer
            && standing.would_refuse(limits)
        {
            worker.metrics.count_observed(admission.api);
        }
        let limits = Arc::clone(limits);
        match answer {
            Answer::Passes(standing) => {
                if limits.policy().counts_tokens() {
                    // Compressed responses cannot be read. An upstream that compresses all the same is not counted.
                    host::set_header(Map::RequestHeaders, "accept-encoding", "identity");
                }
                Limited::Passes(Some(Box::new(Self { admission: admission.clone(), limits, standing, reader: None })))
            }
            Answer::Refused(standing) => Limited::Refused(limits, standing),
            Answer::Unknown => Limited::Unknown,
        }
    }

    /// Tells the caller how the limits stand, and looks at what kind of response it is.
    pub fn answer(&mut self) {
        let set = |name, value: &str| host::set_header(Map::ResponseHeaders, name, value);
        if !self.limits.policy_field().is_empty() {
            set(POLICY_HEADER, self.limits.policy_field());
            set(HEADER, &self.standing.field(&self.limits));
        }
        if self.limits.policy().counts_tokens() {
            let header = |name| host::header(Map::ResponseHeaders, name);
            let content_type = header("content-type").unwrap_or_default();
            self.reader = Reader::for_content_type(&content_type, header("content-encoding").as_deref());
        }
    }

    /// Reads the piece of the response that is passing, of so many bytes.
    pub fn read(&mut self, size: usize) {
        let Some(reader) = &mut self.reader else { return };
        let mut start = 0;
        while start < size {
            let part = host::response_body(start, PART_BYTES_MAX.min(size.saturating_sub(start)));
            let Some(part) = part.filter(|part| !part.is_empty()) else { break };
            reader.feed(&part);
            start = start.saturating_add(part.len());
        }
    }

    /// Takes the tokens that the request has used, once it is over in whatever way.
    pub fn settle(self, worker: &mut Worker) {
        if !self.limits.policy().counts_tokens() {
            return;
        }
        let (kind, tokens) = match self.reader.map_or(Usage::Unknown, Reader::finish) {
            Usage::Read(tokens) => (TokenUsage::Read, tokens.total),
            Usage::Estimated { prompt, completion } => (TokenUsage::Estimated, prompt.saturating_add(completion)),
            Usage::Unknown => (TokenUsage::Unknown, 0),
        };
        worker.metrics.count_token_usage(kind);
        // The policy may have changed since the request came. Without one now there is nothing to take from.
        let now = worker.replica.directory().and_then(|directory| directory.apis.limits(self.admission.api));
        let Some(limits) = now.filter(|limits| tokens > 0 && limits.policy().counts_tokens()) else { return };
        let short = if Arc::ptr_eq(limits, &self.limits) { self.standing.short } else { 0 };
        let counted = self.admission.counted(limits);
        let bill = (tokens, short);
        if !worker.limiter.charge(&SharedValues, limits, counted, host::monotonic_ns(), bill) {
            host::log(Level::Warn, "portcullis: tokens could not be taken from a rate limit: its counters are full");
        }
    }
}
