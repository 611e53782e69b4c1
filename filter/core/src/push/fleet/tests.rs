use super::*;
use proptest::prelude::*;

const EPOCH: u64 = 7;
const MINUTE_US: u64 = 60_000_000;

fn gateway(number: u64) -> GatewayId {
    GatewayId::from_number(number)
}

fn at(epoch: u64, revision: Revision) -> Option<Cursor> {
    Some(Cursor { epoch: Epoch::from_number(epoch), revision })
}

fn worker(name: &str, applied: Option<Cursor>) -> Worker {
    Worker { name: name.to_owned(), node: None, polls: 0, last_seen_ms: 0, applied, bound_ms: None, memory_bytes: None }
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::new(Epoch::from_number(EPOCH), None);
    fleet.note(10, 0);
    fleet
}

fn saw(fleet: &mut Fleet, name: &str, applied: Option<Cursor>, now_us: u64) -> Seen {
    fleet.saw(gateway(1), worker(name, applied), None, now_us).unwrap()
}

fn pending(fleet: &Fleet, revision: Revision, now_us: u64) -> Vec<String> {
    let propagation = fleet.propagation(revision, now_us).unwrap();
    assert_eq!(propagation.is_complete(), fleet.is_complete(revision, now_us));
    propagation.pending.into_iter().map(|(_, worker)| worker.name).collect()
}

#[test]
fn a_worker_is_pending_until_it_acknowledges_the_revision_in_this_epoch() {
    let mut fleet = fleet();
    assert_eq!(pending(&fleet, 10, 1), [""; 0]);
    assert_eq!(saw(&mut fleet, "a", None, 1).sighting, Sighting::New);
    assert_eq!(pending(&fleet, 10, 1), ["a"]);
    assert_eq!(saw(&mut fleet, "a", at(EPOCH - 1, 99), 1).sighting, Sighting::Loaded);
    assert_eq!(pending(&fleet, 10, 1), ["a"]);
    saw(&mut fleet, "a", at(EPOCH, 9), 1);
    assert_eq!(pending(&fleet, 10, 1), ["a"]);
    assert_eq!(pending(&fleet, 9, 1), [""; 0]);
    saw(&mut fleet, "a", at(EPOCH, 10), 1);
    assert_eq!(pending(&fleet, 10, 1), [""; 0]);
    // Whatever it asks for next, and whatever arrives late.
    saw(&mut fleet, "a", None, 1);
    saw(&mut fleet, "a", at(EPOCH, 9), 1);
    saw(&mut fleet, "a", at(EPOCH - 1, 99), 1);
    assert_eq!(pending(&fleet, 10, 1), [""; 0]);
    assert_eq!(fleet.propagation(11, 1), None);
    assert!(!fleet.is_complete(11, 1));
}

#[test]
fn silence_is_counted_from_the_start_of_listening_and_forgotten_workers_are_named() {
    let mut fleet = fleet();
    let start_us = 3 * MINUTE_US;
    fleet.merge(gateway(1), worker("stored", at(EPOCH, 9)), start_us);
    saw(&mut fleet, "heard", at(EPOCH, 9), start_us + MINUTE_US);
    assert_eq!(fleet.forget_silent(start_us + SILENCE_US_MAX), []);
    let gone = fleet.forget_silent(start_us + SILENCE_US_MAX + 1);
    assert_eq!(gone.iter().map(|(_, worker)| worker.name.as_str()).collect::<Vec<_>>(), ["stored"]);
    assert_eq!(pending(&fleet, 10, start_us + SILENCE_US_MAX + 1), ["heard"]);
    assert!(fleet.forget(gateway(2), "heard").is_none());
    assert!(fleet.forget(gateway(1), "heard").is_some());
    assert!(fleet.is_empty());
}

