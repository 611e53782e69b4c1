//! The laws of rate limits: one rule, several rules, several workers, changed policies.
//!
//! The code under test is what the filter runs. The oracle is a token bucket, written in another way than the code: it
//! fills while time goes by, where the code moves a theoretical arrival time.

mod bucket;
mod memory;
mod one_rule;
mod policies;
mod told;
mod workers;
