//! What both databases must do alike for people and their tokens.

use super::*;
use crate::domain::audit::{Action, Outcome};
use crate::domain::authority::Sight;
use crate::domain::user::{Role, User};

on_both! {
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
