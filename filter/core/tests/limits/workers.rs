//! Several workers at one memory.

use std::cell::{Cell, RefCell};

use portcullis_core::limit::{Answer, Limiter, Mode, Unit};
use proptest::prelude::*;

use crate::bucket::{SECOND, Single, any_rule, counted, limits, pauses, requests};
use crate::memory::{Interrupted, Memory, Stuck};

fn passes(answer: Answer) -> bool {
    match answer {
        Answer::Passes(_) => true,
        Answer::Refused(_) => false,
        Answer::Unknown => panic!("the memory can be written"),
    }
}

proptest! {
    /// Bursts that are not leased: each answer is the single worker's.
    #[test]
    fn any_number_of_workers_is_as_one(
        (rules, arrivals) in prop::collection::vec(any_rule(), 1..4).prop_flat_map(|mut rules| {
            for rule in &mut rules {
                rule.burst = rule.burst.min(3_999);
            }
            let pauses = pauses(rules[0], 200);
            (Just(rules), (pauses, prop::collection::vec((0_usize..4, 0_u64..3, any::<bool>()), 200)))
        }),
    ) {
        let (memory, limits) = (Memory::default(), limits(&rules));
        let mut workers: [Limiter; 4] = std::array::from_fn(|_| Limiter::default());
        let mut singles: [Single; 3] = std::array::from_fn(|_| Single::of(&rules));
        let mut now_ns = 77 * SECOND;
        for (pause_ns, (worker, key, tends)) in arrivals.0.into_iter().zip(arrivals.1) {
            now_ns += pause_ns;
            let answer = workers[worker].admit(&memory, &limits, counted(key), || now_ns);
            prop_assert_eq!(passes(answer), singles[key as usize].admit(now_ns), "{:?}", rules);
            if let Answer::Passes(standing) = answer {
                let tokens = pause_ns % 7;
                let bill = (tokens, standing.short);
                prop_assert!(workers[worker].charge(&memory, &limits, counted(key), now_ns, bill));
                for (place, bucket) in singles[key as usize].0.iter_mut().enumerate() {
                    if rules[place].unit == Unit::Tokens && !standing.is_short(place) {
                        bucket.take(now_ns, tokens);
                    }
                }
            }
            if tends {
                workers[worker].give_back(&memory, now_ns, 10);
            }
        }
    }

    /// Bursts that are leased: never more than the single worker would have let pass by then, whoever asks when.
    #[test]
    fn leases_never_let_more_pass_than_one_worker_would(
        (rule, arrivals) in (1_u64..2_000_000, 1_u32..3_600, 4_000_u64..200_000).prop_flat_map(
            |(limit, window_seconds, burst)| {
                let rule = requests(limit, window_seconds, burst);
                let full_ns = u64::from(window_seconds) * SECOND / limit * burst;
                let pause = prop_oneof![3 => Just(0_u64), 2 => 0..full_ns / 50 + 2, 1 => full_ns / 2..full_ns + 2];
                let arrival = (pause, 0_usize..4, 1_u64..4_000, any::<bool>());
                (Just(rule), prop::collection::vec(arrival, 1..20))
            },
        ),
        second in prop::option::of((1_u64..2_000_000, 1_u32..3_600, 4_000_u64..200_000)),
    ) {
        let mut rules = vec![rule];
        rules.extend(second.map(|(limit, window_seconds, burst)| requests(limit, window_seconds, burst)));
        let (memory, limits) = (Memory::default(), limits(&rules));
        let mut workers: [Limiter; 4] = std::array::from_fn(|_| Limiter::default());
        let mut single = Single::of(&rules);
        let (mut now_ns, mut admitted, mut admitted_by_one) = (77 * SECOND, 0_u64, 0_u64);
        for worker in &mut workers {
            worker.set_workers(4);
        }
        for (pause_ns, worker, requests, tends) in arrivals {
            now_ns += pause_ns;
            for _ in 0..requests {
                admitted += u64::from(passes(workers[worker].admit(&memory, &limits, counted(1), || now_ns)));
                admitted_by_one += u64::from(single.admit(now_ns));
                prop_assert!(admitted <= admitted_by_one);
            }
            if tends {
                workers[worker].give_back(&memory, now_ns, 10);
            }
        }
    }

    /// What lies idle comes back: then the last unit can be used by whoever asks.
    #[test]
    fn units_that_a_worker_does_not_use_can_be_used_by_another(
        burst in 4_000_u64..50_000,
        before in prop::collection::vec((0_usize..4, 1_u64..300), 1..20),
        last in 0_usize..4,
    ) {
        let rule = requests(1, 2_678_400, burst);
        let (memory, limits) = (Memory::default(), limits(&[rule]));
        let mut workers: [Limiter; 4] = std::array::from_fn(|_| Limiter::default());
        let (now_ns, mut admitted) = (77 * SECOND, 0);
        for worker in &mut workers {
            worker.set_workers(4);
        }
        for (worker, requests) in before {
            for _ in 0..requests {
                admitted += u64::from(passes(workers[worker].admit(&memory, &limits, counted(1), || now_ns)));
            }
        }
        // Used since the last look, and then idle for one.
        for _ in 0..2 {
            for worker in &mut workers {
                worker.give_back(&memory, now_ns, 10);
            }
        }
        while passes(workers[last].admit(&memory, &limits, counted(1), || now_ns)) {
            admitted += 1;
        }
        prop_assert_eq!(admitted, burst);
    }

    /// Who is interrupted begins again, and nobody's count is lost.
    #[test]
    fn whoever_writes_in_between_is_counted_too(burst in 1_u64..20, leased in any::<bool>()) {
        let rule = requests(1, 86_400, if leased { burst + 5_000 } else { burst });
        let (memory, limits) = (Memory::default(), limits(&[rule]));
        let (mut one, mut other) = (Limiter::default(), Limiter::default());
        let mut admitted = 0;
        loop {
            let intruded = RefCell::new(false);
            let answer = {
                let between = || *intruded.borrow_mut() = passes(other.admit(&memory, &limits, counted(1), || SECOND));
                let interrupted = Interrupted { memory: &memory, between: RefCell::new(Some(Box::new(between))) };
                passes(one.admit(&interrupted, &limits, counted(1), || SECOND))
            };
            admitted += u64::from(answer) + u64::from(*intruded.borrow());
            if !answer {
                break;
            }
        }
        while passes(other.admit(&memory, &limits, counted(1), || SECOND)) {
            admitted += 1;
        }
        prop_assert_eq!(admitted, rule.burst);
    }

    #[test]
    fn a_value_that_is_none_of_ours_counts_as_empty(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (memory, limits, mut worker) = (Memory::default(), limits(&[requests(3, 86_400, 3)]), Limiter::default());
        prop_assert!(passes(worker.admit(&memory, &limits, counted(1), || SECOND)));
        memory.spoil(&bytes);
        let mut admitted = 0;
        while passes(worker.admit(&memory, &limits, counted(1), || SECOND)) {
            admitted += 1;
            prop_assert!(admitted <= 3);
        }
    }
}

