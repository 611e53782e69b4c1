//! How many requests a rule may have let pass, and how many it must have, by what was seen from outside.
//!
//! Time passes while a load runs, and units come back in it, so a bare number would be wrong. Say the first decision was
//! at `a`, and the rule has let `n` pass by the instant `d` of some decision. As the algorithm is GCRA,
//!
//! - `n <= burst + (d - a) * limit / window`, and
//! - if that decision was a refusal, less than one unit was there: `n > burst + (d - a) * limit / window - 1`.
//!
//! A decision is taken after its request was sent and before its answer has come. So `d - a` is at most the time from the
//! first sending to the last answer with 200, and at least that from the first answer with 200 to the last sending that
//! was refused. No unit was lost in a full bucket meanwhile, as the load never lets it be full.

use std::time::Duration;

use portcullis_tests::load::Tally;

/// At least, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So many must have passed.
    pub least: u64,
    /// So many may have passed.
    pub most: u64,
}

impl Bounds {
    /// Those of a rule, for a load that went on until it was refused. The burst is the limit.
    pub fn of(limit: u64, window_seconds: u32, tally: &Tally) -> Self {
        let [shortest, longest] = spans(tally);
        let returned = |span: Duration| returned(span, limit, window_seconds);
        Self { least: limit + returned(shortest), most: limit + returned(longest) }
    }
}

/// The time between first and last decision: at least, and at most.
pub fn spans(tally: &Tally) -> [Duration; 2] {
    let (passed, refused) = (tally.answers[&200], tally.answers[&429]);
    let first_sent = tally.first_sent.expect("a request");
    [refused.last_sent.saturating_duration_since(passed.first_came), passed.last_came - first_sent]
}

/// How many whole units come back in this time.
pub fn returned(span: Duration, limit: u64, window_seconds: u32) -> u64 {
    let window = Duration::from_secs(window_seconds.into());
    u64::try_from(span.as_nanos() * u128::from(limit) / window.as_nanos()).expect("a count")
}
