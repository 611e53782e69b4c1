//! Laws of the change log, snapshots and deltas: whatever is written, a worker that applies a snapshot and then
//! deltas, at whatever moments, ends with what is in the database; a worker of a gateway that serves some APIs only,
//! with what concerns these.

use portcullis_core::api::Access;
use portcullis_core::id::ApiId;
use portcullis_core::path::Prefix;
use portcullis_core::wire::Record;
use proptest::prelude::*;

use super::replica::{Replica, records};
use super::*;
use crate::domain::api::{Api, Route};
use crate::domain::audit::Action;
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::rate_limit::{Mode, Per, RateLimit, Rule, Unit};

#[derive(Debug, Clone)]
enum Step {
    /// A dedicated key, held to rate limits or not, or a serverless one.
    Issue(Option<bool>),
    IssueAndRevoke,
    Revoke(usize),
    Reissue(usize, Handover),
    EndOverlaps,
    Scope(usize, u8),
    Hold(usize, bool),
    Serve(u8),
    Rename(usize),
    CreateApi(u8, Option<RateLimit>),
    MoveApi(usize, u8),
    LimitApi(usize, Option<RateLimit>),
    DeleteApi(usize),
    Abandon,
    Follow,
}

fn arbitrary_step() -> impl Strategy<Value = Step> {
    let place = 0_usize..64;
    prop_oneof![
        4 => any::<Option<bool>>().prop_map(Step::Issue),
        1 => Just(Step::IssueAndRevoke),
        2 => place.clone().prop_map(Step::Revoke),
        3 => (place.clone(), arbitrary_handover()).prop_map(|(key, handover)| Step::Reissue(key, handover)),
        1 => Just(Step::EndOverlaps),
        2 => (place.clone(), any::<u8>()).prop_map(|(key, apis)| Step::Scope(key, apis)),
        1 => (place.clone(), any::<bool>()).prop_map(|(key, held)| Step::Hold(key, held)),
        1 => any::<u8>().prop_map(Step::Serve),
        1 => place.clone().prop_map(Step::Rename),
        1 => (any::<u8>(), arbitrary_limit()).prop_map(|(number, limit)| Step::CreateApi(number, limit)),
        1 => (place.clone(), arbitrary_limit()).prop_map(|(api, limit)| Step::LimitApi(api, limit)),
        1 => (place.clone(), any::<u8>()).prop_map(|(api, prefix)| Step::MoveApi(api, prefix)),
        1 => place.prop_map(Step::DeleteApi),
        1 => Just(Step::Abandon),
        3 => Just(Step::Follow),
    ]
}

fn arbitrary_limit() -> impl Strategy<Value = Option<RateLimit>> {
    let unit = prop::sample::select(vec![Unit::Requests, Unit::Tokens]);
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Observe]);
    let rule = (unit, 0..3_u64, 1..3_u32, prop::option::of(0..3_u64), mode)
        .prop_map(|(unit, limit, window_seconds, burst, mode)| Rule { unit, limit, window_seconds, burst, mode });
    let per = prop::sample::select(vec![Per::Key, Per::User, Per::Organization]);
    let limit = (per, prop::collection::vec(rule, 1..4)).prop_map(|(per, rules)| RateLimit { per, rules });
    prop::option::of(limit)
}

fn arbitrary_handover() -> impl Strategy<Value = Handover> {
    let end = |ms: i64| Timestamp::from_unix_ms(NOW_MS.saturating_add_signed(ms));
    prop_oneof![
        Just(Handover::AtOnce),
        Just(Handover::Retry),
        Just(Handover::Overlap(end(60_000))),
        // The clock of these tests stands still: this one is over as soon as it begins.
        Just(Handover::Overlap(end(1))),
    ]
}

/// Those of `apis` whose place is a bit of `bits`.
fn some_of(apis: &[Api], bits: u8) -> Vec<ApiId> {
    let chosen = apis.iter().enumerate().filter(|(place, _)| bits >> (place % 8) & 1 == 1);
    chosen.map(|(_, api)| api.id).collect()
}

