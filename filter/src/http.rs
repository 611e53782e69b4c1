//! One request: headers in, verdict out, and what follows.
//!
//! [`judge`] decides. It runs in the request's own callback, or, for a request that was held, in the root context's
//! callback with the request selected.

use std::cell::LazyCell;

use portcullis_core::decide::{Admission, Caller, Decision, Request, decide};
use portcullis_core::limit::{HEADER, Limits, POLICY_HEADER, Standing};
use portcullis_core::verdict::Refusal;
use proxy_wasm::types::Action;

use crate::call::{Call, Limited};
use crate::host::{self, Headers, Map};
use crate::streams::{self, State, Stream};
use crate::worker::{Shared, Worker};

/// Header names that begin so are ours: a caller's are removed, whatever the path.
const RESERVED_PREFIX: &[u8] = b"x-portcullis-";

/// The one encoding of responses that can be read.
const IDENTITY: &str = "identity";

/// What becomes of a request.
#[derive(Debug)]
pub enum Ruling {
    /// It goes on to the upstream. What is still to be done for it is nothing only on exempt paths.
    Pass(Option<Box<Call>>),
    /// It has been answered.
    Answered,
    /// It cannot be judged yet.
    Wait,
}

/// The headers of a request have come.
pub fn request_headers(context: u32) -> Action {
    let Some(shared) = streams::announced(context) else {
        answer(Refusal::NotReady, "", || 0);
        return Action::Pause;
    };
    let Ok(mut worker) = shared.try_borrow_mut() else {
        answer(Refusal::NotReady, "", || 0);
        return Action::Pause;
    };
    let (action, state) = match judge(&mut worker) {
        Ruling::Pass(None) => return Action::Continue,
        Ruling::Answered => return Action::Pause,
        Ruling::Pass(Some(call)) => (Action::Continue, State::Passing(call)),
        Ruling::Wait => {
            if !worker.hold(context, host::monotonic_ms()) {
                give_up(&mut worker);
                return Action::Pause;
            }
            (Action::Pause, State::Held)
        }
    };
    drop(worker);
    streams::open(context, Stream { worker: shared, state });
    action
}

/// A piece of a request's body passes, of so many bytes.
pub fn request_body(context: u32, size: usize) {
    streams::with_call(context, |call, _| call.sent(size));
}

/// Trailers reach the upstream too, and some servers merge them into the headers.
pub fn request_trailers() {
    if let Some(trailers) = Headers::read(Map::RequestTrailers) {
        remove_reserved(Map::RequestTrailers, &trailers);
    }
}

/// The headers of the response have come.
pub fn response_headers(context: u32, is_end: bool) {
    streams::with_call(context, |call, worker| {
        call.answer();
        end_if(is_end, call, worker);
    });
}

/// A piece of the response's body passes, of so many bytes.
pub fn response_body(context: u32, size: usize, is_end: bool) {
    streams::with_call(context, |call, worker| {
        call.received(size);
        end_if(is_end, call, worker);
    });
}

/// The trailers of the response have come.
pub fn response_trailers(context: u32) {
    streams::with_call(context, |call, worker| end_if(true, call, worker));
}

/// At the end of a response what it used is taken before that end reaches the caller, who may then send the next
/// request.
fn end_if(is_end: bool, call: &mut Call, worker: &Shared) {
    if is_end && let Ok(mut worker) = worker.try_borrow_mut() {
        call.end(&mut worker);
    }
}

/// A request is over, in whatever way.
pub fn done(context: u32) {
    let Some(Stream { worker, state }) = streams::close(context) else { return };
    let Ok(mut worker) = worker.try_borrow_mut() else { return };
    match state {
        State::Held => worker.forget(context),
        State::Passing(call) => call.settle(&mut worker),
    }
}

/// What is looked at of a request's headers, found in one pass over them.
#[derive(Default)]
struct Seen<'h> {
    target: Option<&'h [u8]>,
    authority: Option<&'h [u8]>,
    /// The first two: more than one is one too many.
    authorizations: [Option<&'h [u8]>; 2],
    /// Whether a compressed response is wanted.
    accepts_encodings: bool,
    /// Whether the upstream is asked to do something: only then does its answer use tokens.
    is_post: bool,
    has_reserved: bool,
}

