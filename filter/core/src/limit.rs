//! Rate limits.
mod policy;

pub use policy::{AMOUNT_MAX, Counted, Mode, Per, Policy, RULES_MAX, Rule, Subject, Unit, WINDOW_SECONDS_MAX};
