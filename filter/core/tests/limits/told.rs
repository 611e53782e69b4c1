//! What callers are told.

use portcullis_core::limit::{Answer, Limiter, Mode, Rule, Standing, Unit};
use proptest::prelude::*;

use crate::bucket::{SECOND, any_rule, counted, limits, pauses, requests};
use crate::memory::Memory;

fn standing(answer: Answer) -> Standing {
    match answer {
        Answer::Passes(standing) | Answer::Refused(standing) => standing,
        Answer::Unknown => panic!("the memory can be written"),
    }
}

proptest! {
    /// Whoever comes again after `Retry-After`, if nobody else came, passes.
    #[test]
    fn who_waits_as_long_as_announced_passes(
        (rules, pauses) in prop::collection::vec(any_rule(), 1..4)
            .prop_flat_map(|rules| { let pauses = pauses(rules[0], 60); (Just(rules), pauses) }),
    ) {
        let (memory, limits, mut worker) = (Memory::default(), limits(&rules), Limiter::default());
        let mut now_ns = SECOND;
        for pause_ns in pauses {
            now_ns += pause_ns;
            let answer = worker.admit(&memory, &limits, counted(1), || now_ns);
            let standing = standing(answer);
            let retry_after = standing.retry_after(&limits);
            if matches!(answer, Answer::Refused(_)) {
                let never = rules.iter().any(|rule| rule.mode == Mode::Enforce && !rule.lets_any_pass());
                prop_assert_eq!(retry_after.is_none(), never);
                if let Some(seconds) = retry_after {
                    let seconds: u64 = seconds.parse().unwrap();
                    prop_assert!(seconds > 0);
                    now_ns = now_ns.saturating_add(seconds.saturating_mul(SECOND));
                    let again = worker.admit(&memory, &limits, counted(1), || now_ns);
                    prop_assert!(matches!(again, Answer::Passes(_)) || now_ns == u64::MAX);
                }
            } else {
                prop_assert_eq!(retry_after, None);
            }
            worker.charge(&memory, &limits, counted(1), now_ns, (pause_ns % 9, standing.short));
        }
    }
}

#[test]
fn each_enforced_rule_says_what_is_left_and_when_more_comes() {
    let rules = [
        requests(60, 60, 2),
        Rule { mode: Mode::Observe, ..requests(1, 60, 1) },
        Rule { unit: Unit::Tokens, ..requests(100, 86_400, 100) },
    ];
    let (memory, limits, mut worker) = (Memory::default(), limits(&rules), Limiter::default());
    let mut admit = |now_ns| standing(worker.admit(&memory, &limits, counted(1), || now_ns));
    let field = |standing: &Standing| standing.field(&limits);
    let first = admit(SECOND);
    assert_eq!(field(&first), "\"requests-60s\";r=1;t=1, \"tokens-86400s\";r=100");
    assert!(!first.would_refuse(&limits));
    let second = admit(SECOND + SECOND / 2);
    assert_eq!(field(&second), "\"requests-60s\";r=0;t=1, \"tokens-86400s\";r=100");
    assert!(second.would_refuse(&limits) && !second.refuses(&limits));
    let refused = admit(SECOND + SECOND / 2);
    assert!(refused.refuses(&limits));
    assert_eq!(refused.retry_after(&limits).as_deref(), Some("1"));
    let body: serde_json::Value = serde_json::from_slice(&refused.body(&limits)).unwrap();
    assert_eq!(body["violated-policies"], serde_json::json!(["requests-60s"]));
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert_eq!(body["error"]["type"], "requests");
    assert_eq!(body["detail"], "Rate limit reached: 60 requests per 60 s. Try again in 1 s.");
}

/// As the draft asks: `Retry-After` is the latest instant in the response.
#[test]
fn in_a_refusal_only_the_rules_that_refuse_say_when_more_comes() {
    let rules = [requests(60, 60, 1), requests(24, 86_400, 24)];
    let (memory, limits, mut worker) = (Memory::default(), limits(&rules), Limiter::default());
    let mut admit = || standing(worker.admit(&memory, &limits, counted(1), || SECOND));
    admit();
    assert_eq!(admit().field(&limits), "\"requests-60s\";r=0;t=1, \"requests-86400s\";r=23");
}

#[test]
fn who_is_only_observed_is_told_nothing() {
    let observed = Rule { mode: Mode::Observe, ..requests(0, 60, 0) };
    let (memory, limits, mut worker) = (Memory::default(), limits(&[observed]), Limiter::default());
    let answer = worker.admit(&memory, &limits, counted(1), || SECOND);
    assert!(matches!(answer, Answer::Passes(_)));
    assert_eq!((limits.policy_field(), standing(answer).field(&limits).as_str()), ("", ""));
    assert_eq!(standing(answer).retry_after(&limits), None);
    assert!(standing(answer).would_refuse(&limits));
}

#[test]
fn a_policy_under_which_nothing_passes_announces_no_instant() {
    let (memory, limits, mut worker) = (Memory::default(), limits(&[requests(0, 60, 5)]), Limiter::default());
    let refused = standing(worker.admit(&memory, &limits, counted(1), || SECOND));
    assert_eq!(limits.policy_field(), "\"requests-60s\";q=0;w=60");
    assert_eq!(refused.field(&limits), "\"requests-60s\";r=0");
    assert!(refused.refuses(&limits) && refused.retry_after(&limits).is_none());
}
