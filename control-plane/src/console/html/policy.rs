//! Rate-limit policies in plain language: "60 requests per minute, bursts of 10".

use crate::console::html::money::grouped;
use crate::domain::rate_limit::{Mode, Per, RateLimit, Rule, Unit};

const PERIODS: [(u32, &str); 5] = [(604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

/// A policy in a sentence, without its full stop.
pub fn sentence(policy: &RateLimit) -> String {
    let rules: Vec<String> = policy.rules.iter().map(rule).collect();
    let whose = match policy.per {
        Per::Key => "for each key",
        Per::User => "for all keys of one user together",
        Per::Organization => "for all keys of one organization together",
    };
    format!("{}, {whose}", rules.join(" and "))
}

/// One rule.
pub fn rule(rule: &Rule) -> String {
    let unit = match (rule.unit, rule.limit) {
        (Unit::Requests, 1) => "request",
        (Unit::Requests, _) => "requests",
        (Unit::Tokens, 1) => "token",
        (Unit::Tokens, _) => "tokens",
    };
    let mut text = match (rule.limit, rule.burst) {
        (0, _) | (_, Some(0)) => format!("no {unit} at all"),
        (limit, _) => format!("{} {unit} {}", grouped(limit), period(rule.window_seconds)),
    };
    if let Some(burst) = rule.burst.filter(|burst| *burst > 0 && *burst != rule.limit && rule.limit > 0) {
        text.push_str(&format!(", bursts of {}", grouped(burst)));
    }
    if rule.mode == Mode::Observe {
        text.push_str(" (only observed)");
    }
    text
}

/// `per minute`, `in 90 seconds`.
fn period(seconds: u32) -> String {
    let fitting = PERIODS.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    match fitting {
        Some((length, name)) if seconds == length => format!("per {name}"),
        Some((length, name)) => format!("in {} {name}s", seconds / length),
        None => format!("in {seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_said_in_plain_language() {
        let said = |json: serde_json::Value| sentence(&serde_json::from_value(json).unwrap());
        let cases = [
            (
                serde_json::json!({"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60, "burst": 10}]}),
                "60 requests per minute, bursts of 10, for each key",
            ),
            (
                serde_json::json!({"per": "user", "rules": [
                {"unit": "requests", "limit": 1, "window_seconds": 1},
                {"unit": "tokens", "limit": 1_000_000, "window_seconds": 172_800, "mode": "observe"}]}),
                "1 request per second and 1,000,000 tokens in 2 days (only observed), for all keys of one user together",
            ),
            (
                serde_json::json!({"per": "organization", "rules": [{"unit": "requests", "limit": 0, "window_seconds": 7}]}),
                "no requests at all, for all keys of one organization together",
            ),
            (
                serde_json::json!({"rules": [{"unit": "tokens", "limit": 5, "window_seconds": 90}]}),
                "5 tokens in 90 seconds, for each key",
            ),
        ];
        for (policy, sentence) in cases {
            assert_eq!(said(policy), sentence);
        }
    }
}
