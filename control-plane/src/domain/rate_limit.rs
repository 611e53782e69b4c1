//! The policy that an API holds its callers to, as the admin API takes, stores and shows it.
//!
//! It is what [`portcullis_core::limit`] counts by, with defaults: `per` and `mode` are left out where they have theirs, so
//! that a policy without them comes back as it was sent. [`RateLimit::check`] refuses what cannot be counted by;
//! [`RateLimit::policy`] is what workers are told.

use portcullis_core::limit::{self, AMOUNT_MAX, Policy, RULES_MAX, WINDOW_SECONDS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::Faults;

/// The policy that an API holds its callers to: every rule of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Whose calls are counted together: those of one key, of all keys that one user has issued, or of all keys of one
    /// organization.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per: Per,
    /// 1 to 8 different rules, all of which a call must pass.
    #[schema(min_items = 1, max_items = 8)]
    pub rules: Vec<Rule>,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(default = "key")]
pub enum Per {
    /// Those of one key.
    #[default]
    Key,
    /// Those of all keys that one user has issued.
    User,
    /// Those of all keys of one organization.
    Organization,
}

/// `burst` units at once, and `limit` more in each window, evenly spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is counted: calls when they come, or input and output tokens together once the response says how many there
    /// were.
    pub unit: Unit,
    /// How many units come back in a window, evenly spread over it. With zero no call passes.
    #[schema(maximum = 1_000_000_000_000_u64, example = 60)]
    pub limit: u64,
    /// The window's length in seconds, at most 31 days.
    #[schema(minimum = 1, maximum = 2_678_400, example = 60)]
    pub window_seconds: u32,
    /// How many units may come at once; `limit` if it is left out. With zero no call passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub burst: Option<u64>,
    /// What becomes of a call that does not pass: it is refused, or it is let through and counted as one that would have
    /// been refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Requests,
    /// Input and output tokens together.
    Tokens,
}

/// What becomes of a call that a rule does not let pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(default = "enforce")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and is counted as one that would have been refused.
    Observe,
}

/// What serde asks before it leaves a field out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RateLimit {
    /// What is wrong with the policy, by field.
    pub fn check(&self, faults: &mut Faults) {
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            let detail = format!("give 1 to {RULES_MAX} rules, or null for no limit");
            faults.add("/rate_limit/rules", detail);
        }
        for (index, rule) in self.rules.iter().take(RULES_MAX).enumerate() {
            rule.check(&format!("/rate_limit/rules/{index}"), faults);
            // Whoever gives a rule twice means something else by one of them.
            if let Some(twin) = self.rules.iter().take(index).position(|other| other.rule() == rule.rule()) {
                faults
                    .add(format!("/rate_limit/rules/{index}"), format!("it says the same as /rate_limit/rules/{twin}"));
            }
        }
    }

    /// What workers know of it.
    pub fn policy(&self) -> Policy {
        let per = match self.per {
            Per::Key => limit::Per::Key,
            Per::User => limit::Per::User,
            Per::Organization => limit::Per::Organization,
        };
        Policy { per, rules: self.rules.iter().map(Rule::rule).collect() }
    }
}

impl Rule {
    /// Adds what is wrong with the rule, whose JSON pointer is `at`.
    fn check(&self, at: &str, faults: &mut Faults) {
        if self.limit > AMOUNT_MAX {
            faults.add(format!("{at}/limit"), format!("at most {AMOUNT_MAX}"));
        }
        if self.burst.is_some_and(|burst| burst > AMOUNT_MAX) {
            faults.add(format!("{at}/burst"), format!("at most {AMOUNT_MAX}"));
        }
        if !(1..=WINDOW_SECONDS_MAX).contains(&self.window_seconds) {
            faults.add(format!("{at}/window_seconds"), format!("1 to {WINDOW_SECONDS_MAX}"));
        }
    }

