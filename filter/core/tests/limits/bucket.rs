//! The oracle: token buckets, and what is common to all properties.

use std::sync::Arc;

use portcullis_core::id::{ApiId, KeyId};
use portcullis_core::limit::{Counted, Limits, Mode, Per, Policy, Rule, Subject, Unit};
use proptest::prelude::*;

pub const SECOND: u64 = 1_000_000_000;

/// A token bucket. Its content is counted in units of 1/(window in ns), of which `limit` run in every nanosecond.
#[derive(Debug, Clone)]
pub struct Bucket {
    rule: Rule,
    content: i128,
    at_ns: u64,
}

impl Bucket {
    pub fn full(rule: Rule) -> Self {
        Self { rule, content: i128::from(rule.burst) * Self::unit(rule), at_ns: 0 }
    }

    fn unit(rule: Rule) -> i128 {
        i128::from(rule.window_seconds) * i128::from(SECOND)
    }

    fn fill(&mut self, now_ns: u64) {
        let gained = i128::from(now_ns - self.at_ns) * i128::from(self.rule.limit);
        self.content = (self.content + gained).min(i128::from(self.rule.burst) * Self::unit(self.rule));
        self.at_ns = now_ns;
    }

    pub fn units(&mut self, now_ns: u64) -> u64 {
        self.fill(now_ns);
        if self.rule.limit == 0 { 0 } else { u64::try_from(self.content.max(0) / Self::unit(self.rule)).unwrap() }
    }

    pub fn take(&mut self, now_ns: u64, units: u64) {
        self.fill(now_ns);
        self.content -= i128::from(units) * Self::unit(self.rule);
    }
}

/// All rules of a policy, in one worker: the most that may pass.
#[derive(Debug, Clone)]
pub struct Single(pub Vec<Bucket>);

impl Single {
    pub fn of(rules: &[Rule]) -> Self {
        Self(rules.iter().map(|rule| Bucket::full(*rule)).collect())
    }

    /// Whether a request passes that comes now.
    pub fn admit(&mut self, now_ns: u64) -> bool {
        let short = self.0.iter_mut().map(|bucket| bucket.units(now_ns) == 0).collect::<Vec<_>>();
        let refuses = |(bucket, short): (&Bucket, &bool)| *short && bucket.rule.mode == Mode::Enforce;
        if self.0.iter().zip(&short).any(refuses) {
            return false;
        }
        for (bucket, short) in self.0.iter_mut().zip(short) {
            if bucket.rule.unit == Unit::Requests && !short {
                bucket.take(now_ns, 1);
            }
        }
        true
    }
}

pub fn requests(limit: u64, window_seconds: u32, burst: u64) -> Rule {
    Rule { unit: Unit::Requests, limit, window_seconds, burst, mode: Mode::Enforce }
}

pub fn limits(rules: &[Rule]) -> Arc<Limits> {
    Arc::new(Limits::new(Policy { per: Per::Key, rules: rules.to_vec() }).unwrap())
}

pub fn counted(key: u64) -> Counted {
    Counted { api: ApiId::from_number(1), subject: Subject::Key(KeyId::from_number(key)) }
}

/// Rules of every size, odd ones among them.
pub fn any_rule() -> impl Strategy<Value = Rule> {
    let amount = || prop_oneof![0_u64..4, 0_u64..2_000, 0_u64..=1_000_000_000_000];
    let unit = prop::sample::select(vec![Unit::Requests, Unit::Requests, Unit::Tokens]);
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Observe]);
    (unit, amount(), prop_oneof![1_u32..4, 1_u32..=2_678_400], amount(), mode)
        .prop_map(|(unit, limit, window_seconds, burst, mode)| Rule { unit, limit, window_seconds, burst, mode })
}

/// Pauses between arrivals, in parts of what it takes a rule's unit to come back, so that they are neither all too
/// short nor all too long.
pub fn pauses(rule: Rule, count: usize) -> impl Strategy<Value = Vec<u64>> {
    let unit_ns = u64::from(rule.window_seconds) * SECOND / rule.limit.max(1);
    let pause = prop_oneof![
        3 => Just(0),
        3 => 0..=unit_ns.saturating_mul(2).max(1),
        1 => 0..=unit_ns.saturating_mul(rule.burst.clamp(1, 50)),
        1 => Just(unit_ns),
    ];
    prop::collection::vec(pause, 0..count)
}
