//! The answer to one request, and what its caller is told of it.
//!
//! `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, section 4) says for each enforced rule how many units are left
//! (`r`) and after how many seconds one more comes back (`t`); seconds are rounded up, so that whoever waits for them
//! does not come too early. In a refusal only the rules that refuse have a `t`, so that `Retry-After` is the latest of
//! all, as the draft asks.

use super::gcra::Tat;
use super::limits::Limits;
use super::policy::{Mode, RULES_MAX, Rule, Unit};
use crate::verdict::Refusal;

/// The header that says what a policy allows.
pub const POLICY_HEADER: &str = "ratelimit-policy";
/// The header that says how much of it is left.
pub const HEADER: &str = "ratelimit";
/// What one rule takes of the field, about.
const FIELD_BYTES: usize = 40;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// How the rules of a policy stand after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// When the request came.
    pub now_ns: u64,
    /// By rule: its state.
    pub tats: [Tat; RULES_MAX],
    /// How many units this worker holds besides.
    pub leased: u32,
    /// By rule, a bit each: whether it had no unit for the request.
    pub short: u8,
}

impl Standing {
    /// Whether a rule had no unit for the request.
    pub fn is_short(&self, place: usize) -> bool {
        self.short & bit(place) != 0
    }

    /// Whether the policy refuses the request.
    pub fn refuses(&self, limits: &Limits) -> bool {
        self.refusing(limits).next().is_some()
    }

    /// Whether a rule that only observes would have refused the request.
    pub fn would_refuse(&self, limits: &Limits) -> bool {
        let mut rules = limits.rules().iter().enumerate();
        rules.any(|(place, rule)| rule.mode == Mode::Observe && self.is_short(place))
    }

    /// After how many whole seconds, rounded up, a refused request would pass; `None` if it never would.
    fn retry_after_seconds(&self, limits: &Limits) -> Option<u64> {
        let waits = self.refusing(limits).map(|(place, rule, _)| rule.wait_ns(self.tat(place), self.now_ns));
        waits.collect::<Option<Vec<_>>>()?.into_iter().max().map(seconds)
    }

    /// The body of a refusal: which rules refuse, what the first of them allows, and when to come again.
    pub fn body(&self, limits: &Limits) -> Vec<u8> {
        let refusing = self.refusing(limits).map(|(_, rule, name)| (rule, name));
        let (rules, names): (Vec<&Rule>, Vec<&str>) = refusing.unzip();
        let Some(Rule { unit, limit, window_seconds, .. }) = rules.first() else {
            return Refusal::RateLimited.body();
        };
        let then = match self.retry_after_seconds(limits) {
            Some(seconds) => format!("Try again in {seconds} s."),
            None => "No request passes while this policy holds.".to_owned(),
        };
        let unit = unit.name();
        let detail = format!("Rate limit reached: {limit} {unit} per {window_seconds} s. {then}");
        Refusal::limited_body(&detail, unit, &names)
    }

    /// The value of `Retry-After` (RFC 9110, section 10.2.3) of a refusal, where waiting helps.
    pub fn retry_after(&self, limits: &Limits) -> Option<String> {
        self.retry_after_seconds(limits).map(|seconds| seconds.to_string())
    }

    /// The value of `RateLimit`; empty if no rule is enforced.
    pub fn field(&self, limits: &Limits) -> String {
        let refuses = self.refuses(limits);
        let mut field = String::with_capacity(FIELD_BYTES);
        let mut digits = itoa::Buffer::new();
        for (place, rule, name) in limits.enforced() {
            let tat = self.tat(place);
            let available = rule.available(tat, self.now_ns);
            let left = available.saturating_add(self.leased_of(rule));
            let separator = if field.is_empty() { "\"" } else { ", \"" };
            for part in [separator, name, "\";r=", digits.format(left)] {
                field.push_str(part);
            }
            let tells_time = !refuses || self.is_short(place);
            if let Some(refill_ns) = rule.refill_ns(available, tat, self.now_ns).filter(|_| tells_time) {
                field.push_str(";t=");
                field.push_str(digits.format(seconds(refill_ns)));
            }
        }
        field
    }

    /// The enforced rules that had no unit for the request, each with its place in the policy and its name.
    fn refusing<'l>(&self, limits: &'l Limits) -> impl Iterator<Item = (usize, &'l Rule, &'l str)> {
        limits.enforced().filter(|(place, ..)| self.is_short(*place))
    }

    fn tat(&self, place: usize) -> Tat {
        self.tats.get(place).copied().unwrap_or_default()
    }

    fn leased_of(&self, rule: &Rule) -> u64 {
        match rule.unit {
            Unit::Requests => u64::from(self.leased),
            Unit::Tokens => 0,
        }
    }
}

/// The bit of a rule in a set of rules.
pub fn bit(place: usize) -> u8 {
    u32::try_from(place).ok().and_then(|place| 1_u8.checked_shl(place)).unwrap_or(0)
}

fn seconds(ns: u64) -> u64 {
    ns.div_ceil(NS_PER_SECOND)
}