#[test]
fn after_a_restore_nothing_is_complete_for_a_while() {
    let mut fleet = Fleet::new(Epoch::from_number(EPOCH), Some(100));
    fleet.note(1, 0);
    let propagation = fleet.propagation(1, 99).unwrap();
    assert_eq!((propagation.is_complete(), propagation.settles_at_us), (false, Some(100)));
    assert!(!fleet.is_complete(1, 99));
    assert!(fleet.propagation(1, 100).unwrap().is_complete());
    assert!(fleet.is_complete(1, 100));
    assert!(!fleet.settle(99));
    assert!(fleet.settle(100) && !fleet.settle(100));
}

#[test]
fn a_worker_under_a_bound_has_stopped_when_it_is_over_and_not_before() {
    let mut fleet = fleet();
    fleet.saw(gateway(1), Worker { bound_ms: Some(5_000), ..worker("a", at(EPOCH, 9)) }, Some(2_000), 0).unwrap();
    let stops_at_us = 5_000_000 + 5_000 + 1_000_000;
    let before = fleet.propagation(10, stops_at_us - 1).unwrap();
    assert_eq!((before.pending.len(), before.stopped, before.enforced_at_us), (1, 0, Some(stops_at_us)));
    let after = fleet.propagation(10, stops_at_us).unwrap();
    assert_eq!((after.pending.len(), after.stopped, after.enforced_at_us), (0, 1, None));
    // Beside one that may go on for ever there is no such instant.
    saw(&mut fleet, "b", at(EPOCH, 9), 0);
    assert_eq!(fleet.propagation(10, stops_at_us - 1).unwrap().enforced_at_us, None);
}

#[test]
fn what_receipts_depend_on_is_stored_before_the_answer_and_the_rest_later() {
    let mut fleet = fleet();
    let bounded = |bound_ms| Worker { bound_ms, ..worker("a", at(EPOCH, 9)) };
    let poll = |fleet: &mut Fleet, reported, answered| {
        fleet.saw(gateway(1), bounded(reported), answered, 0).unwrap().store_first.is_some()
    };
    let store = |fleet: &mut Fleet| {
        let rows = fleet.unsaved();
        fleet.stored(&rows);
        rows.len()
    };
    assert!(poll(&mut fleet, Some(5), Some(5)));
    assert!(poll(&mut fleet, Some(5), Some(5)), "it has not been stored yet");
    assert_eq!(store(&mut fleet), 1);
    assert!(!poll(&mut fleet, Some(5), Some(5)));
    assert_eq!(store(&mut fleet), 1, "that it was seen is stored some time");
    assert_eq!(store(&mut fleet), 0);
    assert!(!poll(&mut fleet, Some(5), Some(4)), "a shorter bound can wait");
    assert!(poll(&mut fleet, Some(4), Some(6)), "a longer one cannot");
    assert_eq!(store(&mut fleet), 1);
    assert!(fleet.promise(gateway(1), "a", None).is_some(), "nor can none at all");
    assert_eq!(store(&mut fleet), 1);
    assert!(fleet.promise(gateway(1), "a", Some(9)).is_none());
    assert!(fleet.promise(gateway(1), "b", None).is_none(), "nobody who is counted");
}

#[test]
fn acknowledgements_are_timed_from_when_their_revisions_were_noted() {
    let mut fleet = fleet();
    assert_eq!(saw(&mut fleet, "a", at(EPOCH, 10), 5).acknowledged_us, [0_u64; 0]);
    fleet.note(11, 100);
    fleet.note(13, 200);
    fleet.note(12, 900);
    assert_eq!(saw(&mut fleet, "a", at(EPOCH, 12), 300).acknowledged_us, [200]);
    assert_eq!(saw(&mut fleet, "a", at(EPOCH, 13), 350).acknowledged_us, [150]);
    assert_eq!(saw(&mut fleet, "a", at(EPOCH, 13), 999).acknowledged_us, [0_u64; 0]);
}

