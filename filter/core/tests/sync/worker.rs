//! A replica with an adapter around it that polls at once, whatever pause it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::sync::{Rejection, Replica, Slice, Step};
use portcullis_core::wire::{Cursor, Poll};
use proptest::prelude::*;

use crate::server::{KEYS, Server, State, api_record, digest, key_record};

/// Every revision that there has been, by epoch and revision.
pub type States = BTreeMap<(u64, u64), State>;

/// What a replica says to an answer or a slice of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub step: Step,
    pub result: Result<(), Rejection>,
}

/// A replica under test, with the poll that its adapter believes to be outstanding.
pub struct Worker {
    pub replica: Replica,
    pub poll: Poll,
    /// When that was sent.
    pub sent_ms: u64,
    /// What the monotonic clock shows.
    pub now_ms: u64,
    /// Whether a page is being taken in.
    pub is_working: bool,
    high: Option<Cursor>,
}

impl Worker {
    pub fn new() -> Self {
        Self::with_slice(Slice::default())
    }

    pub fn with_slice(slice: Slice) -> Self {
        let mut replica = Replica::with_slice(slice);
        let poll = replica.poll(0);
        Self { replica, poll, sent_ms: 0, now_ms: 0, is_working: false, high: None }
    }

    /// A worker that has everything.
    pub fn served_by(server: &Server) -> Self {
        let mut worker = Self::new();
        worker.follow(server);
        worker
    }

    /// Polls without faults until it has everything.
    pub fn follow(&mut self, server: &Server) {
        for _ in 0..150 {
            self.work_to_the_end();
            let answer = server.answer(self.poll, 0);
            self.receive(&answer);
        }
        self.work_to_the_end();
    }

    pub fn receive(&mut self, answer: &[u8]) -> Outcome {
        let (step, result) = self.replica.answered(answer.to_vec(), self.now_ms, 0);
        self.obey(step);
        Outcome { step, result }
    }

    pub fn work(&mut self) -> Outcome {
        let (step, result) = self.replica.work(0);
        self.obey(step);
        Outcome { step, result }
    }

    /// Works while there is work, and says how that ended.
    pub fn work_to_the_end(&mut self) -> Option<Outcome> {
        let mut last = None;
        while self.is_working {
            last = Some(self.work());
        }
        last
    }

    /// Takes an answer in, the whole of it.
    pub fn take_in(&mut self, answer: &[u8]) -> Outcome {
        let first = self.receive(answer);
        self.work_to_the_end().unwrap_or(first)
    }

    pub fn fail(&mut self) {
        let step = self.replica.failed(0);
        self.obey(step);
    }

    pub fn poll_again(&mut self) {
        self.is_working = false;
        self.poll = self.replica.poll(self.now_ms);
        self.sent_ms = self.now_ms;
    }

    fn obey(&mut self, step: Step) {
        match step {
            Step::Poll | Step::PollAfter(_) => self.poll_again(),
            Step::Work => self.is_working = true,
            Step::Ignore => {}
        }
        let cursor = self.replica.cursor();
        if step == Step::Work {
            assert_eq!(self.high, cursor, "half a page shows");
        }
        if let (Some(before), Some(after)) = (self.high, cursor) {
            assert!(before.epoch <= after.epoch, "went back to an older epoch");
            assert!(before.epoch < after.epoch || before.revision <= after.revision, "went back in time");
        }
        self.high = cursor;
    }

    /// Whatever it is doing, it shows exactly the state at its cursor.
    pub fn assert_shows(&self, states: &States) {
        let (Some(cursor), Some(directory)) = (self.replica.cursor(), self.replica.directory()) else {
            return;
        };
        let (keys, apis, over_budget) = &states[&(cursor.epoch.number(), cursor.revision)];
        assert_eq!(directory.keys.len(), keys.len());
        for key in 0..KEYS {
            let found = directory.keys.find(&digest(key)).map(|found| (found.id, found.rights.rate_limited));
            let told = keys.get(&key).map(|issue| key_record(key, *issue));
            assert_eq!(found, told.map(|key| (key.id, key.rate_limited)));
        }
        let shown = directory.apis.records().map(|api| (api.id.number(), api.clone()));
        let told = apis.iter().map(|(api, issue)| (*api, api_record(*api, *issue)));
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), told.collect());
        let shown = directory.over_budget.iter().map(|id| id.number()).collect::<BTreeSet<_>>();
        assert_eq!(shown, *over_budget);
    }
}

/// From one record at once to all of them.
pub fn slice() -> impl Strategy<Value = Slice> {
    let bytes = prop_oneof![Just(0), 1_usize..800, Just(usize::MAX)];
    let records = prop_oneof![0_usize..6, Just(usize::MAX)];
    (bytes, records).prop_map(|(bytes, records)| Slice { bytes, records })
}
