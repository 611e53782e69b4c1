//! The law of the sync protocol: whatever the network drops, repeats, reorders, truncates or garbles, a replica
//! shows exactly the server's state at its own cursor, never goes back, and arrives once the faults stop.

use std::collections::BTreeMap;

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::sync::{Rejection, Replica, Step};
use portcullis_core::wire::{ApiRecord, Ask, Body, Content, Cursor, Epoch, Header, KeyRecord, Page, Poll, Record};
use proptest::prelude::*;

const KEYS: u16 = 24;
const APIS: u64 = 3;

/// What is live at one revision: keys by number to their issue, and APIs.
type State = (BTreeMap<u16, u64>, BTreeMap<u64, String>);

fn digest(key: u16) -> Digest {
    Digest::of(&key.to_be_bytes())
}

fn key_record(key: u16, issue: u64) -> Record {
    Record::Key(KeyRecord {
        id: KeyId::from_number(issue),
        digest: digest(key),
        kind: ApiKind::Serverless,
        organization: OrganizationId::from_number(1),
        user: UserId::from_number(issue % 3),
        expires_at_ms: None,
        apis: None,
    })
}

fn api_record(api: u64, path_prefix: &str) -> Record {
    Record::Api(ApiRecord {
        id: ApiId::from_number(api),
        kind: ApiKind::Serverless,
        organization: None,
        hosts: Vec::new(),
        path_prefix: path_prefix.to_owned(),
        forward_credential: false,
    })
}

/// A control plane that remembers its state at every revision.
struct Server {
    epoch: u64,
    history: Vec<State>,
    /// The revision of the snapshot that it has ready for newcomers, which may be an old one.
    rendered: u64,
}

impl Server {
    fn new(epoch: u64) -> Self {
        Self { epoch, history: vec![State::default()], rendered: 0 }
    }

    fn revision(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    fn state(&self) -> &State {
        self.history.last().unwrap()
    }

    fn write(&mut self, change: Change) {
        let (mut keys, mut apis) = self.state().clone();
        let issue = self.revision() + 1;
        match change {
            Change::Issue(key) => drop(keys.insert(key, issue)),
            Change::Delete(key) => drop(keys.remove(&key)),
            Change::PutApi(api) => drop(apis.insert(api, format!("/{api}/{issue}"))),
            Change::DeleteApi(api) => drop(apis.remove(&api)),
        }
        self.history.push((keys, apis));
    }

    /// Restored from a backup of its beginning, under a new epoch.
    fn restore(&mut self) {
        self.epoch += 1;
        self.history.truncate(1 + self.history.len() / 2);
        self.rendered = self.revision();
    }

    fn answer(&self, poll: Poll, now_ms: u64) -> Vec<u8> {
        let epoch = Epoch::from_number(self.epoch);
        let (content, records) = match poll.ask {
            Ask::After { cursor: at, .. } | Ask::CatchUp { at } if at.epoch == epoch => self.delta(at.revision),
            Ask::Part { at, part } if at.epoch == epoch => self.snapshot(at.revision, part),
            Ask::After { .. } | Ask::CatchUp { .. } | Ask::Part { .. } | Ask::Everything => {
                self.snapshot(self.rendered, 0)
            }
        };
        let mut body = Body::default();
        for record in records {
            assert!(body.push(&record).unwrap());
        }
        body.page(&Header { poll: poll.number, epoch, now_ms, content, lease: None }).unwrap()
    }

    /// At most two revisions at once, so that catching up can take several deltas.
    fn delta(&self, from: u64) -> (Content, Vec<Record>) {
        let to = self.revision().min(from + 2);
        let more = to < self.revision();
        let (old, new) = (&self.history[from as usize], &self.history[to as usize]);
        let mut records = Vec::new();
        records.extend(old.0.keys().filter(|k| !new.0.contains_key(k)).map(|k| Record::DeleteKey(digest(*k))));
        let gone = old.1.keys().filter(|api| !new.1.contains_key(api));
        records.extend(gone.map(|api| Record::DeleteApi(ApiId::from_number(*api))));
        let changed = new.1.iter().filter(|(api, prefix)| old.1.get(api) != Some(prefix));
        records.extend(changed.map(|(api, prefix)| api_record(*api, prefix)));
        let changed = new.0.iter().filter(|(key, issue)| old.0.get(key) != Some(issue));
        records.extend(changed.map(|(key, issue)| key_record(*key, *issue)));
        (Content::Delta { from, to, more }, records)
    }

    /// Five records a part, so that even a small state has several.
    fn snapshot(&self, revision: u64, part: u32) -> (Content, Vec<Record>) {
        let (keys, apis) = &self.history[revision as usize];
        let mut records = apis.iter().map(|(api, prefix)| api_record(*api, prefix)).collect::<Vec<_>>();
        records.extend(keys.iter().map(|(key, issue)| key_record(*key, *issue)));
        let parts = records.len().div_ceil(5).max(1) as u32;
        let records = records.into_iter().skip(5 * part as usize).take(5).collect();
        let keys = keys.len() as u32;
        (Content::Snapshot { revision, part, parts, keys }, records)
    }
}

#[derive(Debug, Clone)]
enum Change {
    Issue(u16),
    Delete(u16),
    PutApi(u64),
    DeleteApi(u64),
}

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
    /// The poll is given up.
    Fail,
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    let change = prop_oneof![
        4 => (0..KEYS).prop_map(Change::Issue),
        3 => (0..KEYS).prop_map(Change::Delete),
        1 => (0..APIS).prop_map(Change::PutApi),
        1 => (0..APIS).prop_map(Change::DeleteApi),
    ];
    prop_oneof![
        8 => change.prop_map(Event::Write),
        1 => Just(Event::Restore),
        1 => Just(Event::Render),
        8 => Just(Event::Answer),
        10 => index().prop_map(Event::Deliver),
        1 => (index(), index()).prop_map(|(answer, cut)| Event::DeliverTruncated(answer, cut)),
        1 => (index(), index(), 1_u8..).prop_map(|(a, place, flip)| Event::DeliverGarbled(a, place, flip)),
        2 => Just(Event::Fail),
    ]
}