impl<'h> Seen<'h> {
    fn of(headers: &'h Headers) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers.iter() {
            match name {
                b":method" => seen.is_post = value == b"POST",
                b":path" => _ = seen.target.get_or_insert(value),
                b":authority" => _ = seen.authority.get_or_insert(value),
                b"authorization" => {
                    let [first, second] = &mut seen.authorizations;
                    _ = if first.is_none() { first } else { second }.insert(value);
                }
                b"accept-encoding" => seen.accepts_encodings |= value != IDENTITY.as_bytes(),
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
    match decision {
        Decision::Refused { refusal, by } => refuse(worker, refusal, by),
        Decision::Undecided => refuse(worker, Refusal::NotReady, None),
        // The host has not done what it was told to, so what would go upstream cannot be trusted.
        Decision::Exempt if !cleaned => refuse(worker, Refusal::NotReady, None),
        Decision::Exempt => {
            worker.metrics.count_request("exempt");
            Ruling::Pass(None)
        }
        Decision::Allowed(admission) if !cleaned => refuse(worker, Refusal::NotReady, Some(admission.caller)),
        Decision::Allowed(admission) => let_pass(worker, admission, &seen),
    }
}

/// Asks the limits, and makes the selected request what the upstream is to see of it.
fn let_pass(worker: &mut Worker, admission: Admission, seen: &Seen<'_>) -> Ruling {
    let caller = admission.caller;
    match Call::admit(worker, admission, seen.is_post) {
        Limited::Passes(call) if introduce(&call.admission) => {
            if seen.accepts_encodings && call.counts_tokens() {
                // Of an upstream that compresses all the same it is not known what was used.
                host::set_header(Map::RequestHeaders, "accept-encoding", IDENTITY);
            }
            worker.metrics.count_request("allowed");
            Ruling::Pass((!cfg!(feature = "uncounted")).then_some(call))
        }
        Limited::Passes(_) | Limited::Unknown => refuse(worker, Refusal::NotReady, Some(caller)),
        Limited::Refused(limits, standing) => refuse_by_limits(worker, caller, &limits, &standing),
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
    refuse(worker, Refusal::NotReady, None);
}

/// Refuses the selected request, and counts it.
fn refuse(worker: &mut Worker, refusal: Refusal, by: Option<Caller>) -> Ruling {
    let replica = &worker.replica;
    // Only what hangs on a key set hangs on the time, which has come with it.
    answer(refusal, &worker.config.realm, || replica.now_ms(host::monotonic_ms()).unwrap_or(0));
    worker.count_refused(refusal, by);
    Ruling::Answered
}

/// Answers the selected request with 429, and says when to come again.
fn refuse_by_limits(worker: &mut Worker, caller: Caller, limits: &Limits, standing: &Standing) -> Ruling {
    let row = Refusal::RateLimited.row();
    let mut headers = Refusal::RateLimited.headers(&worker.config.realm, || 0);
    if !limits.policy_field().is_empty() {
        headers.push((POLICY_HEADER, limits.policy_field().to_owned()));
        headers.push((HEADER, standing.field(limits)));
    }
    headers.extend(standing.retry_after(limits).map(|seconds| ("retry-after", seconds)));
    host::respond(row.status, &details_of(row.label), &headers, &standing.body(limits));
    worker.count_refused(Refusal::RateLimited, Some(caller));
    Ruling::Answered
}

/// Tells the upstream who calls. A caller's headers of these names have been removed before. False if the host did not
/// do all of it.
fn introduce(admission: &Admission) -> bool {
    let Admission { caller: Caller { key, api, .. }, owner, .. } = admission;
    if cfg!(feature = "unintroduced") {
        return true;
    }
    (admission.forward_credential || host::remove_header(Map::RequestHeaders, b"authorization"))
        && host::add_header(Map::RequestHeaders, "x-portcullis-key-id", key.text().as_ref())
        && host::add_header(Map::RequestHeaders, "x-portcullis-organization", owner.organization.text().as_ref())
        && host::add_header(Map::RequestHeaders, "x-portcullis-user", owner.user.text().as_ref())
        && host::add_header(Map::RequestHeaders, "x-portcullis-api", api.text().as_ref())
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
fn answer(refusal: Refusal, realm: &str, now_ms: impl FnOnce() -> u64) {
    let row = refusal.row();
    host::respond(row.status, &details_of(row.label), &refusal.headers(realm, now_ms), &refusal.body());
}

/// What Envoy's access log says of a refusal.
fn details_of(label: &str) -> String {
    format!("portcullis_{label}")
}