#[test]
fn a_full_list_refuses_the_newcomer_and_keeps_everyone() {
    let mut fleet = fleet();
    for number in 0..WORKERS_MAX {
        saw(&mut fleet, &format!("{number:05}"), None, 0);
    }
    assert_eq!(fleet.saw(gateway(1), worker("new", None), None, 0), Err(Full));
    assert_eq!(fleet.len(), WORKERS_MAX);
    assert_eq!(saw(&mut fleet, "00000", at(EPOCH, 10), 0).sighting, Sighting::Loaded);
    assert_eq!(fleet.of(gateway(1)).count(), WORKERS_MAX);
    assert_eq!(fleet.of(gateway(0)).count(), 0);
}

#[derive(Debug, Clone)]
enum Event {
    Poll { process: usize, name: u8, revision: u64, bound_ms: Option<u64> },
    Exchange { from: usize },
    Commit,
}

fn event() -> impl Strategy<Value = Event> {
    let bound_ms = || prop::option::of(1_000_u64..4_000);
    prop_oneof![
        4 => (0..2_usize, 0..3_u8, 0..20_u64, bound_ms())
            .prop_map(|(process, name, revision, bound_ms)| Event::Poll { process, name, revision, bound_ms }),
        2 => (0..2_usize).prop_map(|from| Event::Exchange { from }),
        2 => Just(Event::Commit),
    ]
}

proptest! {
    /// Two processes that exchange what they have stored: a receipt that either calls complete is right about every
    /// worker whose first poll was stored, and what one knew stays known.
    #[test]
    fn receipts_of_two_processes_never_say_more_than_was_acknowledged(events in prop::collection::vec(event(), 0..60)) {
        let mut fleets = [fleet(), fleet()];
        let mut truth = BTreeMap::<u8, u64>::new();
        let mut head = 10;
        for (now_us, event) in events.into_iter().enumerate() {
            let now_us = now_us as u64;
            match event {
                Event::Poll { process, name, revision, bound_ms } => {
                    let known = truth.entry(name).or_insert(0);
                    *known = (*known).max(revision.min(head));
                    let reported = Worker { bound_ms, ..worker(&name.to_string(), at(EPOCH, *known)) };
                    let seen = fleets[process].saw(gateway(1), reported, bound_ms, now_us).unwrap();
                    if seen.store_first.is_some() {
                        exchange(&mut fleets, process, now_us);
                    }
                }
                Event::Exchange { from } => exchange(&mut fleets, from, now_us),
                Event::Commit => {
                    head += 1;
                    fleets.iter_mut().for_each(|fleet| fleet.note(head, now_us));
                }
            }
            for fleet in &fleets {
                let propagation = fleet.propagation(head, now_us).unwrap();
                let behind = truth.values().filter(|revision| **revision < head).count();
                prop_assert!(propagation.pending.len() >= behind);
                prop_assert_eq!(propagation.total, truth.len());
                let counted = propagation.applied + propagation.stopped + propagation.pending.len();
                prop_assert_eq!(counted, propagation.total);
                prop_assert_eq!(propagation.is_complete(), fleet.is_complete(head, now_us));
            }
        }
        let now_us = 1_000;
        for from in [0, 1] {
            exchange(&mut fleets, from, now_us);
        }
        // Of a bound each goes by the longest that it knows of, so these may differ.
        let applied = |fleet: &Fleet| {
            fleet.workers().map(|(_, worker)| (worker.name.clone(), worker.applied)).collect::<Vec<_>>()
        };
        prop_assert_eq!(applied(&fleets[0]), applied(&fleets[1]));
    }
}

/// What one process stores, the other reads.
fn exchange(fleets: &mut [Fleet; 2], from: usize, now_us: u64) {
    let rows = fleets[from].unsaved();
    fleets[from].stored(&rows);
    for row in rows {
        fleets[1 - from].merge(row.gateway, row.worker, now_us);
    }
}