/// A replica under test, with the poll that its adapter believes to be outstanding.
struct Worker {
    replica: Replica,
    poll: Poll,
    high: Option<Cursor>,
}

impl Worker {
    fn new() -> Self {
        let mut replica = Replica::default();
        let poll = replica.poll(0);
        Self { replica, poll, high: None }
    }

    /// A worker that has everything.
    fn served_by(server: &Server) -> Self {
        let mut worker = Self::new();
        worker.follow(server);
        worker
    }

    /// Polls without faults until it has everything.
    fn follow(&mut self, server: &Server) {
        for _ in 0..150 {
            let answer = server.answer(self.poll, 0);
            self.receive(&answer);
        }
    }

    fn receive(&mut self, answer: &[u8]) {
        match self.replica.answered(answer.to_vec(), 0, 0).0 {
            Step::Poll | Step::PollAfter(_) => self.poll = self.replica.poll(0),
            Step::Ignore => {}
        }
        let cursor = self.replica.cursor();
        if let (Some(before), Some(after)) = (self.high, cursor) {
            assert!(before.epoch <= after.epoch, "went back to an older epoch");
            assert!(before.epoch < after.epoch || before.revision <= after.revision, "went back in time");
        }
        self.high = cursor;
    }

    fn assert_shows(&self, states: &BTreeMap<(u64, u64), State>) {
        let (Some(cursor), Some(directory)) = (self.replica.cursor(), self.replica.directory()) else {
            return;
        };
        let (keys, apis) = &states[&(cursor.epoch.number(), cursor.revision)];
        assert_eq!(directory.keys.len(), keys.len());
        for key in 0..KEYS {
            let found = directory.keys.find(&digest(key)).map(|found| found.id.number());
            assert_eq!(found.as_ref(), keys.get(&key));
        }
        let shown = directory.apis.records().map(|api| (api.id.number(), api.path_prefix.clone()));
        assert_eq!(&shown.collect::<BTreeMap<_, _>>(), apis);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_shows_the_servers_state_under_every_fault(events in prop::collection::vec(event(), 0..150)) {
        let mut server = Server::new(1);
        let mut worker = Worker::new();
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
                Event::Fail => {
                    worker.replica.failed(0);
                    worker.poll = worker.replica.poll(0);
                }
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
