//! Budgets: who is stopped when, who hears of it, and what the turn of a month does.

use portcullis_core::api::Access;
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::path::Prefix;
use portcullis_core::wire::{Counts, Record, Report, ReportRow};

use super::replica::records;
use super::*;
use crate::domain::api::{Api, Price, Route};
use crate::domain::audit::Action;
use crate::domain::budget::Budget;
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::organization::Organization;
use crate::domain::period::Period;

const CALL: Outcome = Outcome::Answered(StatusClass::Success);

const fn tokens(ceiling: u64) -> Option<Budget> {
    Some(Budget { cost_micros: None, tokens: Some(ceiling) })
}

/// A gateway and an API whose calls cost seven each.
struct Scene<'f> {
    fixture: &'f Fixture,
    gateway: Gateway,
    api: Api,
}

impl<'f> Scene<'f> {
    async fn of(fixture: &'f Fixture) -> Self {
        let mut write = fixture.write().await;
        let new = NewGateway { name: name("edge"), serves: Serves::Everything, max_staleness_ms: None };
        let gateway = write.create_gateway(new, &fixture.secret()).await.unwrap().unwrap();
        let new = NewApi {
            name: name("echo"),
            access: Access::Serverless,
            route: Route { hosts: Vec::new(), path_prefix: Prefix::read("/v1").unwrap() },
            rate_limit: None,
            price: Some(Price {
                per_call_micros: 7,
                per_million_input_tokens_micros: 0,
                per_million_output_tokens_micros: 0,
            }),
            count_tokens: true,
            forward_credential: false,
        };
        let api = write.create_api(new).await.unwrap().unwrap();
        write.commit().await.unwrap();
        Self { fixture, gateway, api }
    }

    async fn key(&self, monthly_budget: Option<Budget>) -> Key {
        let mut write = self.fixture.write().await;
        let new = NewKey { monthly_budget, ..self.fixture.new_key() };
        let key = write.issue_key(new, &self.fixture.secret()).await.unwrap();
        write.commit().await.unwrap();
        key
    }

    /// One call with this key that used so many tokens, reported now. The revision that it led to, and who was stopped.
    async fn uses(&self, store: &Store, key: &Key, tokens: u64) -> (Option<u64>, Stopped) {
        let now = store.clock().now();
        let counts = Counts { requests: 1, prompt_tokens: tokens, ..Counts::default() };
        let row = ReportRow { key: Some(key.id), api: self.api.id, outcome: CALL, price_version: 1, counts };
        let mut write = store.write(None).await.unwrap();
        let report = Report {
            sequence: 1,
            hour_ms: Period::Hour.floor(now).unix_ms(),
            until_ms: now.unix_ms(),
            rows: vec![row],
        };
        // Each of a new worker, so that all of them are the first.
        let worker = format!("{:?}", store.entropy().bytes::<8>().unwrap());
        let counted = write.count_report(&self.gateway, &worker, &report).await.unwrap();
        assert!(counted.receipt.counted && counted.receipt.refused.is_empty(), "{counted:?}");
        (write.commit().await.unwrap(), counted.stopped)
    }

    async fn now_of(&self, key: &Key) -> Key {
        self.fixture.store.read().await.unwrap().view().key(key.id).await.unwrap().unwrap()
    }

    async fn organization(&self) -> Organization {
        let mut read = self.fixture.store.read().await.unwrap();
        read.view().organization(self.fixture.organization).await.unwrap().unwrap()
    }

    async fn give(&self, key: &Key, monthly_budget: Option<Budget>) -> (Key, Option<u64>) {
        let mut write = self.fixture.write().await;
        let before = write.view().key(key.id).await.unwrap().unwrap();
        let key = write.change_key(&before, Key { monthly_budget, ..before.clone() }).await.unwrap();
        (key, write.commit().await.unwrap())
    }

    async fn give_organization(&self, monthly_budget: Option<Budget>) -> (Organization, Option<u64>) {
        let mut write = self.fixture.write().await;
        let before = write.view().organization(self.fixture.organization).await.unwrap().unwrap();
        let after = Organization { monthly_budget, ..before.clone() };
        let after = write.change_organization(&before, after).await.unwrap().unwrap();
        (after, write.commit().await.unwrap())
    }

