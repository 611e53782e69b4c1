//! Rate limits: what an API's policy lets pass, exact across the workers of one Envoy.
//!
//! Each rule is a generic cell rate algorithm (GCRA; ITU-T Recommendation I.371, annex A, in its form as virtual
//! scheduling): `burst` units may come at once, and `limit` units come back in each window, evenly spread over it. A
//! request passes if every enforcing rule has a unit for it, and then takes one from each; a refused request takes
//! nothing.
//!
//! ```text
//!  worker          Limiter ──── lease: slots that are this worker's own, spent without asking anyone
//!    │                │
//!    │                ▼  read, decide, write if nobody else has; begin again if so
//!  worker ───► shared value ─── Counters: whose, which rule, its theoretical arrival time (Tat)
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `policy` | what an API holds its callers to, in plain types |
//! | `gcra` | one rule, as a function of time |
//! | `limits` | a policy, checked, with all that is rendered of it once |
//! | `counters` | what the workers share, as bytes; `carry` takes it over when a policy changes |
//! | `lease` | units that a worker has taken in advance |
//! | `limiter` | one worker: leases, and the shared values behind them |
//! | `standing` | the answer, and what a caller is told of it |
//!
//! A unit that has been taken is a *slot* in a rule's schedule, and no two units have the same. A worker may spend a
//! leased slot until its time has come and not later. So all that pass, in whatever worker, hold different slots that
//! lie no further ahead than the burst allows: that is GCRA's own law, and as no sequence that keeps it admits more than
//! GCRA by itself does, leases never let pass more than one worker alone would.
//!
//! How it fails: a value that cannot be written in a hundred attempts, or is full, refuses the request as one that
//! cannot be judged. What is no value of ours counts as an empty one. Time is Envoy's monotonic clock, so a step of the
//! wall clock neither frees nor blocks.

mod carry;
mod counters;
mod gcra;
mod lease;
mod limiter;
mod limits;
mod policy;
mod standing;

pub use counters::SLOTS;
pub use gcra::Tat;
pub use limiter::{Answer, Limiter, Shared};
pub use limits::Limits;
pub use policy::{AMOUNT_MAX, Counted, Mode, Per, Policy, RULES_MAX, Rule, Subject, Unit, WINDOW_SECONDS_MAX};
pub use standing::{HEADER, POLICY_HEADER, Standing};
