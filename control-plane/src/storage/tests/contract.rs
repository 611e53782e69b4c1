//! What both databases must do alike, besides the laws of the change log.

use super::*;
use crate::domain::audit::{Action, Outcome, Refusal};
use crate::domain::authority::Sight;
use crate::domain::user::{Role, User};

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
        let snapshot = fixture.store.snapshot(&crate::domain::gateway::Serves::Everything).await.unwrap();
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

    async fn a_bootstrap_token_is_an_operators_whatever_has_become_of_its_user(fixture: &Fixture) {
        let digest = Digest::of(b"operator");
        let set = async |text: &str| {
            let mut write = fixture.store.write(None).await.unwrap();
            let outcome = write.set_bootstrap_token(Digest::of(text.as_bytes())).await.unwrap();
            write.commit().await.unwrap();
            outcome
        };
        let bearer = async || {
            fixture.store.read().await.unwrap().view().bearer(digest, write_now()).await.unwrap().unwrap()
        };
        let mut write = fixture.store.write(None).await.unwrap();
        let first = write.view().user(fixture.actor.user).await.unwrap().unwrap();
        write.delete_user(&first).await.unwrap();
        write.commit().await.unwrap();
        assert!(!bearer().await.live);
        assert_eq!(set("operator").await, Bootstrap::Created);
        let second = bearer().await;
        assert!(second.live && second.user != first.id);
        // A user who is demoted, and keeps the name.
        let mut write = fixture.store.write(None).await.unwrap();
        let before = write.view().user(second.user).await.unwrap().unwrap();
        let after = User { role: Role::Admin(fixture.organization), ..before.clone() };
        write.change_user(&before, after, None).await.unwrap().unwrap();
        write.commit().await.unwrap();
        assert_eq!(bearer().await.role, Role::Admin(fixture.organization));
        assert_eq!(set("operator").await, Bootstrap::Rotated);
        let third = bearer().await;
        assert!(third.live && third.user != second.user && third.role == Role::Operator);
        // One who is called something else has it still.
        let mut write = fixture.store.write(None).await.unwrap();
        let before = write.view().user(third.user).await.unwrap().unwrap();
        write.change_user(&before, User { name: name("root"), ..before.clone() }, None).await.unwrap().unwrap();
        write.commit().await.unwrap();
        assert_eq!((set("operator").await, set("another").await), (Bootstrap::Unchanged, Bootstrap::Rotated));
        assert_eq!(set("operator").await, Bootstrap::Rotated);
        assert_eq!(bearer().await, third);
    }

    async fn a_session_is_its_users_and_a_failed_sign_in_is_nobodys(fixture: &Fixture) {
        let origin = Some("192.0.2.7".parse().unwrap());
        let mut write = fixture.store.write(None).await.unwrap();
        let new = NewUser { name: name("ada"), role: Role::Member(fixture.organization), password_hash: None };
        let ada = write.create_user(new).await.unwrap().unwrap();
        let new = NewToken { name: Name::session(), expires_at: Some(Timestamp::from_unix_ms(NOW_MS + 1)) };
        let token = write.create_session(&ada, new, &fixture.secret(), origin).await.unwrap();
        write.commit().await.unwrap();
        fixture.store.audit_failed_sign_in(&ada, origin).await.unwrap();
        let mut read = fixture.store.read().await.unwrap();
        let filter = AuditFilter { action: Some(Action::SessionCreate), ..AuditFilter::default() };
        let page = read.view().audit(&filter, 10).await.unwrap();
        let [failed, done] = page.entries.as_slice() else { panic!("{page:?}") };
        assert_eq!((failed.user, failed.token, failed.outcome), (None, None, Outcome::Refused(401)));
        assert_eq!((failed.subject.as_deref(), failed.origin), (Some(ada.id.to_string().as_str()), origin));
        assert_eq!((done.user, done.token, done.outcome), (Some(ada.id), Some(token.id), Outcome::Done));
        assert_eq!((done.origin, done.organization), (origin, Some(fixture.organization)));
        assert_eq!(failed.organization, Some(fixture.organization));
    }

    async fn a_token_is_listed_until_a_week_after_its_end(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let owner = write.view().user(fixture.actor.user).await.unwrap().unwrap();
        let end = Timestamp::from_unix_ms(NOW_MS + 1_000);
        let new = NewToken { name: name("ci"), expires_at: Some(end) };
        let made = write.create_token(&owner, new, &fixture.secret()).await.unwrap();
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        for (now, count) in [(end, 2), (end.after(week - Duration::from_millis(1)), 2), (end.after(week), 1)] {
            let listed = write.view().tokens(Sight::Everything, now).await.unwrap();
            assert_eq!(listed.len(), count, "{now}");
            assert_eq!(listed[0].user_name, owner.name);
        }
        let other = fixture.secret();
        let after = write.replace_token_secret(&made, Some(fixture.organization), &other).await.unwrap();
        assert_eq!((after.id, after.digest), (made.id, other.digest()));
        assert!(write.view().bearer(made.digest, write_now()).await.unwrap().is_none());
        let page = write.view().audit(&AuditFilter::default(), 1).await.unwrap();
        assert_eq!(page.entries[0].organization, Some(fixture.organization));
    }
}
