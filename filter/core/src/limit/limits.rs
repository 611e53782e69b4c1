//! A policy that has been checked, with all that is rendered of it once.

use std::fmt::Write;

use super::policy::{Mode, Policy, Rule, Unit};

/// Bursts below this are never leased: with few units, each one that lies idle in a worker would be missed.
const LEASED_BURST_MIN: u64 = 4_000;
/// At most one in so many units of a burst lies in the leases of all workers together.
const LEASED_SHARE: u64 = 400;
/// The most units of one lease. A caller alone would do with 64; of thousands each comes by more rarely, and a lease lapses
/// unit by unit in the meantime.
const LEASE_UNITS_MAX: u64 = 1_024;

/// A sound policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    policy: Policy,
    /// By rule: what it is called; `None` for one that only observes, of which callers are told nothing.
    names: Vec<Option<String>>,
    policy_field: String,
}

impl Limits {
    /// `None` for a policy that is not sound.
    pub fn new(policy: Policy) -> Option<Self> {
        if !policy.is_sound() {
            return None;
        }
        let names = names(&policy.rules);
        let policy_field = policy_field(&policy.rules, &names);
        Some(Self { policy, names, policy_field })
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.policy.rules
    }

    /// The rules that are enforced, each with its place in the policy and its name.
    pub fn enforced(&self) -> impl Iterator<Item = (usize, &Rule, &str)> {
        let rules = self.policy.rules.iter().zip(&self.names).enumerate();
        rules.filter_map(|(place, (rule, name))| Some((place, rule, name.as_deref()?)))
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11); empty if no rule is enforced.
    pub fn policy_field(&self) -> &str {
        &self.policy_field
    }

    /// How many units one of so many workers takes in one step.
    ///
    /// Only rules that are enforced and count requests can be leased: what another worker has charged in tokens, or has
    /// observed, must be seen by the next request already.
    pub fn lease_units(&self, workers: u64) -> u32 {
        let leasable = |rule: &Rule| rule.mode == Mode::Enforce && rule.unit == Unit::Requests;
        let burst = self.rules().iter().map(|rule| rule.burst).min().unwrap_or(0);
        if burst < LEASED_BURST_MIN || !self.rules().iter().all(leasable) {
            return 1;
        }
        let share = burst.checked_div(LEASED_SHARE.saturating_mul(workers)).unwrap_or(0);
        u32::try_from(share.clamp(1, LEASE_UNITS_MAX)).unwrap_or(1)
    }
}

/// `requests-60s`, and `requests-60s-2` for the second rule of that unit and window.
fn names(rules: &[Rule]) -> Vec<Option<String>> {
    let mut names: Vec<Option<String>> = Vec::with_capacity(rules.len());
    for (place, rule) in rules.iter().enumerate() {
        let alike = |other: &&Rule| {
            other.mode == Mode::Enforce && other.unit == rule.unit && other.window_seconds == rule.window_seconds
        };
        let before = rules.iter().take(place).filter(alike).count();
        let name = match before {
            0 => format!("{}-{}s", rule.unit.name(), rule.window_seconds),
            _ => format!("{}-{}s-{}", rule.unit.name(), rule.window_seconds, before.saturating_add(1)),
        };
        names.push((rule.mode == Mode::Enforce).then_some(name));
    }
    names
}

fn policy_field(rules: &[Rule], names: &[Option<String>]) -> String {
    let mut field = String::new();
    for (rule, name) in rules.iter().zip(names) {
        let Some(name) = name else { continue };
        let separator = if field.is_empty() { "" } else { ", " };
        let unit = match rule.unit {
            Unit::Requests => "",
            Unit::Tokens => ";qu=\"tokens\"",
        };
        // Writing to a string cannot fail.
        let _ = write!(field, "{separator}\"{name}\";q={}{unit};w={}", rule.limit, rule.window_seconds);
    }
    field
}

impl Unit {
    /// What it is called where callers see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Per;

    fn rule(unit: Unit, limit: u64, window_seconds: u32, mode: Mode) -> Rule {
        Rule { unit, limit, window_seconds, burst: limit, mode }
    }

    fn limits(rules: Vec<Rule>) -> Option<Limits> {
        Limits::new(Policy { per: Per::Key, rules })
    }

    #[test]
    fn the_policy_field_names_every_rule_that_is_enforced() {
        let rules = vec![
            rule(Unit::Requests, 60, 60, Mode::Enforce),
            rule(Unit::Requests, 5, 60, Mode::Observe),
            rule(Unit::Tokens, 0, 86_400, Mode::Enforce),
            rule(Unit::Requests, 10, 60, Mode::Enforce),
        ];
        let limits = limits(rules).unwrap();
        let expected = "\"requests-60s\";q=60;w=60, \"tokens-86400s\";q=0;qu=\"tokens\";w=86400, \
                        \"requests-60s-2\";q=10;w=60";
        assert_eq!(limits.policy_field(), expected);
        assert_eq!(limits.enforced().map(|(place, ..)| place).collect::<Vec<_>>(), [0, 2, 3]);
    }

    #[test]
    fn only_large_bursts_of_requests_are_leased_and_little_of_them() {
        let lease = |rules: Vec<Rule>, workers| limits(rules).unwrap().lease_units(workers);
        let enforced = |limit| rule(Unit::Requests, limit, 60, Mode::Enforce);
        assert_eq!(lease(vec![enforced(3_999)], 1), 1);
        assert_eq!(lease(vec![enforced(100_000)], 5), 50);
        assert_eq!(lease(vec![enforced(100_000)], 64), 3);
        assert_eq!(lease(vec![enforced(1_000_000_000)], 5), 1_024);
        assert_eq!(lease(vec![enforced(100_000), enforced(3_999)], 5), 1);
        assert_eq!(lease(vec![enforced(100_000), rule(Unit::Tokens, 100_000, 60, Mode::Enforce)], 5), 1);
        assert_eq!(lease(vec![enforced(100_000), rule(Unit::Requests, 100_000, 60, Mode::Observe)], 5), 1);
    }

    #[test]
    fn a_policy_out_of_bounds_is_none() {
        assert!(limits(Vec::new()).is_none());
        assert!(limits(vec![rule(Unit::Requests, 1, 0, Mode::Enforce)]).is_none());
        assert!(limits(vec![rule(Unit::Requests, u64::MAX, 1, Mode::Enforce)]).is_none());
        assert!(limits(vec![rule(Unit::Requests, 1, 1, Mode::Enforce); 9]).is_none());
    }
}
