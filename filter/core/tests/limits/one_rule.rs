//! One rule, as a function of time.

use portcullis_core::limit::{Rule, Tat};
use proptest::prelude::*;

use crate::bucket::{Bucket, SECOND, any_rule, pauses, requests};

fn rule_and_pauses() -> impl Strategy<Value = (Rule, u64, Vec<u64>)> {
    let rule = any_rule().prop_flat_map(|rule| (Just(rule), pauses(rule, 200)));
    (rule, 0_u64..=1_000_000 * SECOND).prop_map(|((rule, pauses), start_ns)| (rule, start_ns, pauses))
}

proptest! {
    /// It is a token bucket.
    #[test]
    fn a_rule_has_the_units_that_a_token_bucket_has((rule, start_ns, pauses) in rule_and_pauses()) {
        let (mut tat, mut bucket, mut now_ns) = (Tat::default(), Bucket::full(rule), start_ns);
        for pause_ns in pauses {
            now_ns += pause_ns;
            let available = rule.available(tat, now_ns);
            prop_assert_eq!(available, bucket.units(now_ns));
            let units = available.min(pause_ns % 3);
            tat = rule.take(tat, now_ns, units);
            bucket.take(now_ns, units);
        }
    }

    /// In whatever stretch of time: no more than the burst and what comes back meanwhile.
    #[test]
    fn no_window_admits_more_than_the_rule_allows((rule, start_ns, pauses) in rule_and_pauses()) {
        let (mut tat, mut now_ns, mut admitted) = (Tat::default(), start_ns, Vec::new());
        for pause_ns in pauses {
            now_ns += pause_ns;
            if rule.available(tat, now_ns) > 0 {
                tat = rule.take(tat, now_ns, 1);
                admitted.push(now_ns);
            }
        }
        for (first, from_ns) in admitted.iter().enumerate() {
            for (last, to_ns) in admitted.iter().enumerate().skip(first) {
                let over = (last - first + 1) as i128 - i128::from(rule.burst);
                let window_ns = i128::from(rule.window_seconds) * i128::from(SECOND);
                prop_assert!(over * window_ns <= i128::from(to_ns - from_ns) * i128::from(rule.limit));
            }
        }
    }

    #[test]
    fn a_request_passes_at_the_announced_instant_and_not_before((rule, start_ns, pauses) in rule_and_pauses()) {
        let (mut tat, mut now_ns) = (Tat::default(), start_ns);
        for pause_ns in pauses {
            now_ns += pause_ns;
            let available = rule.available(tat, now_ns);
            match rule.wait_ns(tat, now_ns) {
                None => prop_assert!(!rule.lets_any_pass() && available == 0),
                Some(0) => prop_assert!(available > 0),
                Some(wait_ns) => {
                    prop_assert_eq!(available, 0);
                    prop_assert_eq!(rule.available(tat, now_ns + wait_ns - 1), 0);
                    prop_assert_eq!(rule.available(tat, now_ns + wait_ns), 1);
                }
            }
            match rule.refill_ns(available, tat, now_ns) {
                None => prop_assert!(!rule.lets_any_pass() || available == rule.burst),
                Some(refill_ns) => {
                    prop_assert!(refill_ns > 0);
                    prop_assert_eq!(rule.available(tat, now_ns + refill_ns - 1), available);
                    prop_assert!(rule.available(tat, now_ns + refill_ns) > available);
                }
            }
            // Tokens are taken whether they are there or not: the debt is waited out.
            tat = rule.take(tat, now_ns, pause_ns % 5);
        }
    }

    /// Whatever numbers a state and a rule hold.
    #[test]
    fn nothing_panics(tat in any::<u128>(), now_ns in any::<u64>(), units in any::<u64>(), amounts in any::<(u64, u32, u64)>()) {
        let (limit, window_seconds, burst) = amounts;
        let rule = requests(limit, window_seconds, burst);
        let _ = (rule.available(Tat(tat), now_ns), rule.wait_ns(Tat(tat), now_ns));
        let _ = rule.refill_ns(units, Tat(tat), now_ns);
        prop_assert!(rule.take(Tat(tat), now_ns, units) >= Tat(tat));
    }
}

#[test]
fn sixty_a_minute_are_sixty_at_once_and_then_one_each_second() {
    let rule = requests(60, 60, 60);
    let mut tat = Tat::default();
    let start_ns = 12_345 * SECOND;
    for _ in 0..60 {
        assert_eq!(rule.wait_ns(tat, start_ns), Some(0));
        tat = rule.take(tat, start_ns, 1);
    }
    assert_eq!(rule.wait_ns(tat, start_ns), Some(SECOND));
    assert_eq!(rule.available(tat, start_ns + 10 * SECOND), 10);
    assert_eq!(rule.available(tat, start_ns + 3_600 * SECOND), 60);
}

#[test]
fn with_a_limit_or_a_burst_of_zero_nothing_ever_passes() {
    for rule in [requests(0, 60, 5), requests(60, 60, 0), requests(0, 60, 0)] {
        assert_eq!(rule.available(Tat::default(), u64::MAX), 0);
        assert_eq!(rule.wait_ns(Tat::default(), 0), None);
        assert_eq!(rule.refill_ns(0, Tat::default(), 0), None);
    }
}
