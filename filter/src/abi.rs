//! What Envoy calls: the callbacks of the Proxy-Wasm ABI 0.2.1 that this filter needs.
//!
//! Entering a virtual machine costs a request some 0.3 µs each time, and Envoy does so for each callback that a module
//! exports. The SDK's dispatcher exports all that there are, and looks up a boxed context for each. So requests have
//! callbacks of their own here, and no others; what concerns a root context goes on to the SDK. The last step of the
//! build, `portcullis-trim`, exports these in place of the SDK's.
//!
//! Envoy does not tell it here when a context is deleted. A request is over with `on_done`, which Envoy calls for each
//! that it has created; a root context is dropped when it has said that it is done.

#![allow(unsafe_code, reason = "functions that are exported by name, and the SDK's, which are called by name")]

use proxy_wasm::types::Action;

use crate::{http, streams};

// The SDK's callbacks, which it does not make public in any other way. All arguments are plain numbers.
unsafe extern "C" {
    safe fn proxy_on_context_create(context: u32, root: u32);
    safe fn proxy_on_done(context: u32) -> bool;
    safe fn proxy_on_delete(context: u32);
    safe fn proxy_on_tick(context: u32);
    safe fn proxy_on_http_call_response(context: u32, number: u32, headers: usize, body_size: usize, trailers: usize);
}

/// The first callback of a context. A root context has no other as its root.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_context_create(context: u32, root: u32) {
    if root == 0 {
        proxy_on_context_create(context, root);
    } else {
        streams::announce(context, root);
    }
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_headers(context: u32, _count: usize, _is_end: bool) -> Action {
    http::request_headers(context)
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_body(context: u32, size: usize, _is_end: bool) -> Action {
    http::request_body(context, size);
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_trailers(_context: u32, _count: usize) -> Action {
    http::request_trailers();
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_headers(context: u32, _count: usize, is_end: bool) -> Action {
    http::response_headers(context, is_end);
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_body(context: u32, size: usize, is_end: bool) -> Action {
    http::response_body(context, size, is_end);
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_trailers(context: u32, _count: usize) -> Action {
    http::response_trailers(context);
    Action::Continue
}

/// The last callback of a context, but for a root context that says that it has something left to do.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_done(context: u32) -> bool {
    if !streams::is_root(context) {
        http::done(context);
        return true;
    }
    let is_done = proxy_on_done(context);
    if is_done {
        proxy_on_delete(context);
    }
    is_done
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_tick(context: u32) {
    proxy_on_tick(context);
    drop_if_done(context);
}

#[unsafe(no_mangle)]
extern "C" fn portcullis_on_http_call_response(
    context: u32,
    number: u32,
    headers: usize,
    body_size: usize,
    trailers: usize,
) {
    proxy_on_http_call_response(context, number, headers, body_size, trailers);
    drop_if_done(context);
}

/// Drops a root context that has just said that it is done: nothing calls it any more.
fn drop_if_done(context: u32) {
    if streams::is_done(context) {
        proxy_on_delete(context);
    }
}
