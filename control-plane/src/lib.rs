//! The Portcullis control plane: it issues API keys, and pushes every change to the filters that enforce them.
//!
//! What stands where:
//!
//! | module | what it is |
//! |---|---|
//! | [`domain`] | keys, APIs, organizations, gateways and their rules; clock and randomness; no HTTP, no SQL |
//! | [`storage`] | the database: all SQL, migrations, the change log, snapshots and deltas |
//! | [`api`] | the admin API, one file per operation, and its OpenAPI description |
//! | [`console`] | the same for people, in a browser: pages that call the admin API |
//! | [`sync`] | the sync port, where filter workers poll for changes |
//! | [`server`] | the HTTP server under both ports, with its limits |
//! | [`problem`], [`bearer`] | refusals as RFC 9457 documents; the token that a request presents |
//! | [`fleet`], [`metrics`] | the workers that receipts wait for; what is counted and timed |
//! | [`oidc`] | signing in with an OpenID Connect provider |
//! | [`hasher`] | password hashing off the async threads, a few at a time |
//! | [`cli`] | the program's subcommands: their arguments and exit codes |
//! | [`logging`], [`serve`], [`housekeeping`] | log lines; `portcullis serve` from start to stop; what it does by itself |
//! | [`scan`] | `portcullis scan`: finds keys in files |
//!
//! A write goes `api` → `storage`, which commits key, change log, audit and idempotency record as one
//! transaction and then publishes the revision to the [`domain::feed::Feed`]. That wakes the polls that wait in
//! `sync`, which read from `storage` what changed. Nothing in between is remembered, so nothing can be lost
//! between the two: whatever a worker asks after, the database answers.
//!
//! Dependencies point one way: `serve → {console → api, sync, server} → fleet → storage → domain → portcullis-core`.

#![forbid(unsafe_code)]

pub mod api;
pub mod bearer;
pub mod cli;
pub mod console;
pub mod domain;
pub mod fleet;
pub mod hasher;
pub mod housekeeping;
pub mod logging;
pub mod metrics;
pub mod oidc;
pub mod problem;
pub mod scan;
pub mod serve;
pub mod server;
pub mod storage;
pub mod sync;
