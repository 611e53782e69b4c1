//! The sync protocol under every fault, in simulated time.
//!
//! A run is made from a seed and nothing else. Virtual machines follow control planes through a network that loses,
//! doubles, delays, reorders, truncates and garbles; they are partitioned, die and start anew. Control planes crash,
//! restart, are cut off from their database and hear late of each other; the database is restored from backups, goes
//! back, and is pruned; clocks disagree. What decides is the real code: [`portcullis_core::sync`] on one side, and
//! [`portcullis_core::push`] on the other, with real pages between them. Everything around it is a model: `database`,
//! `control` and `keeper` (what surrounds the decisions in the control plane), `worker` (what does in the filter),
//! `network`. `client` and `chaos` make things happen.
//!
//! The laws are in `laws`. A law that is broken ends the run; [`Failure`] says which, and how the same run is seen again.
//!
//! A simulation that never comes to a state proves nothing about it, so what happened is counted ([`coverage`]), and
//! what never did is a failure of the test.

pub mod clock;
pub mod coverage;
pub mod random;

mod chaos;
mod client;
mod control;
mod database;
mod keeper;
mod laws;
mod network;
mod plan;
mod stored;
mod trace;
mod worker;
mod world;

mod run;

pub use laws::{Broken, Law};
pub use run::{Failure, Run, run, run_all, run_shown};