fn route(number: u8) -> Route {
    Route { hosts: Vec::new(), path_prefix: Prefix::read(&format!("/{number}")).unwrap() }
}

async fn state(fixture: &Fixture, serves: &Serves) -> Replica {
    let mut replica = Replica::default();
    replica.load(&fixture.store.snapshot(serves).await.unwrap());
    replica
}

async fn delta(fixture: &Fixture, from: u64) -> Delta {
    let head = fixture.store.feed().news().revision;
    fixture.store.delta(from, head, &Serves::Everything).await.unwrap()
}

impl Fixture {
    /// A key to issue: a dedicated one, held to rate limits or not, or a serverless one.
    fn new_key_held(&self, held: Option<bool>) -> NewKey {
        let kind = if held.is_some() { ApiKind::Dedicated } else { ApiKind::Serverless };
        NewKey { kind, rate_limit_enabled: held == Some(true), ..self.new_key() }
    }

    /// An API to create: every other one is dedicated.
    fn new_api(&self, number: u8, rate_limit: Option<RateLimit>) -> NewApi {
        let is_dedicated = number.is_multiple_of(2);
        NewApi {
            name: name(&format!("api {number}")),
            access: if is_dedicated { Access::Dedicated(self.organization) } else { Access::Serverless },
            route: route(number),
            rate_limit,
            price: None,
            count_tokens: true,
            forward_credential: false,
        }
    }

    /// Takes one step, and keeps the model of what must be there.
    async fn step(&self, step: &Step, live: &mut Vec<Key>, apis: &mut Vec<Api>, gateway: &mut Gateway) {
        let mut write = self.write().await;
        let at = |index: usize, length: usize| (length > 0).then(|| index % length.max(1));
        match step {
            Step::Follow => return,
            Step::Issue(held) => live.push(write.issue_key(self.new_key_held(*held), &self.secret()).await.unwrap()),
            Step::Abandon => {
                self.issue(&mut write).await;
                return drop(write);
            }
            Step::IssueAndRevoke => {
                let key = self.issue(&mut write).await;
                write.revoke_key(&key, Action::KeyDelete).await.unwrap();
            }
            Step::Revoke(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                write.revoke_key(&live.remove(index), Action::KeyDelete).await.unwrap();
            }
            Step::Reissue(index, handover) => {
                let Some(index) = at(*index, live.len()) else { return };
                live[index] = write.reissue_key(&live[index], None, *handover, &self.secret()).await.unwrap();
            }
            Step::EndOverlaps => {
                let due = |key: &&mut Key| key.former.as_ref().is_some_and(|former| former.ends_at <= write_now());
                let ended = live.iter_mut().filter(due).map(|key| key.former = None).count();
                assert_eq!(write.end_overlaps().await.unwrap(), ended);
            }
            Step::Scope(index, bits) => {
                let Some(index) = at(*index, live.len()) else { return };
                let after = Key { apis: Some(some_of(apis, *bits)), ..live[index].clone() };
                write.change_key(&live[index], &after).await.unwrap();
                live[index] = after;
            }
            Step::Hold(index, held) => {
                let Some(index) = at(*index, live.len()) else { return };
                let held = *held && live[index].kind == ApiKind::Dedicated;
                let after = Key { rate_limit_enabled: held, ..live[index].clone() };
                write.change_key(&live[index], &after).await.unwrap();
                live[index] = after;
            }
            Step::Serve(bits) => {
                let after = Gateway { serves: Serves::Apis(some_of(apis, *bits)), ..gateway.clone() };
                write.change_gateway(gateway, after).await.unwrap().unwrap();
            }
            Step::Rename(index) => {
                let Some(index) = at(*index, live.len()) else { return };
                let after = Key { name: name("renamed"), ..live[index].clone() };
                write.change_key(&live[index], &after).await.unwrap();
                live[index] = after;
            }
            Step::CreateApi(number, limit) => {
                let new = self.new_api(*number, limit.clone());
                let Ok(api) = write.create_api(new).await.unwrap() else { return };
                apis.push(api);
            }
            Step::MoveApi(index, number) => {
                let Some(index) = at(*index, apis.len()) else { return };
                let after = Api { route: route(*number), ..apis[index].clone() };
                let Ok(after) = write.change_api(&apis[index], after).await.unwrap() else { return };
                apis[index] = after;
            }
            Step::LimitApi(index, limit) => {
                let Some(index) = at(*index, apis.len()) else { return };
                let after = Api { rate_limit: limit.clone(), ..apis[index].clone() };
                apis[index] = write.change_api(&apis[index], after).await.unwrap().unwrap();
            }
            Step::DeleteApi(index) => {
                let Some(index) = at(*index, apis.len()) else { return };
                write.delete_api(&apis.remove(index)).await.unwrap();
            }
        }
        *gateway = write.view().gateway(gateway.id).await.unwrap().unwrap();
        let before = self.store.feed().news().revision;
        let committed = write.commit().await.unwrap();
        let after = self.store.feed().news().revision;
        assert_eq!(committed.unwrap_or(before), after);
        assert!(after == before || after == before + 1);
    }
}

