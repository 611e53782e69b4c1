//! The control plane's side of the sync protocol, without I/O: what is decided there about workers.
//!
//! | module | what it decides |
//! |---|---|
//! | [`reach`] | which gateways are told of which key |
//! | [`delta`] | what changed after a revision, as one page |
//! | [`answer`] | what one poll gets: a delta, a snapshot, nothing yet, or a refusal |
//! | [`fleet`] | which workers there are, how far each has come, and so what a receipt says |
//!
//! It stands beside [`crate::sync`], the worker's side, so that a simulation can drive both without a network, a
//! database or a clock.

pub mod answer;
pub mod delta;
pub mod fleet;
pub mod reach;
