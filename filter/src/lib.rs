//! The Portcullis filter: API keys checked inside Envoy, without a hop.
//!
//! This crate is the thin adapter between Envoy and `portcullis-core`; it decides nothing itself.
//!
//! | module | what it does |
//! |---|---|
//! | `abi` | every callback there is |
//! | `host` | every host call there is, and nothing else makes one |
//! | `config` | the plugin configuration |
//! | `root` | one worker's life: it follows the control plane, keeps time, publishes metrics |
//! | `identity` | who the worker is |
//! | `link` | its conversation with the control plane |
//! | `report` | how it hands over what it has counted |
//! | `worker` | what the root context and the request contexts of one worker share |
//! | `streams` | the requests that are under way |
//! | `http` | one request: headers in, verdict out |
//! | `call` | what is still to be done for a request that was let pass |
//! | `metrics` | counters, gathered in the worker and published by the second |
//! | `gauges` | what each worker shows of itself |
//!
//! How it fails: a host call that does not do what it must refuses the request with 503. A trap would take the
//! worker's virtual machine down; Envoy then answers 503 and starts a new one (`FAIL_RELOAD`), which holds
//! requests until it has the key set again. Nothing passes unchecked in either case.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![allow(missing_docs, reason = "the SDK's entry point has none to give, and nothing here is public")]

mod abi;
mod call;
mod config;
mod gauges;
mod host;
mod http;
mod identity;
mod link;
mod metrics;
mod report;
mod root;
mod streams;
mod worker;

use proxy_wasm::traits::RootContext;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context| -> Box<dyn RootContext> { Box::new(root::Root::new(context)) });
}}