    /// What a worker is told of what came after a revision.
    async fn told_after(&self, revision: u64) -> Vec<Record> {
        let head = self.fixture.store.read().await.unwrap().view().head().await.unwrap().revision;
        let delta = self.fixture.store.delta(revision, head, &Serves::Everything).await.unwrap();
        let Delta::Page { body, .. } = delta else { panic!("too far") };
        records(&body)
    }

    async fn last_actions(&self, count: u32) -> Vec<Action> {
        let mut read = self.fixture.store.read().await.unwrap();
        let page = read.view().audit(&AuditFilter::default(), count).await.unwrap();
        page.entries.iter().map(|entry| entry.action).collect()
    }
}

fn stopped(keys: u64, organizations: u64) -> Stopped {
    Stopped { keys, organizations }
}

/// The same database, when the month after has just begun.
async fn next_month(location: &Location) -> Store {
    let then = Period::Month.end(write_now());
    let options = StoreOptions {
        location: location.clone(),
        busy_timeout: Duration::from_secs(5),
        clock: Clock::from_fn(move || then),
        entropy: Entropy::system(),
    };
    Store::open(&options).await.unwrap()
}

async fn lift(store: &Store) -> (usize, Option<u64>) {
    let mut write = store.write(None).await.unwrap();
    let lifted = write.lift_budgets().await.unwrap();
    (lifted, write.commit().await.unwrap())
}

