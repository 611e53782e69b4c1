//! What both databases must do alike, besides the laws of the change log.

use portcullis_core::api::Access;
use portcullis_core::limit::{self, Policy};
use portcullis_core::path::Prefix;
use portcullis_core::wire::Record;

use super::replica::records;
use super::*;
use crate::domain::api::Route;
use crate::domain::audit::{Action, Outcome, Refusal};
use crate::domain::gateway::Serves;
use crate::domain::rate_limit::{Mode, Per, RateLimit, Rule, Unit};

on_both! {
    async fn every_write_leaves_an_audit_entry_with_its_revision(fixture: &Fixture) {
        let key = fixture.issue_many(1).await.remove(0);
        let mut read = fixture.store.read().await.unwrap();
        let page = read.view().audit(&AuditFilter::default(), 10).await.unwrap();
        let last = &page.entries[0];
        assert_eq!((last.action, last.subject.as_deref()), (Action::KeyIssue, Some(key.id.to_string().as_str())));
        assert_eq!((last.revision, last.user, last.outcome), (Some(1), Some(fixture.actor.user), Outcome::Done));
        assert_eq!((&last.before, last.after.as_ref().unwrap()["name"].as_str()), (&None, Some("k")));
        let actions = page.entries.iter().rev().map(|entry| entry.action).collect::<Vec<_>>();
        assert_eq!(actions, [Action::BootstrapCreate, Action::OrganizationCreate, Action::KeyIssue]);
        let said = format!("{page:?}");
        assert!(!said.contains(&key.digest.to_string()), "no digest in the audit");
    }

    async fn nothing_is_called_by_a_name_with_a_nul(fixture: &Fixture) {
        let mut read = fixture.store.read().await.unwrap();
        assert_eq!(read.view().api_named("a\0").await.unwrap(), None);
        assert_eq!(read.view().organization_named("a\0").await.unwrap(), None);
    }

    async fn a_policy_and_who_is_held_to_it_are_told_by_snapshot_and_by_delta(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let rule = Rule { unit: Unit::Tokens, limit: 9, window_seconds: 60, burst: None, mode: Mode::Observe };
        let new = NewApi {
            name: name("echo"),
            access: Access::Dedicated(fixture.organization),
            route: Route { hosts: Vec::new(), path_prefix: Prefix::read("/v1").unwrap() },
            rate_limit: Some(RateLimit { per: Per::Organization, rules: vec![rule] }),
            price: None,
            count_tokens: true,
            forward_credential: false,
        };
        write.create_api(new).await.unwrap().unwrap();
        let new = NewKey { kind: ApiKind::Dedicated, rate_limit_enabled: true, ..fixture.new_key() };
        let key = write.issue_key(new, &fixture.secret()).await.unwrap();
        let until = Handover::Overlap(Timestamp::from_unix_ms(NOW_MS + 60_000));
        write.reissue_key(&key, None, until, &fixture.secret()).await.unwrap();
        write.commit().await.unwrap();
        let Delta::Page { body, .. } = fixture.store.delta(0, 1, &Serves::Everything).await.unwrap() else {
            panic!("too far");
        };
        let snapshot = fixture.store.snapshot(&Serves::Everything).await.unwrap();
        let expected = Policy {
            per: limit::Per::Organization,
            rules: vec![limit::Rule {
                unit: limit::Unit::Tokens,
                limit: 9,
                window_seconds: 60,
                burst: 9,
                mode: limit::Mode::Observe,
            }],
        };
        for told in [records(&body), records(&snapshot.pages[0])] {
            let [Record::Api(api), Record::Key(one), Record::Key(other)] = told.as_slice() else { panic!("{told:?}") };
            assert_eq!(api.rate_limit, Some(expected.clone()));
            // Both secrets of the key.
            assert_eq!((one.rate_limited, other.rate_limited), (true, true));
        }
    }

    async fn a_refusal_is_recorded_by_itself(fixture: &Fixture) {
        let refusal = Refusal { action: Action::KeyDelete, subject: Some("key_x"), status: 404 };
        fixture.store.audit_refusal(fixture.actor, refusal).await.unwrap();
        let mut read = fixture.store.read().await.unwrap();
        let filter = AuditFilter { refused: Some(true), ..AuditFilter::default() };
        let page = read.view().audit(&filter, 10).await.unwrap();
        let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
        assert_eq!((entry.action, entry.outcome), (Action::KeyDelete, Outcome::Refused(404)));
        assert_eq!(fixture.store.feed().news().revision, 0);
    }

    async fn the_bootstrap_token_is_rotated_and_an_old_one_can_come_back(fixture: &Fixture) {
        let set = async |text: &str| {
            let mut write = fixture.store.write(None).await.unwrap();
            let outcome = write.set_bootstrap_token(Digest::of(text.as_bytes())).await.unwrap();
            write.commit().await.unwrap();
            outcome
        };
        let opens = async |text: &str| {
            let mut read = fixture.store.read().await.unwrap();
            read.view().bearer(Digest::of(text.as_bytes()), write_now()).await.unwrap().filter(|bearer| bearer.live)
        };
        let first = opens("operator").await.unwrap();
        assert_eq!(set("operator").await, Bootstrap::Unchanged);
        assert_eq!(set("another").await, Bootstrap::Rotated);
        assert_eq!(opens("operator").await, None);
        assert_eq!(opens("another").await.unwrap().user, first.user, "the same user");
        assert_eq!(set("operator").await, Bootstrap::Rotated);
        assert_eq!(opens("operator").await, Some(first));
        assert_eq!(opens("another").await, None);
    }

    async fn two_processes_on_one_database_take_turns(fixture: &Fixture) {
        let others = [open(&fixture.location).await, open(&fixture.location).await];
        assert_eq!(others[0].epoch(), fixture.store.epoch());
        let issue = async |store: &Store| {
            let mut ids = Vec::new();
            for _ in 0..20 {
                let mut write = store.write(Some(fixture.actor)).await.unwrap();
                ids.push(fixture.issue(&mut write).await.id);
                write.commit().await.unwrap();
            }
            ids
        };
        let (a, b) = tokio::join!(issue(&others[0]), issue(&others[1]));
        let mut ids = a.into_iter().chain(b).collect::<Vec<_>>();
        ids.sort_unstable();
        ids.dedup();
        let snapshot = fixture.store.snapshot(&Serves::Everything).await.unwrap();
        assert_eq!((ids.len(), snapshot.keys, snapshot.at.revision), (40, 40, 40));
        fixture.store.refresh().await.unwrap();
        assert_eq!(fixture.store.feed().news().revision, 40, "the third process hears of it");
    }

    async fn what_is_not_committed_was_never_there(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let key = fixture.issue(&mut write).await;
        assert!(write.view().key(key.id).await.unwrap().is_some());
        drop(write);
        // The next write waits until the one that was dropped is rolled back.
        let mut write = fixture.write().await;
        assert_eq!(write.view().key(key.id).await.unwrap(), None);
        assert_eq!(write.view().head().await.unwrap().revision, 0);
    }

    async fn a_writer_that_waits_too_long_is_told_so_and_readers_go_on(fixture: &Fixture) {
        let holding = fixture.write().await;
        let options = StoreOptions {
            location: fixture.location.clone(),
            busy_timeout: Duration::from_millis(200),
            clock: Clock::from_fn(write_now),
            entropy: Entropy::system(),
        };
        // Opening migrates, and so waits for the lock as well: it is opened by someone who has the time.
        drop(holding);
        let hasty = Store::open(&options).await.unwrap();
        let holding = fixture.write().await;
        let refused = hasty.write(None).await.map(|_| ()).unwrap_err();
        assert!(refused.is_passing(), "{refused}");
        hasty.ping().await.unwrap();
        drop(holding);
        hasty.write(None).await.unwrap().commit().await.unwrap();
    }

    async fn another_life_is_another_epoch_for_whoever_opens_it(fixture: &Fixture) {
        let epoch = fixture.store.begin_epoch().await.unwrap();
        assert_ne!(epoch, fixture.store.epoch());
        assert_eq!(open(&fixture.location).await.epoch(), epoch);
    }

    async fn secrets_are_recognized_whatever_has_become_of_them(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let secrets = [fixture.secret(), fixture.secret(), fixture.secret(), fixture.secret()];
        let mut key = write.issue_key(fixture.new_key(), &secrets[0]).await.unwrap();
        let until = Timestamp::from_unix_ms(NOW_MS + 60_000);
        for (secret, handover) in
            [(&secrets[1], Handover::AtOnce), (&secrets[2], Handover::Overlap(until)), (&secrets[3], Handover::Retry)]
        {
            key = write.reissue_key(&key, None, handover, secret).await.unwrap();
        }
        let mut live = Vec::new();
        for secret in &secrets {
            let Some(Found::Key(found, alive)) = write.view().secret(secret.digest()).await.unwrap() else {
                panic!("a secret is forgotten");
            };
            assert_eq!(found.id, key.id);
            live.push(alive);
        }
        // The second works on until the overlap ends; the third was lost on its way.
        assert_eq!(live, [false, true, false, true]);
        assert!(write.view().secret(fixture.secret().digest()).await.unwrap().is_none());
        write.revoke_key(&key, Action::KeyDelete).await.unwrap();
        let found = write.view().secret(secrets[1].digest()).await.unwrap();
        assert!(matches!(found, Some(Found::Key(_, false))));
    }

    async fn every_order_lists_every_key_once_whatever_the_size_of_a_page(fixture: &Fixture) {
        let mut write = fixture.write().await;
        for number in 0..23_u64 {
            let new = NewKey {
                name: name(["b", "A", "a_", "%"][number as usize % 4]),
                expires_at: (number % 3 > 0).then(|| Timestamp::from_unix_ms(NOW_MS + number % 5)),
                ..fixture.new_key()
            };
            write.issue_key(new, &fixture.secret()).await.unwrap();
        }
        let orders = [KeySort::Issued, KeySort::Name, KeySort::Expiry, KeySort::LastUse];
        for (sort, descending) in orders.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let mut seen = Vec::new();
            let mut order = KeyOrder { sort, descending, after: None, limit: 4 };
            loop {
                let page = write.view().keys(&all_keys(None), &order, write_now()).await.unwrap();
                seen.extend(page.keys);
                let Some(next) = page.next else { break };
                order.after = Some(next);
            }
            let value = |key: &Key| match sort {
                KeySort::Issued | KeySort::LastUse => (String::new(), 0, key.id),
                KeySort::Name => (key.search_text(), 0, key.id),
                KeySort::Expiry => (String::new(), key.expires_at.map_or(u64::MAX, Timestamp::unix_ms), key.id),
            };
            if descending {
                seen.reverse();
            }
            assert!(seen.is_sorted_by(|a, b| value(a) < value(b)), "{sort:?}");
            assert_eq!(seen.len(), 23);
        }
    }

    async fn a_search_means_what_it_says_however_short_it_is(fixture: &Fixture) {
        let mut write = fixture.write().await;
        for text in ["Über-Schlüssel", "100% \\ \"quoted\" _x_", "배치 작업", "aab"] {
            let new = NewKey { name: name(text), ..fixture.new_key() };
            write.issue_key(new, &fixture.secret()).await.unwrap();
        }
        let cases = [
            ("ü", "Über-Schlüssel"),
            ("ÜBER", "Über-Schlüssel"),
            ("schlüss", "Über-Schlüssel"),
            ("% \\ \"", "100% \\ \"quoted\" _x_"),
            ("_x_", "100% \\ \"quoted\" _x_"),
            ("\\", "100% \\ \"quoted\" _x_"),
            ("작업", "배치 작업"),
            ("배치 작", "배치 작업"),
            ("aab", "aab"),
        ];
        for (text, expected) in cases {
            let order = KeyOrder { sort: KeySort::Issued, descending: true, after: None, limit: 10 };
            let found = write.view().keys(&all_keys(Some(text)), &order, write_now()).await.unwrap();
            let names = found.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>();
            assert_eq!(names, [expected], "{text}");
        }
    }

    async fn a_walk_that_ends_early_says_where_and_goes_on_there(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let rare = NewKey { name: name("z%"), ..fixture.new_key() };
        let rare = write.issue_key(rare, &fixture.secret()).await.unwrap();
        write.commit().await.unwrap();
        fixture.issue_many(6_000).await;
        let mut read = fixture.store.read().await.unwrap();
        let mut order = KeyOrder { sort: KeySort::Name, descending: false, after: None, limit: 10 };
        // Every name but one sorts before it, so the first page finds nothing and has a next one.
        let first = read.view().keys(&all_keys(Some("z%")), &order, write_now()).await.unwrap();
        assert!(first.keys.is_empty());
        order.after = first.next;
        assert!(order.after.is_some());
        let second = read.view().keys(&all_keys(Some("z%")), &order, write_now()).await.unwrap();
        assert_eq!(second.keys.iter().map(|key| key.id).collect::<Vec<_>>(), [rare.id]);
        assert_eq!(second.next, None);
    }
}

fn all_keys(search: Option<&str>) -> KeyFilter {
    KeyFilter {
        sight: crate::domain::authority::Sight::Everything,
        kind: None,
        status: None,
        organization: None,
        created_by: None,
        search: search.map(str::to_owned),
    }
}