    fn rule(&self) -> limit::Rule {
        limit::Rule {
            unit: match self.unit {
                Unit::Requests => limit::Unit::Requests,
                Unit::Tokens => limit::Unit::Tokens,
            },
            limit: self.limit,
            window_seconds: self.window_seconds,
            burst: self.burst.unwrap_or(self.limit),
            mode: match self.mode {
                Mode::Enforce => limit::Mode::Enforce,
                Mode::Observe => limit::Mode::Observe,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(policy: Value) -> Result<RateLimit, Vec<String>> {
        let mut faults = Faults::default();
        let read = serde_json::from_value::<RateLimit>(policy).unwrap();
        read.check(&mut faults);
        let pointers = |faults: Faults| faults.into_vec().into_iter().map(|fault| fault.pointer).collect();
        faults.check().map(|()| read).map_err(pointers)
    }

    fn one(rule: Value) -> Value {
        json!({"rules": [rule]})
    }

    #[test]
    fn what_is_left_out_has_its_default_and_a_short_policy_comes_back_as_it_was_sent() {
        let short = json!({"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60}]});
        let long = json!({"per": "key", "rules": [{"unit": "requests", "limit": 60, "window_seconds": 60,
                                                   "burst": 60, "mode": "enforce"}]});
        let policy = read(short.clone()).unwrap();
        assert_eq!(read(long).unwrap().policy(), policy.policy());
        assert_eq!(serde_json::to_value(&policy).unwrap(), short);
        let rule = limit::Rule {
            unit: limit::Unit::Requests,
            limit: 60,
            window_seconds: 60,
            burst: 60,
            mode: limit::Mode::Enforce,
        };
        assert_eq!(policy.policy(), Policy { per: limit::Per::Key, rules: vec![rule] });
    }

    #[test]
    fn zero_is_a_limit_and_rules_that_only_observe_are_a_policy() {
        for rule in [
            json!({"unit": "requests", "limit": 0, "window_seconds": 60}),
            json!({"unit": "tokens", "limit": 60, "window_seconds": 60, "burst": 0}),
            json!({"unit": "requests", "limit": AMOUNT_MAX, "window_seconds": WINDOW_SECONDS_MAX, "burst": null}),
            json!({"unit": "requests", "limit": 1, "window_seconds": 60, "mode": "observe"}),
        ] {
            assert!(read(one(rule.clone())).is_ok(), "{rule}");
        }
    }

    #[test]
    fn each_fault_is_named_by_its_field() {
        let plain = json!({"unit": "requests", "limit": 1, "window_seconds": 1});
        let with = |field: &str, value: Value| {
            let mut rule = plain.clone();
            rule[field] = value;
            rule
        };
        let cases = [
            (json!({"rules": []}), vec!["/rate_limit/rules"]),
            (one(with("limit", json!(AMOUNT_MAX + 1))), vec!["/rate_limit/rules/0/limit"]),
            (one(with("burst", json!(u64::MAX))), vec!["/rate_limit/rules/0/burst"]),
            (one(with("window_seconds", json!(0))), vec!["/rate_limit/rules/0/window_seconds"]),
            (one(with("window_seconds", json!(WINDOW_SECONDS_MAX + 1))), vec!["/rate_limit/rules/0/window_seconds"]),
            (
                json!({"rules": [plain, with("window_seconds", json!(2)), with("burst", json!(1))]}),
                vec!["/rate_limit/rules/2"],
            ),
        ];
        for (policy, pointers) in cases {
            assert_eq!(read(policy.clone()).unwrap_err(), pointers, "{policy}");
        }
        let rules = (1..=9).map(|seconds| with("window_seconds", json!(seconds))).collect::<Vec<_>>();
        assert!(read(json!({"rules": rules[..8]})).is_ok());
        assert_eq!(read(json!({"rules": rules})).unwrap_err(), ["/rate_limit/rules"]);
        // What is tried before it is enforced stands beside what is enforced.
        assert!(read(json!({"rules": [plain, with("mode", json!("observe"))]})).is_ok());
    }

    fn arbitrary() -> impl Strategy<Value = RateLimit> {
        let amount = || prop_oneof![0..3_u64, Just(AMOUNT_MAX), Just(AMOUNT_MAX + 1), any::<u64>()];
        let window = prop_oneof![0..3_u32, Just(WINDOW_SECONDS_MAX), Just(WINDOW_SECONDS_MAX + 1), any::<u32>()];
        let unit = prop::sample::select(vec![Unit::Requests, Unit::Tokens]);
        let mode = prop::sample::select(vec![Mode::Enforce, Mode::Observe]);
        let per = prop::sample::select(vec![Per::Key, Per::User, Per::Organization]);
        let rule = (unit, amount(), window, prop::option::of(amount()), mode)
            .prop_map(|(unit, limit, window_seconds, burst, mode)| Rule { unit, limit, window_seconds, burst, mode });
        (per, prop::collection::vec(rule, 0..4)).prop_map(|(per, rules)| RateLimit { per, rules })
    }

    proptest! {
        #[test]
        fn what_is_granted_is_sound_and_is_shown_as_it_was_sent(given in arbitrary()) {
            let mut faults = Faults::default();
            given.check(&mut faults);
            prop_assert!(faults.check().is_err() || given.policy().is_sound());
            let shown = serde_json::to_value(&given).unwrap();
            prop_assert_eq!(serde_json::from_value::<RateLimit>(shown).unwrap(), given);
        }
    }
}
