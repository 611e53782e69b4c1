//! The control plane's side of the sync protocol, without I/O: what is decided there about workers.
//!
//! | module | what it decides |
//! |---|---|
//! | [`fleet`] | which workers there are, how far each has come, and so what a receipt says |
//!
//! It stands beside [`crate::sync`], the worker's side, so that a simulation can drive both without a network, a
//! database or a clock.

pub mod fleet;
