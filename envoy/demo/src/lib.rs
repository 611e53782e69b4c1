//! What `make run` shows and what the end-to-end tests stand on: a sample upstream, and the pieces to start a control
//! plane and an Envoy around it.
//!
//! ```text
//!   runner (make run) ─┐
//!                      ├─> stack ─> control plane (process), Envoy (process), sample upstream (in here)
//!   tests ─────────────┘      └──> envoy_config: envoy/envoy.yaml with other ports
//! ```
//!
//! None of this is in the product's binaries. Every piece of [`stack`] starts, waits until it is healthy, and stops on
//! its own; whatever fails says so with the end of the log that explains it.

pub mod admin;
pub mod children;
pub mod envoy_config;
pub mod guard;
pub mod health;
pub mod parent;
pub mod ports;
pub mod runner;
pub mod secrets;
pub mod seed;
pub mod settings;
pub mod stack;
pub mod terminal;
pub mod tour;
pub mod upstream;
