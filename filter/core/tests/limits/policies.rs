//! Policies that change.

use portcullis_core::limit::{Answer, Limiter, Mode, Rule, Unit};
use proptest::prelude::*;

use crate::bucket::{SECOND, counted, limits, requests};
use crate::memory::Memory;

/// How many requests pass one after the other, at most so many.
fn use_up(worker: &mut Limiter, memory: &Memory, rules: &[Rule], now_ns: u64, at_most: u64) -> u64 {
    let limits = limits(rules);
    let passes = |_: &u64| matches!(worker.admit(memory, &limits, counted(1), || now_ns), Answer::Passes(_));
    (0..at_most).take_while(passes).count() as u64
}

const NOW: u64 = 1_000 * SECOND;

proptest! {
    /// Whatever the sequence of policies of one window: all together let pass no more than the most generous one, and each
    /// lets pass what it has left.
    #[test]
    fn no_sequence_of_policies_is_a_second_quota(
        window_seconds in 60_u32..86_400,
        steps in prop::collection::vec((0_u64..6_000, 0_u64..3_000, 0_usize..3), 1..20),
    ) {
        let (memory, mut used, mut most) = (Memory::default(), 0, 0);
        let mut workers: [Limiter; 3] = std::array::from_fn(|_| Limiter::default());
        for (limit, at_most, worker) in steps {
            let rule = requests(limit, window_seconds, limit);
            let passed = use_up(&mut workers[worker], &memory, &[rule], NOW, at_most);
            used += passed;
            most = most.max(limit);
            prop_assert!(used <= most);
            // Leases that are lost with their policy are the only units that can be missed.
            let left = limit.saturating_sub(used - passed).min(at_most);
            prop_assert!(passed <= left && (limit >= 4_000 || most >= 4_000 || passed == left));
        }
    }

    /// While some workers know of a policy and others not yet, both count what the others let pass.
    #[test]
    fn workers_that_disagree_count_together(
        old in 1_u64..200, new in 1_u64..200, turns in prop::collection::vec((any::<bool>(), 1_u64..20), 1..40),
        has_more in any::<bool>(),
    ) {
        let memory = Memory::default();
        let (mut early, mut late) = (Limiter::default(), Limiter::default());
        let day = requests(100_000, 86_400, 3_999);
        let old_rules = [requests(old, 3_600, old)];
        let new_rules = if has_more { vec![day, requests(new, 3_600, new)] } else { vec![requests(new, 3_600, new)] };
        let mut used = 0;
        for (is_early, at_most) in turns {
            used += if is_early {
                use_up(&mut early, &memory, &new_rules, NOW, at_most)
            } else {
                use_up(&mut late, &memory, &old_rules, NOW, at_most)
            };
            prop_assert!(used <= old.max(new));
        }
    }
}

#[test]
fn a_higher_limit_leaves_what_it_adds_and_a_lower_one_nothing_but_no_debt() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    let minute = |limit| [requests(limit, 60, limit)];
    assert_eq!(use_up(&mut worker, &memory, &minute(60), NOW, 100), 60);
    assert_eq!(use_up(&mut worker, &memory, &minute(100), NOW, 100), 40);
    assert_eq!(use_up(&mut worker, &memory, &minute(60), NOW, 100), 0);
    assert_eq!(use_up(&mut worker, &memory, &minute(60), NOW + SECOND - 1, 100), 0);
    assert_eq!(use_up(&mut worker, &memory, &minute(60), NOW + SECOND, 100), 1);
    // Raised again, all that was used before counts: 101, of which one has come back.
    assert_eq!(use_up(&mut worker, &memory, &minute(110), NOW + SECOND, 100), 10);
}

