//! The laws of the sync protocol, between a replica and a control plane that is made up for it.

#![allow(missing_docs, reason = "a test")]

mod faults;
mod lease;
mod server;
mod slices;
mod worker;
