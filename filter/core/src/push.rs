//! What a control plane tells its workers and what it knows of them, without I/O.
//!
//! | module | what it decides |
//! |---|---|
//! | [`reach`] | which gateways are told of which key |
//! | [`delta`] | what changed after a revision, as one page |
//! | [`answer`] | what one poll gets: a delta, a snapshot, nothing yet, or a refusal |
//! | [`fleet`] | which workers there are, how far each has come, and so what a receipt says |
//!
//! The database, the clock and the connections are the control plane's; it feeds these functions what it has read,
//! and does as they say. A simulation does the same with a database of its own, so what is decided here is what was
//! tested there.

pub mod answer;
pub mod delta;
pub mod fleet;
pub mod reach;