/// Its clock must not be older than what the others have written.
#[test]
fn a_worker_that_waits_before_it_reads_does_not_refuse_what_may_pass() {
    let rule = requests(1_000_000_000, 1, 10);
    let (memory, limits) = (Memory::default(), limits(&[rule]));
    let (mut one, mut other) = (Limiter::default(), Limiter::default());
    let clock_ns = Cell::new(SECOND);
    let between = || {
        for _ in 0..10 {
            clock_ns.set(clock_ns.get() + 1);
            assert!(passes(other.admit(&memory, &limits, counted(1), || clock_ns.get())));
        }
    };
    let interrupted = Interrupted { memory: &memory, between: RefCell::new(Some(Box::new(between))) };
    assert!(passes(one.admit(&interrupted, &limits, counted(1), || clock_ns.get() + 1)));
}

#[test]
fn units_that_were_given_back_are_worth_nothing_once_their_time_has_come() {
    let rule = requests(100, 1, 10_000);
    let (memory, limits) = (Memory::default(), limits(&[rule]));
    let (mut one, mut other) = (Limiter::default(), Limiter::default());
    one.set_workers(2);
    other.set_workers(2);
    assert!(passes(one.admit(&memory, &limits, counted(1), || SECOND)));
    one.give_back(&memory, SECOND, 10);
    one.give_back(&memory, SECOND, 10);
    // Long after all units have come back by themselves.
    let mut admitted = 0;
    while passes(other.admit(&memory, &limits, counted(1), || 100 * SECOND)) {
        admitted += 1;
    }
    assert_eq!(admitted, rule.burst);
}

#[test]
fn what_cannot_be_counted_is_not_let_pass() {
    let limits = limits(&[requests(3, 60, 3)]);
    assert_eq!(Limiter::default().admit(&Stuck, &limits, counted(1), || SECOND), Answer::Unknown);
    assert!(!Limiter::default().charge(&Stuck, &limits, counted(1), SECOND, (1, 0)));
}

/// A million keys that come by once leave no more behind than fits, and places are used again.
#[test]
fn counters_whose_units_have_come_back_give_up_their_place() {
    let (memory, limits, mut worker) = (Memory::default(), limits(&[requests(10, 1, 10)]), Limiter::default());
    let mut now_ns = SECOND;
    for key in 0..1_000_000_u64 {
        // A unit is back after 0.1 s, in which 1,000 keys come by.
        now_ns += SECOND / 10_000;
        assert!(passes(worker.admit(&memory, &limits, counted(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)), || now_ns)));
    }
    let (values, bytes) = memory.size();
    assert!(values <= 16_384 && bytes < values * 200, "{values} values, {bytes} bytes");
}

/// Too many counters in use at once: those that find no place are refused rather than let pass uncounted.
#[test]
fn a_memory_that_is_full_refuses() {
    let (memory, limits) = (Memory::default(), limits(&[requests(1, 86_400, 5)]));
    let mut worker = Limiter::default();
    let rule = limits.rules()[0];
    assert_eq!((rule.unit, rule.mode), (Unit::Requests, Mode::Enforce));
    // All of one slot: the slot is the leading bits of a product, so numbers that differ little in it share it.
    let inverse = inverse_of(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for number in 0..3_000_u64 {
        let key = (number.wrapping_mul(inverse) ^ 1).rotate_right(32);
        refused += u64::from(worker.admit(&memory, &limits, counted(key), || SECOND) == Answer::Unknown);
    }
    let (values, bytes) = memory.size();
    assert!(values == 1 && bytes <= 16_384 && refused > 1_000, "{values} values, {bytes} bytes, {refused} refused");
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
fn inverse_of(odd: u64) -> u64 {
    (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
}
