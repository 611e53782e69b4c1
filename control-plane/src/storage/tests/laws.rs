//! Laws of the change log, snapshots and deltas: whatever is written, a worker that applies a snapshot and then
//! deltas, at whatever moments, ends with what is in the database.

use std::collections::BTreeMap;

use portcullis_core::api::Access;
use portcullis_core::id::ApiId;
use portcullis_core::path::Prefix;
use portcullis_core::wire::{Body, Content, Header, PAGE_BYTES_MAX, Page, Record};
use proptest::prelude::*;

use super::*;
use crate::domain::api::{Api, Route};

/// What a worker knows.
#[derive(Debug, Default, Clone, PartialEq)]
struct Replica {
    revision: u64,
    keys: BTreeMap<String, Record>,
    apis: BTreeMap<ApiId, Record>,
}

impl Replica {
    fn load(&mut self, snapshot: &Snapshot) {
        *self = Self { revision: snapshot.at.revision, ..Self::default() };
        for body in &snapshot.pages {
            for record in records(body) {
                assert!(matches!(record, Record::Key(_) | Record::Api(_)));
                self.apply(record);
            }
        }
        assert_eq!(self.keys.len(), usize::try_from(snapshot.keys).unwrap());
    }

    fn apply(&mut self, record: Record) {
        match &record {
            Record::DeleteKey(digest) => self.keys.remove(&digest.to_string()),
            Record::DeleteApi(api) => self.apis.remove(api),
            Record::Key(key) => self.keys.insert(key.digest.to_string(), record),
            Record::Api(api) => self.apis.insert(api.id, record),
        };
    }

    /// Applies one delta, if the worker is near enough for one. Returns the number of its records.
    async fn follow(&mut self, store: &Store) -> usize {
        match store.delta(self.revision).await.unwrap() {
            Delta::Page { to, more, body } => {
                assert_eq!(more, to < store.feed().news().revision);
                let records = records(&body);
                let order = records.iter().map(|record| match record {
                    Record::DeleteKey(_) | Record::DeleteApi(_) => 0,
                    Record::Api(_) => 1,
                    Record::Key(_) => 2,
                });
                assert!(order.is_sorted(), "deletions first, then APIs, then keys");
                let count = records.len();
                assert!(to >= self.revision);
                assert_eq!(to == self.revision, count == 0);
                records.into_iter().for_each(|record| self.apply(record));
                self.revision = to;
                count
            }
            Delta::TooFar => {
                self.load(&store.snapshot().await.unwrap());
                self.keys.len() + self.apis.len()
            }
        }
    }
}

fn records(body: &Body) -> Vec<Record> {
    let content = Content::Delta { from: u64::MAX, to: u64::MAX, more: true };
    let header = Header { poll: u64::MAX, epoch: Epoch::from_number(1), now_ms: u64::MAX, content };
    let bytes = body.page(&header).unwrap();
    assert!(bytes.len() <= PAGE_BYTES_MAX);
    Page::parse(&bytes).unwrap().records
}

#[derive(Debug, Clone)]
enum Step {
    Issue,
    IssueAndRevoke,
    Revoke(usize),
    Reissue(usize),
    Scope(usize),
    Rename(usize),
    CreateApi(u8),
    MoveApi(usize, u8),
    DeleteApi(usize),
    Abandon,
    Follow,
}

fn arbitrary_step() -> impl Strategy<Value = Step> {
    let place = 0_usize..64;
    prop_oneof![
        4 => Just(Step::Issue),
        1 => Just(Step::IssueAndRevoke),
        2 => place.clone().prop_map(Step::Revoke),
        2 => place.clone().prop_map(Step::Reissue),
        1 => place.clone().prop_map(Step::Scope),
        1 => place.clone().prop_map(Step::Rename),
        1 => any::<u8>().prop_map(Step::CreateApi),
        1 => (place.clone(), any::<u8>()).prop_map(|(api, prefix)| Step::MoveApi(api, prefix)),
        1 => place.prop_map(Step::DeleteApi),
        1 => Just(Step::Abandon),
        3 => Just(Step::Follow),
    ]
}

fn route(number: u8) -> Route {
    Route { hosts: Vec::new(), path_prefix: Prefix::read(&format!("/{number}")).unwrap() }
}

async fn state(fixture: &Fixture) -> Replica {
    let mut replica = Replica::default();
    replica.load(&fixture.store.snapshot().await.unwrap());
    replica
}