fn model(revision: u64, live: &[Key], apis: &[Api]) -> Replica {
    let mut model = Replica { revision, ..Replica::default() };
    let former = live.iter().filter_map(Key::former_record);
    live.iter().map(Key::record).chain(former).for_each(|key| model.apply(Record::Key(key)));
    apis.iter().for_each(|api| model.apply(Record::Api(api.record())));
    model
}

/// What of the model concerns a gateway. All APIs and keys of these tests are serverless or of one organization.
fn concerning(mut model: Replica, serves: &Serves) -> Replica {
    let Serves::Apis(served) = serves else { return model };
    model.apis.retain(|api, _| served.contains(api));
    let there = model.apis.values().map(|record| {
        let Record::Api(api) = record else { panic!("{record:?}") };
        (api.id, api.kind)
    });
    let there = there.collect::<Vec<_>>();
    model.keys.retain(|_, record| {
        let Record::Key(key) = record else { panic!("{record:?}") };
        there.iter().any(|(api, kind)| *kind == key.kind && key.apis.as_ref().is_none_or(|apis| apis.contains(api)))
    });
    model
}

async fn assert_followed(fixture: &Fixture, steps: &[Step]) {
    let (mut live, mut apis) = (Vec::new(), Vec::new());
    let mut write = fixture.write().await;
    let new = NewGateway { name: name("edge"), serves: Serves::Apis(Vec::new()), max_staleness_ms: None };
    let mut gateway = write.create_gateway(new, &fixture.secret()).await.unwrap().unwrap();
    write.commit().await.unwrap();
    let mut worker = state(fixture, &Serves::Everything).await;
    let mut confined = state(fixture, &gateway.serves).await;
    for step in steps {
        fixture.step(step, &mut live, &mut apis, &mut gateway).await;
        let now = model(fixture.store.feed().news().revision, &live, &apis);
        assert_eq!(state(fixture, &Serves::Everything).await, now);
        assert_eq!(state(fixture, &gateway.serves).await, concerning(now.clone(), &gateway.serves));
        if matches!(step, Step::Follow) {
            worker.follow(&fixture.store).await;
            assert_eq!(worker, now);
            confined.follow_gateway(&fixture.store, &gateway).await;
            assert_eq!(confined, concerning(now, &gateway.serves));
        }
    }
    worker.follow(&fixture.store).await;
    assert_eq!(worker, state(fixture, &Serves::Everything).await);
    confined.follow_gateway(&fixture.store, &gateway).await;
    assert_eq!(confined, state(fixture, &gateway.serves).await);
    // Nothing new is an empty delta.
    assert_eq!(worker.follow(&fixture.store).await, 0);
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_that_follows_ends_with_what_was_written_to_sqlite(
        steps in prop::collection::vec(arbitrary_step(), 1..40),
    ) {
        on_a_runtime(async { assert_followed(&Fixture::sqlite().await, &steps).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_that_follows_ends_with_what_was_written_to_postgres(
        steps in prop::collection::vec(arbitrary_step(), 1..40),
    ) {
        on_a_runtime(async { assert_followed(&Fixture::postgres().await, &steps).await });
    }
}

on_both! {
    async fn a_key_that_changed_often_is_one_record_and_a_deletion_wins(fixture: &Fixture) {
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
        write.revoke_key(&key, Action::KeyDelete).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(worker.follow(&fixture.store).await, 1);
        assert!(worker.keys.is_empty());
    }

    async fn a_delta_over_one_page_ends_between_revisions_and_the_next_goes_on(fixture: &Fixture) {
        let mut issued = Vec::new();
        for _ in 0..14 {
            issued.push(fixture.issue_many(500).await);
        }
        let mut write = fixture.write().await;
        write.revoke_key(&issued[0][0], Action::KeyDelete).await.unwrap();
        write.commit().await.unwrap();
        let mut worker = Replica::default();
        worker.follow(&fixture.store).await;
        assert!((1..14).contains(&worker.revision), "{}", worker.revision);
        // Whole revisions, and of them all but the key that is gone by now.
        assert_eq!(worker.keys.len(), 500 * usize::try_from(worker.revision).unwrap() - 1);
        while worker.follow(&fixture.store).await > 0 {}
        assert_eq!(worker, state(fixture, &Serves::Everything).await);
        assert!(fixture.store.snapshot(&Serves::Everything).await.unwrap().pages.len() > 1);
    }

    async fn a_revision_that_fits_into_no_page_needs_a_snapshot(fixture: &Fixture) {
        fixture.issue_many(6_000).await;
        assert!(matches!(delta(fixture, 0).await, Delta::TooFar));
        let mut worker = Replica::default();
        worker.follow(&fixture.store).await;
        assert_eq!(worker, state(fixture, &Serves::Everything).await);
    }

    async fn a_worker_behind_too_many_changes_or_behind_the_log_needs_a_snapshot(fixture: &Fixture) {
        fixture.issue_many(1).await;
        let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50001)
                    INSERT INTO changes (revision, api_id) SELECT 1, i FROM n";
        fixture.execute(sql(many)).await;
        assert!(matches!(delta(fixture, 0).await, Delta::TooFar));
        assert!(matches!(delta(fixture, 1).await, Delta::Page { to: 1, .. }));
        // The next revision is a multiple of 1,024, and drops what is 100,000 revisions old.
        fixture.execute(sql("UPDATE control SET revision = 101375")).await;
        fixture.issue_many(1).await;
        assert!(matches!(delta(fixture, 1_375).await, Delta::TooFar));
        assert!(matches!(delta(fixture, 1_376).await, Delta::Page { to: 101_376, .. }));
    }

    async fn a_delta_for_apis_that_are_no_more_or_from_a_database_that_went_back_needs_a_snapshot(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let new = fixture.new_api(1, None);
        let api = write.create_api(new).await.unwrap().unwrap();
        write.commit().await.unwrap();
        let key = fixture.issue_many(1).await.remove(0);
        let serves = Serves::Apis(vec![api.id]);
        assert!(matches!(fixture.store.delta(2, 2, &serves).await.unwrap(), Delta::Page { to: 2, .. }));
        assert!(matches!(fixture.store.delta(2, 3, &serves).await.unwrap(), Delta::TooFar));
        // The key was deleted while the gateway still served the API, and only then the API: the worker at 2 holds
        // both, and must not be taken to 3 without being told of the key.
        let mut write = fixture.write().await;
        write.revoke_key(&key, Action::KeyDelete).await.unwrap();
        write.commit().await.unwrap();
        let mut write = fixture.write().await;
        write.delete_api(&api).await.unwrap();
        write.commit().await.unwrap();
        assert!(matches!(fixture.store.delta(2, 3, &serves).await.unwrap(), Delta::TooFar));
    }

    async fn a_delta_ends_where_it_was_asked_to(fixture: &Fixture) {
        for _ in 0..3 {
            fixture.issue_many(1).await;
        }
        let Delta::Page { to, body, .. } = fixture.store.delta(0, 2, &Serves::Everything).await.unwrap() else {
            panic!("too far");
        };
        assert_eq!((to, records(&body).len()), (2, 2));
    }
}
