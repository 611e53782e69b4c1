//! Slices change nothing but how long a page takes: neither what a replica comes to, nor what is seen meanwhile.

use std::collections::BTreeMap;

use portcullis_core::sync::{Rejection, Slice, Step};
use portcullis_core::wire::{Ask, Cursor, Epoch, PageError};
use proptest::prelude::*;

use crate::server::{Change, Server, State, change};
use crate::worker::{Outcome, Worker, slice};

const WHOLE: Slice = Slice { bytes: usize::MAX, records: usize::MAX };

#[derive(Debug, Clone)]
enum Event {
    Write(Change),
    Restore,
    Render,
    Answer,
    Garble(prop::sample::Index, u8),
    Fail,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => change().prop_map(Event::Write),
        1 => Just(Event::Restore),
        1 => Just(Event::Render),
        10 => Just(Event::Answer),
        1 => (any::<prop::sample::Index>(), 1_u8..).prop_map(|(place, flip)| Event::Garble(place, flip)),
        1 => Just(Event::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn by_slices_or_at_once_a_replica_comes_to_the_same(
        slice in slice(),
        events in prop::collection::vec(event(), 0..100),
    ) {
        let mut server = Server::new(1);
        let (mut at_once, mut by_slices) = (Worker::with_slice(WHOLE), Worker::with_slice(slice));
        let mut states = BTreeMap::from([((1, 0), State::default())]);
        for event in events {
            match event {
                Event::Write(change) => server.write(change),
                Event::Restore => server.restore(),
                Event::Render => server.rendered = server.revision(),
                Event::Answer => {
                    let answer = server.answer(at_once.poll, 0);
                    prop_assert_eq!(at_once.receive(&answer), by_slices.take_in(&answer));
                }
                Event::Garble(place, flip) => {
                    let mut answer = server.answer(at_once.poll, 0);
                    let place = place.index(answer.len());
                    answer[place] ^= flip;
                    prop_assert_eq!(at_once.receive(&answer), by_slices.take_in(&answer));
                }
                Event::Fail => {
                    at_once.fail();
                    by_slices.fail();
                }
            }
            states.insert((server.epoch, server.revision()), server.state().clone());
            prop_assert!(!at_once.is_working);
            prop_assert_eq!(at_once.poll, by_slices.poll);
            prop_assert_eq!(at_once.replica.cursor(), by_slices.replica.cursor());
            at_once.assert_shows(&states);
            by_slices.assert_shows(&states);
        }
    }

    #[test]
    fn one_bad_record_in_any_slice_leaves_everything_as_it_was(
        slice in slice(),
        place in any::<prop::sample::Index>(),
        is_readable in any::<bool>(),
    ) {
        let mut server = Server::new(1);
        for key in 0..12 {
            server.write(Change::Issue(key));
        }
        let mut worker = Worker::with_slice(slice);
        worker.follow(&server);
        let mut states = BTreeMap::from([((1, 12), server.state().clone())]);
        // The database is restored, and the worker needs a snapshot.
        server.restore();
        states.insert((2, server.revision()), server.state().clone());
        worker.take_in(&server.answer(worker.poll, 0));
        let asks_for_a_part = matches!(worker.poll.ask, Ask::Part { .. });
        prop_assert!(asks_for_a_part);

        let before = worker.poll.ask;
        let (answer, index) = spoiled(&server.answer(worker.poll, 0), place, is_readable);
        let mut outcome = worker.receive(&answer);
        while worker.is_working {
            worker.assert_shows(&states);
            outcome = worker.work();
        }
        let unreadable = Rejection::Page(PageError::Record(index));
        let is_paused = matches!(outcome.step, Step::PollAfter(_));
        prop_assert_eq!(outcome.result, Err(if is_readable { Rejection::Record(index) } else { unreadable }));
        prop_assert!(is_paused);
        prop_assert_eq!(worker.poll.ask, before);
        prop_assert_eq!(worker.replica.cursor(), Some(Cursor { epoch: Epoch::from_number(1), revision: 12 }));
        worker.assert_shows(&states);

        worker.follow(&server);
        let at = Cursor { epoch: Epoch::from_number(2), revision: server.revision() };
        prop_assert_eq!(worker.replica.cursor(), Some(at));
        worker.assert_shows(&states);
    }
}

#[test]
fn nothing_is_done_without_a_page_or_with_one_that_was_given_up() {
    let mut server = Server::new(1);
    for key in 0..12 {
        server.write(Change::Issue(key));
    }
    server.rendered = server.revision();
    let nothing = Outcome { step: Step::Ignore, result: Ok(()) };
    let mut worker = Worker::with_slice(Slice { bytes: 0, records: 1 });
    assert_eq!(worker.work(), nothing);
    // Given up while it is read, and while it is added to what is built aside.
    for slices in [0, 3, 6, 8] {
        worker.receive(&server.answer(worker.poll, 0));
        for _ in 0..slices {
            worker.work();
        }
        // What comes meanwhile, an answer or none, changes nothing: no poll is outstanding.
        assert_eq!(worker.receive(b"anything"), Outcome { step: Step::Work, result: Ok(()) });
        assert_eq!(worker.replica.failed(0), Step::Work);
        worker.poll_again();
        assert_eq!(worker.work(), nothing);
    }
    worker.follow(&server);
    assert_eq!(worker.replica.cursor().map(|cursor| cursor.revision), Some(12));
    worker.assert_shows(&BTreeMap::from([((1, 12), server.state().clone())]));
}

/// A page with a bad record more, and where that stands: one that says nothing at all, or one that contradicts itself.
fn spoiled(page: &[u8], place: prop::sample::Index, is_readable: bool) -> (Vec<u8>, usize) {
    let mut lines = page.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
    lines.pop();
    let index = place.index(lines.len());
    let unreadable = b"{\"quota\":1}\n".as_slice();
    let contradictory =
        b"{\"api\":{\"id\":\"api_0000000000000\",\"kind\":\"dedicated\",\"path_prefix\":\"/\"}}\n".as_slice();
    lines.insert(1 + index, if is_readable { contradictory } else { unreadable });
    let content = lines.concat();
    let end = format!("{{\"end\":{{\"crc32\":\"{:08x}\"}}}}\n", crc32fast::hash(&content));
    ([content.as_slice(), end.as_bytes()].concat(), index)
}