impl Fixture {
    /// Takes one step, and keeps the model of what must be there.
    async fn step(&self, step: &Step, live: &mut Vec<Key>, apis: &mut Vec<Api>) {
        let mut write = self.write().await;
        let at = |index: usize, length: usize| (length > 0).then(|| index % length.max(1));
        match step {
            Step::Follow => return,
            Step::Issue => live.push(self.issue(&mut write).await),
            Step::Abandon => {
                self.issue(&mut write).await;
                return drop(write);
            }
            Step::IssueAndRevoke => {
                let key = self.issue(&mut write).await;
                write.revoke_key(&key).await.unwrap();
            }
            Step::Revoke(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                write.revoke_key(&live.remove(index)).await.unwrap();
            }
            Step::Reissue(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                let secret = self.store.entropy().key(&Brand::default(), Kind::Access).unwrap();
                live[index] = write.reissue_key(&live[index], None, &secret).await.unwrap();
            }
            Step::Scope(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                let scopes = Some(apis.iter().map(|api| api.id).collect());
                let after = Key { apis: scopes, ..live[index].clone() };
                write.change_key(&live[index], &after).await.unwrap();
                live[index] = after;
            }
            Step::Rename(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                let after = Key { name: name("renamed"), ..live[index].clone() };
                write.change_key(&live[index], &after).await.unwrap();
                live[index] = after;
            }
            Step::CreateApi(number) => {
                let new = NewApi {
                    name: name(&format!("api {number}")),
                    access: Access::Serverless,
                    route: route(*number),
                    rate_limit: None,
                    price: None,
                    forward_credential: false,
                };
                let Ok(api) = write.create_api(new).await.unwrap() else { return };
                apis.push(api);
            }
            Step::MoveApi(index, number) => {
                let Some(index) = at(*index, apis.len()) else { return };
                let after = Api { route: route(*number), ..apis[index].clone() };
                if write.change_api(&apis[index], &after).await.unwrap().is_err() {
                    return;
                }
                apis[index] = after;
            }
            Step::DeleteApi(index) => {
                let Some(index) = at(*index, apis.len()) else { return };
                write.delete_api(&apis.remove(index)).await.unwrap();
            }
        }
        let before = self.store.feed().news().revision;
        let committed = write.commit().await.unwrap();
        let after = self.store.feed().news().revision;
        assert_eq!(committed.unwrap_or(before), after);
        assert!(after == before || after == before + 1);
    }
}

fn model(revision: u64, live: &[Key], apis: &[Api]) -> Replica {
    let mut model = Replica { revision, ..Replica::default() };
    live.iter().for_each(|key| model.apply(Record::Key(key.record())));
    apis.iter().for_each(|api| model.apply(Record::Api(api.record())));
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_that_follows_ends_with_what_was_written(steps in prop::collection::vec(arbitrary_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let (mut live, mut apis) = (Vec::new(), Vec::new());
            let mut worker = state(&fixture).await;
            for step in &steps {
                fixture.step(step, &mut live, &mut apis).await;
                let revision = fixture.store.feed().news().revision;
                assert_eq!(state(&fixture).await, model(revision, &live, &apis));
                if matches!(step, Step::Follow) {
                    worker.follow(&fixture.store).await;
                    assert_eq!(worker, model(revision, &live, &apis));
                }
            }
            worker.follow(&fixture.store).await;
            assert_eq!(worker, state(&fixture).await);
            // Nothing new is an empty delta.
            assert_eq!(worker.follow(&fixture.store).await, 0);
        });
    }
}

#[tokio::test]
async fn a_key_that_changed_often_is_one_record_and_a_deletion_wins() {
    let fixture = Fixture::new().await;
    let key = fixture.issue_many(1).await.remove(0);
    let mut worker = Replica::default();
    for end in 1..=5_u64 {
        let mut write = fixture.write().await;
        let before = write.view().key(key.id).await.unwrap().unwrap();
        let after = Key { expires_at: Some(Timestamp::from_unix_ms(end)), ..before.clone() };
        write.change_key(&before, &after).await.unwrap();
        write.commit().await.unwrap();
    }
    assert_eq!(worker.clone().follow(&fixture.store).await, 1);
    let mut write = fixture.write().await;
    write.revoke_key(&key).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(worker.follow(&fixture.store).await, 1);
    assert!(worker.keys.is_empty());
}

#[tokio::test]
async fn a_delta_over_one_page_ends_between_revisions_and_the_next_goes_on() {
    let fixture = Fixture::new().await;
    let mut issued = Vec::new();
    for _ in 0..14 {
        issued.push(fixture.issue_many(500).await);
    }
    let mut write = fixture.write().await;
    write.revoke_key(&issued[0][0]).await.unwrap();
    write.commit().await.unwrap();
    let mut worker = Replica::default();
    worker.follow(&fixture.store).await;
    assert!((1..14).contains(&worker.revision), "{}", worker.revision);
    // Whole revisions, and of them all but the key that is gone by now.
    assert_eq!(worker.keys.len(), 500 * usize::try_from(worker.revision).unwrap() - 1);
    while worker.follow(&fixture.store).await > 0 {}
    assert_eq!(worker, state(&fixture).await);
    assert!(fixture.store.snapshot().await.unwrap().pages.len() > 1);
}

#[tokio::test]
async fn a_revision_that_fits_into_no_page_needs_a_snapshot() {
    let fixture = Fixture::new().await;
    fixture.issue_many(6_000).await;
    assert!(matches!(fixture.store.delta(0).await.unwrap(), Delta::TooFar));
    let mut worker = Replica::default();
    worker.follow(&fixture.store).await;
    assert_eq!(worker, state(&fixture).await);
}

#[tokio::test]
async fn a_worker_behind_too_many_changes_or_behind_the_log_needs_a_snapshot() {
    let fixture = Fixture::new().await;
    fixture.issue_many(1).await;
    fixture
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50001)
             INSERT INTO changes (revision, api_id) SELECT 1, i FROM n",
        )
        .await;
    assert!(matches!(fixture.store.delta(0).await.unwrap(), Delta::TooFar));
    assert!(matches!(fixture.store.delta(1).await.unwrap(), Delta::Page { to: 1, .. }));
    // The next revision is a multiple of 1,024, and drops what is 100,000 revisions old.
    fixture.execute("UPDATE control SET revision = 101375").await;
    fixture.issue_many(1).await;
    assert!(matches!(fixture.store.delta(1_375).await.unwrap(), Delta::TooFar));
    assert!(matches!(fixture.store.delta(1_376).await.unwrap(), Delta::Page { to: 101_376, .. }));
}