on_both! {
    async fn a_key_is_stopped_by_the_report_that_uses_up_its_budget(fixture: &Fixture) {
        let scene = Scene::of(fixture).await;
        let (key, other) = (scene.key(tokens(10)).await, scene.key(None).await);
        assert_eq!(scene.uses(&fixture.store, &key, 9).await, (None, stopped(0, 0)));
        assert_eq!(scene.uses(&fixture.store, &other, 90).await, (None, stopped(0, 0)));
        // A planned rotation lets two secrets work, and both are stopped.
        let mut write = fixture.write().await;
        let until = Handover::Overlap(Timestamp::from_unix_ms(NOW_MS + 60_000));
        let before = write.view().key(key.id).await.unwrap().unwrap();
        let key = write.reissue_key(&before, None, until, &fixture.secret()).await.unwrap();
        let revision = write.commit().await.unwrap().unwrap();

        assert_eq!(scene.uses(&fixture.store, &key, 1).await, (Some(revision + 1), stopped(1, 0)));
        let now = scene.now_of(&key).await;
        assert_eq!(now.over_budget_since, Some(write_now()));
        let mut told = scene.told_after(revision).await;
        let mut expected = vec![Record::Key(now.record()), Record::Key(now.former_record().unwrap())];
        for records in [&mut told, &mut expected] {
            records.sort_by_key(|record| format!("{record:?}"));
        }
        assert_eq!(told, expected);
        assert!(now.record().over_budget);
        assert_eq!(scene.last_actions(1).await, [Action::KeyStop]);
        // What comes late is counted, and stops nobody again.
        assert_eq!(scene.uses(&fixture.store, &key, 5).await, (None, stopped(0, 0)));
        assert_eq!(scene.now_of(&other).await.over_budget_since, None);
    }

    async fn an_organization_is_stopped_as_a_whole_and_its_keys_stay_what_they_are(fixture: &Fixture) {
        let scene = Scene::of(fixture).await;
        let keys = [scene.key(None).await, scene.key(None).await];
        let cost = Some(Budget { cost_micros: Some(20), tokens: None });
        assert_eq!(scene.give_organization(cost).await.1, None);
        for key in &keys {
            assert_eq!(scene.uses(&fixture.store, key, 0).await, (None, stopped(0, 0)));
        }
        let before = fixture.store.feed().news().revision;
        // The third call makes 21.
        assert_eq!(scene.uses(&fixture.store, &keys[0], 0).await, (Some(before + 1), stopped(0, 1)));
        let over = Record::OverBudget(fixture.organization);
        assert_eq!(scene.told_after(before).await, std::slice::from_ref(&over));
        assert_eq!(scene.last_actions(1).await, [Action::OrganizationStop]);
        let snapshot = fixture.store.snapshot(&Serves::Everything).await.unwrap();
        assert_eq!(records(&snapshot.pages[0])[0], over);

        // A higher ceiling lets it go on, and no ceiling as well; a lower one stops it at once.
        let raised = Some(Budget { cost_micros: Some(22), tokens: None });
        for (budget, is_over) in [(raised, false), (cost, true), (None, false), (cost, true)] {
            let before = fixture.store.feed().news().revision;
            let (organization, revision) = scene.give_organization(budget).await;
            assert_eq!((organization.over_budget_since.is_some(), revision), (is_over, Some(before + 1)));
            let told = if is_over { over.clone() } else { Record::WithinBudget(fixture.organization) };
            assert_eq!(scene.told_after(before).await, [told]);
        }
        // One that is gone is not told of any more.
        let mut write = fixture.write().await;
        for key in &keys {
            write.revoke_key(key, Action::KeyDelete).await.unwrap();
        }
        let organization = write.view().organization(fixture.organization).await.unwrap().unwrap();
        write.delete_organization(&organization).await.unwrap();
        write.commit().await.unwrap();
        let snapshot = fixture.store.snapshot(&Serves::Everything).await.unwrap();
        assert!(!records(&snapshot.pages[0]).contains(&over));
        let mut write = fixture.write().await;
        assert_eq!(write.lift_budgets().await.unwrap(), 0);
    }

    async fn another_budget_of_a_key_holds_at_once(fixture: &Fixture) {
        let scene = Scene::of(fixture).await;
        let key = scene.key(tokens(0)).await;
        assert!(key.record().over_budget, "of nothing nothing is left");
        let (key, revision) = scene.give(&key, tokens(10)).await;
        assert!(revision.is_some() && !key.record().over_budget);
        scene.uses(&fixture.store, &key, 8).await;
        // Nothing that filters must know.
        assert_eq!(scene.give(&key, tokens(9)).await.1, None);
        let (key, revision) = scene.give(&key, tokens(8)).await;
        assert!(revision.is_some() && key.record().over_budget);
        let (key, revision) = scene.give(&key, None).await;
        assert!(revision.is_some() && !key.record().over_budget);
        assert_eq!(key.over_budget_since, None);
    }

    async fn the_turn_of_a_month_lets_go_of_everyone_who_has_something_left(fixture: &Fixture) {
        let scene = Scene::of(fixture).await;
        let (used_up, spendthrift, nothing) =
            (scene.key(tokens(5)).await, scene.key(tokens(5)).await, scene.key(tokens(0)).await);
        let revoked = scene.key(tokens(5)).await;
        for key in [&used_up, &spendthrift, &revoked] {
            assert_eq!(scene.uses(&fixture.store, key, 5).await.1, stopped(1, 0));
        }
        scene.give_organization(tokens(15)).await;
        assert!(scene.organization().await.over_budget_since.is_some());
        let mut write = fixture.write().await;
        let key = write.view().key(revoked.id).await.unwrap().unwrap();
        write.revoke_key(&key, Action::KeyDelete).await.unwrap();
        write.commit().await.unwrap();

        assert!(!fixture.store.read().await.unwrap().view().has_due_lift(write_now()).await.unwrap());
        assert_eq!(lift(&fixture.store).await, (0, None));

        let later = next_month(&fixture.location).await;
        // Whatever a worker that has not heard of the stop has let pass in the new month.
        scene.uses(&later, &spendthrift, 6).await;
        assert!(later.read().await.unwrap().view().has_due_lift(later.clock().now()).await.unwrap());
        let before = later.feed().news().revision;
        assert_eq!(lift(&later).await, (4, Some(before + 1)));
        let over = |key: Key| key.record().over_budget;
        assert!(!over(scene.now_of(&used_up).await));
        assert!(over(scene.now_of(&spendthrift).await) && over(scene.now_of(&nothing).await));
        assert_eq!(scene.organization().await.over_budget_since, None);
        let told = scene.told_after(before).await;
        assert!(told.contains(&Record::WithinBudget(fixture.organization)) && told.len() == 2, "{told:?}");
        assert_eq!(scene.last_actions(2).await, [Action::OrganizationResume, Action::KeyResume]);
        // That was all.
        assert!(!later.read().await.unwrap().view().has_due_lift(later.clock().now()).await.unwrap());
    }
}
