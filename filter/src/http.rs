//! One request: headers in, verdict out.
//!
//! [`judge`] does all of it. It runs in the request's own callback, or, for a request that was held, in the
//! root context's callback with the request selected.

use std::cell::LazyCell;

use portcullis_core::decide::{Admission, Decision, Request, decide};
use portcullis_core::limit::{HEADER, Limits, POLICY_HEADER, Standing};
use portcullis_core::verdict::Refusal;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::call::{Call, Limited};
use crate::host::{self, Headers, Map};
use crate::worker::{Shared, Worker};

/// Header names that begin so are ours: a caller's are removed, whatever the path.
const RESERVED_PREFIX: &[u8] = b"x-portcullis-";

/// What becomes of a request.
#[derive(Debug)]
pub enum Ruling {
    /// It goes on to the upstream. There may be something to do for it still.
    Pass(Option<Box<Call>>),
    /// It has been answered.
    Answered,
    /// It cannot be judged yet.
    Wait,
}

/// The context of one request.
pub struct Gate {
    context: u32,
    worker: Shared,
    call: Option<Box<Call>>,
    /// Whether the request waited for the key set, so that the worker keeps its call.
    was_held: bool,
}

impl Gate {
    /// The context that Envoy knows by this number.
    pub const fn new(context: u32, worker: Shared) -> Self {
        Self { context, worker, call: None, was_held: false }
    }
}

impl Context for Gate {
    fn on_done(&mut self) -> bool {
        if (self.was_held || self.call.is_some())
            && let Ok(mut worker) = self.worker.try_borrow_mut()
        {
            if self.was_held {
                worker.forget(self.context);
            }
            if let Some(call) = self.call.take() {
                call.settle(&mut worker);
            }
        }
        true
    }
}

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            refuse("", Refusal::NotReady);
            return Action::Pause;
        };
        match judge(&mut worker) {
            Ruling::Pass(call) => {
                self.call = call;
                Action::Continue
            }
            Ruling::Answered => Action::Pause,
            Ruling::Wait => {
                self.was_held = worker.hold(self.context, host::monotonic_ms());
                if !self.was_held {
                    give_up(&mut worker);
                }
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if self.was_held
            && let Ok(mut worker) = self.worker.try_borrow_mut()
        {
            self.call = worker.take_call(self.context);
        }
        if let Some(call) = &mut self.call {
            call.answer();
        }
        Action::Continue
    }

    /// What a response has used is taken before its end reaches the caller, who may then send the next request.
    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(call) = &mut self.call {
            call.read(size);
        }
        if end_of_stream
            && let Ok(mut worker) = self.worker.try_borrow_mut()
            && let Some(call) = self.call.take()
        {
            call.settle(&mut worker);
        }
        Action::Continue
    }

    /// Trailers reach the upstream too, and some servers merge them into the headers.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Some(trailers) = Headers::read(Map::RequestTrailers) {
            remove_reserved(Map::RequestTrailers, &trailers);
        }
        Action::Continue
    }
}

/// What is looked at of a request's headers, found in one pass over them.
#[derive(Default)]
struct Seen<'h> {
    target: Option<&'h [u8]>,
    authority: Option<&'h [u8]>,
    /// The first two: more than one is one too many.
    authorizations: [Option<&'h [u8]>; 2],
    has_reserved: bool,
}

impl<'h> Seen<'h> {
    fn of(headers: &'h Headers) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers.iter() {
            match name {
                b":path" => _ = seen.target.get_or_insert(value),
                b":authority" => _ = seen.authority.get_or_insert(value),
                b"authorization" => {
                    let [first, second] = &mut seen.authorizations;
                    _ = if first.is_none() { first } else { second }.insert(value);
                }
                _ => seen.has_reserved |= is_reserved(name),
            }
        }
        seen
    }
}

