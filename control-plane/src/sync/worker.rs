//! What a poll says about the worker that sends it.

use axum::http::HeaderMap;
use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::{LEASE_HEADER, MEMORY_HEADER, NODE_HEADER, Poll, WORKER_HEADER};

use crate::domain::timestamp::Timestamp;

/// The longest name of a worker.
pub const WORKER_BYTES_MAX: usize = 64;
/// The longest node id.
const NODE_BYTES_MAX: usize = 256;
/// The most digits of a number.
const DIGITS_MAX: usize = 20;

/// The worker that sends a poll with these headers, if it names itself. Who does not is a person with `curl`.
pub fn describe(headers: &HeaderMap, poll: &Poll, now: Timestamp) -> Option<Worker> {
    let number = |name| visible(headers, name, DIGITS_MAX).and_then(|text| text.parse().ok());
    Some(Worker {
        name: name(headers)?.to_owned(),
        node: visible(headers, NODE_HEADER, NODE_BYTES_MAX).filter(|node| *node != "-").map(str::to_owned),
        polls: poll.number,
        last_seen_ms: now.unix_ms(),
        applied: poll.ask.acknowledges(),
        bound_ms: number(LEASE_HEADER),
        memory_bytes: number(MEMORY_HEADER),
    })
}

/// The name of the worker that sends a request with these headers.
pub fn name(headers: &HeaderMap) -> Option<&str> {
    visible(headers, WORKER_HEADER, WORKER_BYTES_MAX)
}

/// The value of a header, if it is visible ASCII of the right length: what is logged must not forge a line.
fn visible<'a>(headers: &'a HeaderMap, name: &str, bytes_max: usize) -> Option<&'a str> {
    let value = headers.get(name)?;
    let fits = (1..=bytes_max).contains(&value.len());
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    value.to_str().ok().filter(|_| fits && visible)
}
