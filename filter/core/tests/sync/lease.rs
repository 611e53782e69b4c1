//! Whatever happens, a worker serves for exactly as long as its last proof of being up to date allows.

use portcullis_core::directory::Serving;
use portcullis_core::sync::{POLL_WAIT_MS, Step};
use portcullis_core::wire::{Ask, Content, Epoch, Lease, Page};
use proptest::prelude::*;

use crate::server::{Change, Server, change};
use crate::worker::{Outcome, Worker, slice};

#[derive(Debug, Clone)]
enum Event {
    /// Time goes by.
    Wait(u64),
    Write(Change),
    Render,
    Restore,
    /// The operator, or the control plane's own distance from its database, changes what answers say.
    Lease(Option<Lease>),
    /// The poll is answered.
    Answer,
    Work,
    Fail,
}

fn event() -> impl Strategy<Value = Event> {
    // Ages beyond the clock's beginning, and bounds beyond its end; one of u64::MAX could not be told from none.
    let lease = (prop_oneof![0_u64..200, Just(u64::MAX - 1)], prop_oneof![0_u64..300, Just(u64::MAX)])
        .prop_map(|(max_staleness_ms, age_ms)| Lease { max_staleness_ms, age_ms });
    prop_oneof![
        6 => (0_u64..80).prop_map(Event::Wait),
        3 => change().prop_map(Event::Write),
        1 => Just(Event::Render),
        1 => Just(Event::Restore),
        2 => prop::option::weighted(0.9, lease).prop_map(Event::Lease),
        8 => Just(Event::Answer),
        8 => Just(Event::Work),
        1 => Just(Event::Fail),
    ]
}

/// What a worker should know of its lease.
#[derive(Default)]
struct Model {
    max_staleness_ms: Option<u64>,
    /// The latest moment for which an answer has shown that nothing was missing, and of which epoch.
    proof: Option<(Epoch, i128)>,
}

impl Model {
    fn accept(&mut self, answer: &[u8], sent_ms: u64) {
        let header = Page::parse(answer).unwrap().header;
        let told_ms = header.lease.map(|lease| lease.max_staleness_ms);
        if matches!(header.content, Content::Delta { more: false, .. }) {
            self.max_staleness_ms = told_ms;
            let at_ms = i128::from(sent_ms) - i128::from(header.lease.map_or(0, |lease| lease.age_ms));
            let before = self.proof.filter(|(epoch, _)| *epoch == header.epoch);
            self.proof = Some((header.epoch, before.map_or(at_ms, |(_, before)| before.max(at_ms))));
        } else {
            // What proves nothing may shorten a bound, and never lengthens one.
            self.max_staleness_ms = [self.max_staleness_ms, told_ms].into_iter().flatten().min();
        }
    }

    fn assert_governs(&self, worker: &Worker) {
        let serving = |at_ms: u64| match worker.replica.serving(|| at_ms) {
            Serving::Nothing => "nothing",
            Serving::Stale => "stale",
            Serving::Current(_) => "current",
        };
        let Some((_, proof_ms)) = self.proof else {
            assert_eq!(serving(worker.now_ms), "nothing");
            return;
        };
        let Some(max_staleness_ms) = self.max_staleness_ms else {
            assert!(matches!(worker.replica.serving(|| panic!("the clock was read")), Serving::Current(_)));
            return;
        };
        let last_ms = proof_ms + i128::from(max_staleness_ms);
        for at_ms in [i128::from(worker.now_ms), last_ms, last_ms + 1] {
            if let Ok(read_ms) = u64::try_from(at_ms) {
                assert_eq!(serving(read_ms), if at_ms <= last_ms { "current" } else { "stale" });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_is_stale_exactly_when_its_last_proof_is_too_old(
        slice in slice(),
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut server = Server::new(1);
        let mut worker = Worker::with_slice(slice);
        let mut model = Model::default();
        let mut taken_in = None;
        for event in events {
            let sent_ms = worker.sent_ms;
            let outcome = match event {
                Event::Wait(ms) => {
                    worker.now_ms += ms;
                    None
                }
                Event::Write(change) => {
                    server.write(change);
                    None
                }
                Event::Render => {
                    server.rendered = server.revision();
                    None
                }
                Event::Restore => {
                    server.restore();
                    None
                }
                Event::Lease(lease) => {
                    server.lease = lease;
                    None
                }
                Event::Answer if worker.is_working => None,
                Event::Answer => {
                    let answer = server.answer(worker.poll, 0);
                    let outcome = worker.receive(&answer);
                    taken_in = Some((answer, sent_ms));
                    Some(outcome)
                }
                Event::Work => Some(worker.work()),
                Event::Fail => {
                    worker.fail();
                    None
                }
            };
            if let (Some(Outcome { step: Step::Poll, result: Ok(()) }), Some((answer, sent_ms))) = (outcome, &taken_in) {
                model.accept(answer, *sent_ms);
            }
            model.assert_governs(&worker);
            prop_assert_eq!(worker.replica.max_staleness_ms(), model.max_staleness_ms);
            if let Ask::After { wait_ms, .. } = worker.poll.ask
                && !worker.is_working
                && worker.sent_ms == worker.now_ms
            {
                let third_ms = model.max_staleness_ms.unwrap_or(u64::MAX) / 3;
                prop_assert_eq!(u64::from(wait_ms), third_ms.min(POLL_WAIT_MS.into()));
            }
        }
    }
}

#[test]
fn a_worker_that_went_stale_goes_on_asking_and_serves_again() {
    let mut server = Server::new(1);
    server.lease = Some(Lease { max_staleness_ms: 1_000, age_ms: 10 });
    let mut worker = Worker::served_by(&server);
    worker.now_ms = 990;
    assert!(matches!(worker.replica.serving(|| 990), Serving::Current(_)));
    assert!(matches!(worker.replica.serving(|| 991), Serving::Stale));
    for _ in 0..20 {
        worker.now_ms += 2_000;
        worker.fail();
        assert!(matches!(worker.poll.ask, Ask::After { .. }));
    }
    assert!(matches!(worker.replica.serving(|| worker.now_ms), Serving::Stale));
    let outcome = worker.receive(&server.answer(worker.poll, 0));
    assert_eq!(outcome, Outcome { step: Step::Poll, result: Ok(()) });
    assert!(matches!(worker.replica.serving(|| worker.now_ms), Serving::Current(_)));
}
