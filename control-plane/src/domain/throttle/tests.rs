//! The laws of the back-off.

use super::*;
use proptest::prelude::*;

/// 2026-11-23, as good as any.
const START_MS: u64 = 1_795_400_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + ms)
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Fails as soon as it is let through, `count` times, always from another address. Returns the waits in seconds.
fn fail_eagerly(throttle: &mut Throttle, account: &str, count: u8) -> (Vec<u64>, u64) {
    let (mut waits, mut now_ms) = (Vec::new(), 0);
    for number in 0..count {
        let attempt = throttle.attempt(account, address(number), at(now_ms)).unwrap();
        throttle.failed(attempt);
        let wait = throttle.attempt(account, address(255), at(now_ms)).map_or_else(
            |locked| locked.retry_after,
            |attempt| {
                throttle.abandoned(attempt);
                Duration::ZERO
            },
        );
        waits.push(wait.as_secs());
        now_ms += u64::try_from(wait.as_millis()).unwrap();
    }
    (waits, now_ms)
}

#[test]
fn the_fifth_failure_costs_a_second_and_each_further_one_twice_as_much_up_to_15_minutes() {
    let (waits, _) = fail_eagerly(&mut Throttle::default(), "alice", 20);
    // By the end of the first 512 s one failure of the first second has been forgiven.
    assert_eq!(waits[..14], [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    assert_eq!(waits[14..], [512, 900, 900, 900, 900, 900]);
}

#[test]
fn a_success_clears_the_account_and_takes_back_its_own_attempt_alone_from_the_address() {
    let mut throttle = Throttle::default();
    for number in 0..19 {
        let attempt = throttle.attempt(&format!("user {number}"), address(1), at(0)).unwrap();
        throttle.failed(attempt);
    }
    for _ in 0..4 {
        let attempt = throttle.attempt("alice", address(2), at(0)).unwrap();
        throttle.failed(attempt);
    }
    for _ in 0..50 {
        let attempt = throttle.attempt("alice", address(1), at(0)).unwrap();
        throttle.succeeded(attempt);
    }
    let failure = throttle.attempt("mallory", address(1), at(0)).unwrap();
    throttle.failed(failure);
    let second = Duration::from_secs(1);
    assert_eq!(throttle.attempt("bob", address(1), at(0)).unwrap_err(), Locked { retry_after: second });
    assert!(throttle.attempt("bob", address(1), at(1_000)).is_ok());
    assert!(throttle.attempt("alice", address(3), at(0)).is_ok());
}

#[test]
fn attempts_at_the_same_time_count_before_they_have_failed() {
    let mut throttle = Throttle::default();
    let pending = (0..5).map(|number| throttle.attempt("alice", address(number), at(0)).unwrap()).collect::<Vec<_>>();
    assert!(throttle.attempt("alice", address(9), at(0)).is_err());
    for attempt in pending {
        throttle.abandoned(attempt);
    }
    // Taken back in another order than they came, they leave the lock, but no failure.
    assert!(throttle.attempt("alice", address(9), at(999)).is_err());
    for number in 0..4 {
        let attempt = throttle.attempt("alice", address(number), at(1_000)).unwrap();
        throttle.failed(attempt);
    }
    assert!(throttle.attempt("alice", address(9), at(1_000)).is_ok());
}

#[test]
fn an_ipv6_customer_is_one_address_and_an_ipv4_client_is_one_however_it_is_written() {
    let network = |text: &str| Network::of(text.parse().unwrap());
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
}

#[test]
fn a_flood_of_names_does_not_displace_the_one_that_is_guessed_at() {
    let mut throttle = Throttle::new(100);
    let (_, now_ms) = fail_eagerly(&mut throttle, "alice", 12);
    let now = at(now_ms - 1);
    let locked = throttle.attempt("alice", address(200), now).unwrap_err();
    for number in 0_u32..1_000 {
        let source = IpAddr::from(Ipv4Addr::from_bits(number));
        let attempt = throttle.attempt(&format!("name {number}"), source, now).unwrap();
        throttle.failed(attempt);
    }
    assert_eq!(throttle.attempt("alice", address(200), now).unwrap_err(), locked);
    assert_eq!((throttle.accounts.len(), throttle.networks.len()), (100, 100));
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_for_longer() {
    let mut throttle = Throttle::default();
    let (_, now_ms) = fail_eagerly(&mut throttle, "alice", 10);
    assert!(throttle.attempt("alice", address(255), at(now_ms - 1)).is_err());
    let yesterday = Timestamp::from_unix_ms(START_MS - 86_400_000);
    assert!(throttle.attempt("alice", address(255), yesterday).is_ok());
}

/// One thing that happens: how much time passes, who tries from where, and how it ends.
type Event = (u64, u8, u8, End);

#[derive(Debug, Clone, Copy)]
enum End {
    Failure,
    Success,
    Abandoned,
    Dropped,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pause = prop_oneof![6 => Just(0_u64), 3 => 0_u64..5_000, 1 => 0_u64..2_000_000];
    let end = prop_oneof![
        6 => Just(End::Failure),
        1 => Just(End::Success),
        1 => Just(End::Abandoned),
        1 => Just(End::Dropped),
    ];
    prop::collection::vec((pause, 0_u8..6, 0_u8..6, end), 0..200)
}

fn play(throttle: &mut Throttle, now_ms: &mut u64, (pause_ms, account, from, end): Event) -> Result<(), Locked> {
    *now_ms += pause_ms;
    let attempt = throttle.attempt(&account.to_string(), address(from), at(*now_ms))?;
    match end {
        End::Failure => throttle.failed(attempt),
        End::Success => throttle.succeeded(attempt),
        End::Abandoned => throttle.abandoned(attempt),
        End::Dropped => drop(attempt),
    }
    Ok(())
}

proptest! {
    #[test]
    fn nobody_waits_longer_than_the_cap_and_waiting_as_told_always_lets_one_attempt_through(events in events()) {
        let (mut throttle, mut now_ms) = (Throttle::default(), 0);
        for event in events {
            if let Err(Locked { retry_after }) = play(&mut throttle, &mut now_ms, event) {
                prop_assert!(!retry_after.is_zero() && retry_after <= LOCK_MAX);
                now_ms += u64::try_from(retry_after.as_millis()).unwrap();
                prop_assert_eq!(play(&mut throttle, &mut now_ms, (0, event.1, event.2, event.3)), Ok(()));
            }
        }
    }

    #[test]
    fn an_attempt_that_is_refused_changes_nothing(events in events(), refusals in 1_u64..20) {
        let (mut asked_once, mut asked_often, mut now_ms) = (Throttle::default(), Throttle::default(), 0);
        for event in events {
            let mut same_ms = now_ms;
            let outcome = play(&mut asked_once, &mut now_ms, event);
            prop_assert_eq!(play(&mut asked_often, &mut same_ms, event), outcome);
            for _ in 0..if outcome.is_err() { refusals } else { 0 } {
                prop_assert_eq!(play(&mut asked_often, &mut same_ms, (0, event.1, event.2, event.3)), outcome);
            }
        }
    }

    #[test]
    fn after_a_success_an_account_is_as_if_it_had_never_failed(events in events(), account in 0_u8..6) {
        let (mut throttle, mut now_ms) = (Throttle::default(), 0);
        for event in events {
            let _ = play(&mut throttle, &mut now_ms, event);
        }
        now_ms += u64::try_from(LOCK_MAX.as_millis()).unwrap();
        play(&mut throttle, &mut now_ms, (0, account, 100, End::Success)).unwrap();
        for from in 101..105 {
            prop_assert_eq!(play(&mut throttle, &mut now_ms, (0, account, from, End::Failure)), Ok(()));
        }
        prop_assert_eq!(play(&mut throttle, &mut now_ms, (0, account, 105, End::Failure)), Ok(()));
        let second = Duration::from_secs(1);
        prop_assert_eq!(
            play(&mut throttle, &mut now_ms, (0, account, 106, End::Failure)),
            Err(Locked { retry_after: second })
        );
    }

    #[test]
    fn memory_is_bounded_whatever_happens(events in events(), entries_max in 0_usize..5) {
        let (mut throttle, mut now_ms) = (Throttle::new(entries_max), 0);
        for event in events {
            let _ = play(&mut throttle, &mut now_ms, event);
            prop_assert!(throttle.accounts.len() <= entries_max.max(1));
            prop_assert!(throttle.networks.len() <= entries_max.max(1));
        }
    }

    #[test]
    fn a_guesser_gets_no_more_than_4_guesses_an_hour_in_the_long_run(pauses in prop::collection::vec(0_u64..4_000_000, 1..300)) {
        let (mut throttle, mut now_ms, mut guesses) = (Throttle::default(), 0, 0_u64);
        for (number, pause_ms) in pauses.into_iter().enumerate() {
            now_ms += pause_ms;
            let source = IpAddr::from(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
            if let Ok(attempt) = throttle.attempt("alice", source, at(now_ms)) {
                throttle.failed(attempt);
                guesses += 1;
            }
        }
        prop_assert!(guesses <= now_ms / 900_000 + u64::from(ACCOUNT.failures_max()) + 1, "{guesses} in {now_ms} ms");
    }
}