/// Judges the selected request and acts on the verdict.
pub fn judge(worker: &mut Worker) -> Ruling {
    let Some(headers) = Headers::read(Map::RequestHeaders) else {
        give_up(worker);
        return Ruling::Answered;
    };
    #[cfg(feature = "trap")]
    trap_if_asked(&headers);
    let seen = Seen::of(&headers);
    let request = Request {
        target: seen.target,
        authority: seen.authority,
        authorizations: seen.authorizations.into_iter().flatten(),
    };
    let replica = &worker.replica;
    // Read at most once, and only if something hangs on the time.
    let monotonic_ms = LazyCell::new(host::monotonic_ms);
    // Without the control plane's time every expiry has come.
    let now_ms = || replica.now_ms(*monotonic_ms).unwrap_or(u64::MAX);
    let decision = decide(&worker.config.rules, replica.serving(|| *monotonic_ms), now_ms, request);
    if decision == Decision::Undecided {
        return Ruling::Wait;
    }
    // Of refused requests too: access logs show these headers.
    let cleaned = !seen.has_reserved || remove_reserved(Map::RequestHeaders, &headers);
    let passed = match decision {
        Decision::Refused(refusal) => Err(refusal),
        // The host has not done what it was told to, so what would go upstream cannot be trusted.
        _ if !cleaned => Err(Refusal::NotReady),
        Decision::Undecided => Err(Refusal::NotReady),
        Decision::Exempt => Ok(("exempt", None)),
        Decision::Allowed(admission) => match Call::admit(worker, &admission) {
            Limited::Passes(call) if admit(&admission) => Ok(("allowed", call)),
            Limited::Passes(_) | Limited::Unknown => Err(Refusal::NotReady),
            Limited::Refused(limits, standing) => {
                return refuse_by_limits(worker, &limits, &standing);
            }
        },
    };
    match passed {
        Ok((outcome, call)) => {
            worker.metrics.count_request(outcome);
            Ruling::Pass(call)
        }
        Err(refusal) => {
            refuse(&worker.config.realm, refusal);
            worker.metrics.count_request(refusal.row().label);
            Ruling::Answered
        }
    }
}

/// Breaks the virtual machine, as a bug would, when the request asks for it.
#[cfg(feature = "trap")]
fn trap_if_asked(headers: &Headers) {
    if headers.iter().any(|(name, _)| name == b"x-portcullis-trap") {
        std::process::abort();
    }
}

/// Answers the selected request with 503: it has waited long enough, or cannot be judged.
pub fn give_up(worker: &mut Worker) {
    refuse(&worker.config.realm, Refusal::NotReady);
    worker.metrics.count_request(Refusal::NotReady.row().label);
}

/// Answers the selected request with 429, and says when to come again.
fn refuse_by_limits(worker: &mut Worker, limits: &Limits, standing: &Standing) -> Ruling {
    let row = Refusal::RateLimited.row();
    let mut headers = Refusal::RateLimited.headers(&worker.config.realm);
    if !limits.policy_field().is_empty() {
        headers.push((POLICY_HEADER, limits.policy_field().to_owned()));
        headers.push((HEADER, standing.field(limits)));
    }
    headers.extend(standing.retry_after(limits).map(|seconds| ("retry-after", seconds)));
    host::respond(row.status, &details_of(row.label), &headers, &standing.body(limits));
    worker.metrics.count_request(row.label);
    Ruling::Answered
}

/// Tells the upstream who calls. A caller's headers of these names have been removed before. False if the host did not do all of it.
fn admit(admission: &Admission) -> bool {
    let Admission { key, owner, api, .. } = admission;
    (admission.forward_credential || host::remove_header(Map::RequestHeaders, b"authorization"))
        && host::add_request_header("x-portcullis-key-id", key.text().as_ref())
        && host::add_request_header("x-portcullis-organization", owner.organization.text().as_ref())
        && host::add_request_header("x-portcullis-user", owner.user.text().as_ref())
        && host::add_request_header("x-portcullis-api", api.text().as_ref())
}

/// Removes what only we may say. False if the host did not.
fn remove_reserved(map: Map, headers: &Headers) -> bool {
    headers.iter().filter(|(name, _)| is_reserved(name)).all(|(name, _)| host::remove_header(map, name))
}

/// Some servers read `_` in a header name as `-`, as CGI (RFC 3875, section 4.1.18) makes them, and all ignore
/// its case.
fn is_reserved(name: &[u8]) -> bool {
    name.get(..RESERVED_PREFIX.len()).is_some_and(|start| {
        let plain = |byte: &u8| match byte {
            b'_' => b'-',
            other => other.to_ascii_lowercase(),
        };
        start.iter().map(plain).eq(RESERVED_PREFIX.iter().copied())
    })
}

/// Answers the selected request. If it has been answered already, it needs no second one.
fn refuse(realm: &str, refusal: Refusal) {
    let row = refusal.row();
    host::respond(row.status, &details_of(row.label), &refusal.headers(realm), &refusal.body());
}

/// What Envoy's access log says of a refusal.
fn details_of(label: &str) -> String {
    format!("portcullis_{label}")
}