#[test]
fn rules_that_come_go_or_move_keep_what_was_used() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    let (minute, day) = (requests(60, 60, 60), requests(100, 86_400, 100));
    assert_eq!(use_up(&mut worker, &memory, &[minute, day], NOW, 100), 60);
    assert_eq!(use_up(&mut worker, &memory, &[day, minute], NOW, 100), 0);
    assert_eq!(use_up(&mut worker, &memory, &[day], NOW, 100), 40);
    assert_eq!(use_up(&mut worker, &memory, &[day, minute], NOW, 100), 0);
    // Without a rule of the day, and an hour later with one again.
    assert_eq!(use_up(&mut worker, &memory, &[minute], NOW + 3_600 * SECOND, 100), 60);
    assert_eq!(use_up(&mut worker, &memory, &[day], NOW + 3_600 * SECOND, 100), 0);
    // What the minute's rule let pass counted for the day.
    assert_eq!(use_up(&mut worker, &memory, &[day], NOW + 3_600 * SECOND + 864 * SECOND, 100), 1);
}

/// A rule whose place another takes for a while, and that comes back.
#[test]
fn what_passed_in_its_absence_counts_for_a_rule_that_comes_back() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    let (day, half) = (|limit| [requests(limit, 86_400, limit)], [requests(120, 43_200, 120)]);
    assert_eq!(use_up(&mut worker, &memory, &day(100), NOW, 200), 100);
    assert_eq!(use_up(&mut worker, &memory, &half, NOW, 200), 20);
    assert_eq!(use_up(&mut worker, &memory, &day(125), NOW, 200), 5);
}

#[test]
fn a_smaller_burst_puts_nobody_into_debt() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    assert_eq!(use_up(&mut worker, &memory, &[requests(60, 60, 60)], NOW, 100), 60);
    let small = [requests(60, 60, 10)];
    assert_eq!(use_up(&mut worker, &memory, &small, NOW, 100), 0);
    assert_eq!(use_up(&mut worker, &memory, &small, NOW + SECOND, 100), 1);
}

#[test]
fn another_window_takes_over_what_was_used_and_nobody_is_in_debt_for_it() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    assert_eq!(use_up(&mut worker, &memory, &[requests(1_000, 86_400, 1_000)], NOW, 900), 900);
    let minute = [requests(60, 60, 60)];
    assert_eq!(use_up(&mut worker, &memory, &minute, NOW, 100), 0);
    assert_eq!(use_up(&mut worker, &memory, &minute, NOW + SECOND, 100), 1);
    // The day is nearer to an hour than the minute is; the one that has just passed counted for it too.
    let hour = [requests(3_600, 3_600, 3_600)];
    assert_eq!(use_up(&mut worker, &memory, &hour, NOW + SECOND, 10_000), 2_699);
}

#[test]
fn a_rule_that_was_observed_is_enforced_with_what_it_saw() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    let observed = Rule { mode: Mode::Observe, ..requests(10, 86_400, 10) };
    assert_eq!(use_up(&mut worker, &memory, &[observed], NOW, 8), 8);
    assert_eq!(use_up(&mut worker, &memory, &[requests(10, 86_400, 10)], NOW, 100), 2);
    // What it would have refused has not been taken: it is full again when ten have come back.
    assert_eq!(use_up(&mut worker, &memory, &[observed], NOW, 1_000), 1_000);
    assert_eq!(use_up(&mut worker, &memory, &[requests(10, 86_400, 10)], NOW + 86_400 * SECOND, 100), 10);
}

#[test]
fn tokens_are_taken_afterwards_and_a_debt_is_waited_out() {
    let (memory, mut worker) = (Memory::default(), Limiter::default());
    let tokens = limits(&[Rule { unit: Unit::Tokens, ..requests(60, 60, 100) }]);
    let passes = |worker: &mut Limiter, now_ns| {
        matches!(worker.admit(&memory, &tokens, counted(1), || now_ns), Answer::Passes(_))
    };
    assert!(passes(&mut worker, NOW) && passes(&mut worker, NOW));
    assert!(worker.charge(&memory, &tokens, counted(1), NOW, (130, 0)));
    // 30 more than there were; the next request needs one.
    assert!(!passes(&mut worker, NOW + 31 * SECOND - 1));
    assert!(passes(&mut worker, NOW + 31 * SECOND));
}
