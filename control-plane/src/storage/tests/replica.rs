//! A worker as the laws see it: it takes a snapshot in and then deltas, and knows what they said.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::id::{ApiId, OrganizationId};
use portcullis_core::wire::{Body, Content, Header, PAGE_BYTES_MAX, Page, Record};

use super::*;
use crate::domain::gateway::{Gateway, Serves};

/// What a worker knows.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Replica {
    pub revision: u64,
    pub keys: BTreeMap<String, Record>,
    pub apis: BTreeMap<ApiId, Record>,
    pub over_budget: BTreeSet<OrganizationId>,
}

impl Replica {
    /// Starts over from a snapshot.
    pub fn load(&mut self, snapshot: &Snapshot) {
        *self = Self { revision: snapshot.at.revision, ..Self::default() };
        for body in &snapshot.pages {
            for record in records(body) {
                assert!(matches!(record, Record::Key(_) | Record::Api(_) | Record::OverBudget(_)));
                self.apply(record);
            }
        }
        assert_eq!(self.keys.len(), usize::try_from(snapshot.keys).unwrap());
    }

    /// Takes in one record.
    pub fn apply(&mut self, record: Record) {
        match &record {
            Record::DeleteKey(digest) => _ = self.keys.remove(&digest.to_string()),
            Record::DeleteApi(api) => _ = self.apis.remove(api),
            Record::OverBudget(organization) => _ = self.over_budget.insert(*organization),
            Record::WithinBudget(organization) => _ = self.over_budget.remove(organization),
            Record::Key(key) => _ = self.keys.insert(key.digest.to_string(), record),
            Record::Api(api) => _ = self.apis.insert(api.id, record),
        }
    }

    /// Applies one delta, if the worker is near enough for one. Returns the number of its records.
    pub async fn follow(&mut self, store: &Store) -> usize {
        self.follow_as(store, &Serves::Everything).await
    }

    /// Does what the sync port does for a worker of this gateway.
    pub async fn follow_gateway(&mut self, store: &Store, gateway: &Gateway) {
        if self.revision < gateway.scope_revision {
            self.load(&store.snapshot(&gateway.serves).await.unwrap());
        } else {
            self.follow_as(store, &gateway.serves).await;
        }
    }

    async fn follow_as(&mut self, store: &Store, serves: &Serves) -> usize {
        match store.delta(self.revision, store.feed().news().revision, serves).await.unwrap() {
            Delta::Page { to, more, body } => {
                assert_eq!(more, to < store.feed().news().revision);
                let records = records(&body);
                let order = records.iter().map(|record| match record {
                    Record::DeleteKey(_) | Record::OverBudget(_) | Record::DeleteApi(_) => 0,
                    Record::Api(_) => 1,
                    Record::Key(_) | Record::WithinBudget(_) => 2,
                });
                assert!(order.is_sorted(), "what closes first, then APIs, then what opens");
                let count = records.len();
                assert!(to >= self.revision);
                assert!(count == 0 || to > self.revision);
                records.into_iter().for_each(|record| self.apply(record));
                self.revision = to;
                count
            }
            Delta::TooFar => {
                self.load(&store.snapshot(serves).await.unwrap());
                self.keys.len() + self.apis.len()
            }
        }
    }
}

/// What a page says.
pub fn records(body: &Body) -> Vec<Record> {
    let content = Content::Delta { from: u64::MAX, to: u64::MAX, more: true };
    let header = Header { poll: u64::MAX, epoch: Epoch::from_number(1), now_ms: u64::MAX, content, lease: None };
    let bytes = body.page(&header).unwrap();
    assert!(bytes.len() <= PAGE_BYTES_MAX);
    Page::parse(&bytes).unwrap().records
}
