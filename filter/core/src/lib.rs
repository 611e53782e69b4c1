//! What Portcullis decides, and what its two sides agree on.
//!
//! The filter and the control plane both build on this crate, so that a key, a page of changes or a verdict
//! means one thing. Nothing here does I/O, reads a clock or draws random numbers: time, randomness and bytes
//! are arguments, which is what lets the same code run in Envoy, in the control plane and in a simulation.
//!
//! Read in this order:
//!
//! | module | what it fixes |
//! |---|---|
//! | [`id`] | the ids of keys, organizations, users, APIs |
//! | [`key`], [`digest`] | the text of a key, and the only form of it that is ever stored |
//! | [`path`], [`api`] | which API a request is for, with one reading of its path |
//! | [`credential`] | the key that a request presents |
//! | [`verdict`], [`outcome`] | every verdict there is: its status, code, challenge and body; how requests end |
//! | [`decide`] | the decision itself |
//! | [`month`] | when budgets begin anew |
//! | [`limit`] | rate limits, exact across the workers of one Envoy |
//! | [`mix`] | the hash of ids in tables of memory |
//! | [`table`], [`intern`], [`directory`] | the key set of one worker, compact and exactly sized |
//! | [`wire`] | the pages that a control plane sends |
//! | [`sync`] | the state machine that follows a control plane |
//! | [`push`] | what a control plane tells its workers, and what it knows of them |
//! | [`ledger`] | what a worker has counted and not yet handed over |
//! | [`usage`] | how many tokens a response used, read in passing |
//! | [`slots`] | how the workers of one Envoy are told apart in its statistics |
//!
//! Every function is total: bad input gets an error value or a refusal, never a panic, because a panic would
//! take an Envoy worker's virtual machine down.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should"))]
#![forbid(unsafe_code)]

pub mod api;
pub mod credential;
pub mod decide;
pub mod digest;
pub mod directory;
pub mod id;
pub mod intern;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod mix;
pub mod month;
pub mod outcome;
pub mod path;
pub mod push;
pub mod slots;
pub mod sync;
pub mod table;
pub mod usage;
pub mod verdict;
pub mod wire;
