//! Whatever the network drops, repeats, reorders, truncates or garbles, a replica shows exactly the server's state at
//! its own cursor, never goes back, and arrives once the faults stop.

use std::collections::BTreeMap;

use portcullis_core::sync::{Rejection, Replica, Step};
use portcullis_core::wire::{Ask, Body, Content, Cursor, Epoch, Header, Page, Poll};
use proptest::prelude::*;

use crate::server::{Change, Server, State, change, digest};
use crate::worker::{Worker, slice};

#[derive(Debug, Clone)]
enum Event {
    Write(Change),
    Restore,
    /// The server renders its snapshot anew.
    Render,
    /// The outstanding poll reaches the server; its answer joins those under way.
    Answer,
    /// One of the answers under way arrives, and is under way still: it may arrive again.
    Deliver(prop::sample::Index),
    DeliverTruncated(prop::sample::Index, prop::sample::Index),
    DeliverGarbled(prop::sample::Index, prop::sample::Index, u8),
    /// The next slice of a page that is being taken in.
    Work,
    /// There is no answer to the poll.
    Fail,
    /// The adapter polls again without having been told to.
    PollAgain,
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => change().prop_map(Event::Write),
        1 => Just(Event::Restore),
        1 => Just(Event::Render),
        8 => Just(Event::Answer),
        10 => index().prop_map(Event::Deliver),
        1 => (index(), index()).prop_map(|(answer, cut)| Event::DeliverTruncated(answer, cut)),
        1 => (index(), index(), 1_u8..).prop_map(|(a, place, flip)| Event::DeliverGarbled(a, place, flip)),
        10 => Just(Event::Work),
        2 => Just(Event::Fail),
        1 => Just(Event::PollAgain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_shows_the_servers_state_under_every_fault(slice in slice(), events in prop::collection::vec(event(), 0..150)) {
        let mut server = Server::new(1);
        let mut worker = Worker::with_slice(slice);
        let mut under_way: Vec<Vec<u8>> = Vec::new();
        let mut states = BTreeMap::from([((1, 0), State::default())]);
        let mut first_contact = BTreeMap::new();
        for event in events {
            match event {
                Event::Write(change) => server.write(change),
                Event::Restore => server.restore(),
                Event::Render => server.rendered = server.revision(),
                Event::Answer => {
                    first_contact.entry(server.epoch).or_insert_with(|| server.revision());
                    under_way.push(server.answer(worker.poll, 0));
                }
                Event::Deliver(answer) if !under_way.is_empty() => {
                    worker.receive(answer.get::<Vec<u8>>(&under_way));
                }
                Event::DeliverTruncated(answer, cut) if !under_way.is_empty() => {
                    let answer = answer.get::<Vec<u8>>(&under_way);
                    worker.receive(&answer[..cut.index(answer.len())]);
                }
                Event::DeliverGarbled(answer, place, flip) if !under_way.is_empty() => {
                    let mut answer = answer.get::<Vec<u8>>(&under_way).clone();
                    let place = place.index(answer.len());
                    answer[place] ^= flip;
                    worker.receive(&answer);
                }
                Event::Deliver(_) | Event::DeliverTruncated(..) | Event::DeliverGarbled(..) => {}
                Event::Work => {
                    worker.work();
                }
                Event::Fail => worker.fail(),
                Event::PollAgain => worker.poll_again(),
            }
            states.insert((server.epoch, server.revision()), server.state().clone());
            worker.assert_shows(&states);
            // What was deleted before a worker began never opens anything there.
            if let Some(cursor) = worker.replica.cursor() {
                prop_assert!(cursor.revision >= first_contact[&cursor.epoch.number()]);
            }
        }
        worker.follow(&server);
        let at = Cursor { epoch: Epoch::from_number(server.epoch), revision: server.revision() };
        prop_assert_eq!(worker.replica.cursor(), Some(at));
        worker.assert_shows(&states);
    }
}

#[test]
fn a_lower_revision_in_the_same_epoch_is_refused_and_reported() {
    let mut server = Server::new(1);
    server.write(Change::Issue(1));
    server.write(Change::Delete(1));
    let mut worker = Worker::served_by(&server);
    let mut rolled_back = Server::new(1);
    rolled_back.write(Change::Issue(1));
    rolled_back.rendered = 1;
    worker.receive(&rolled_back.answer(Poll { ask: Ask::Everything, ..worker.poll }, 0));
    assert!(matches!(worker.poll.ask, Ask::CatchUp { .. }));
    let (step, result) = worker.replica.answered(rolled_back.answer(worker.poll, 0), 0, 0);
    assert_eq!(result, Err(Rejection::Rollback { applied: 2, offered: 1 }));
    assert!(matches!(step, Step::PollAfter(_)));
    assert!(worker.replica.directory().unwrap().keys.find(&digest(1)).is_none());
}

#[test]
fn a_delta_that_leaves_a_gap_makes_the_worker_ask_for_everything() {
    let mut server = Server::new(1);
    let mut worker = Worker::served_by(&server);
    server.write(Change::Issue(1));
    server.write(Change::Issue(2));
    let mut page = Page::parse(&server.answer(worker.poll, 0)).unwrap();
    page.header.content = Content::Delta { from: 1, to: 2, more: false };
    let gap = Body::default().page(&page.header).unwrap();
    worker.receive(&gap);
    assert_eq!(worker.poll.ask, Ask::Everything);
    worker.follow(&server);
    assert_eq!(worker.replica.cursor().unwrap().revision, 2);
    assert!(matches!(worker.poll.ask, Ask::After { .. }));
}

#[test]
fn time_is_the_control_planes_and_goes_on_without_it() {
    let server = Server::new(1);
    let mut replica = Replica::default();
    assert_eq!(replica.now_ms(0), None);
    let answer = server.answer(replica.poll(0), 1_000_000);
    assert_eq!(replica.answered(answer, 500, 0), (Step::Poll, Ok(())));
    assert_eq!(replica.now_ms(500), Some(1_000_000));
    replica.failed(0);
    assert_eq!(replica.now_ms(60_500), Some(1_060_000));
}

#[test]
fn pauses_double_up_to_a_limit_and_end_with_success() {
    let server = Server::new(1);
    let mut replica = Replica::default();
    let pauses = (0..8).map(|_| replica.failed(0)).collect::<Vec<_>>();
    let expected = [100, 200, 400, 800, 1600, 2000, 2000, 2000].map(Step::PollAfter);
    assert_eq!(pauses, expected);
    assert!(matches!(replica.failed(u32::MAX), Step::PollAfter(1001..=2000)));
    let answer = server.answer(replica.poll(0), 0);
    assert_eq!(replica.answered(answer, 0, 0).1, Ok(()));
    assert_eq!(replica.failed(0), Step::PollAfter(100));
}

#[test]
fn parts_of_two_snapshots_are_never_mixed() {
    let mut server = Server::new(1);
    for key in 0..8 {
        server.write(Change::Issue(key));
    }
    server.rendered = server.revision();
    let mut worker = Worker::new();
    worker.receive(&server.answer(worker.poll, 0));
    assert!(matches!(worker.poll.ask, Ask::Part { part: 1, .. }));
    server.write(Change::Delete(7));
    let (content, records) = server.snapshot(server.revision(), 1);
    let mut body = Body::default();
    for record in records {
        assert!(body.push(&record).unwrap());
    }
    let epoch = Epoch::from_number(1);
    let header = Header { poll: worker.poll.number, epoch, now_ms: 0, content, lease: None };
    let (_, result) = worker.replica.answered(body.page(&header).unwrap(), 0, 0);
    assert_eq!(result, Err(Rejection::Unasked));
    assert!(worker.replica.directory().is_none());
}
