//! `DELETE /v1/users/{id}`: delete a user. Their tokens open nothing any more; their keys are the organization's, and
//! go on unless they are to be revoked as well.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use portcullis_core::id::User as UserMark;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{LAST_OPERATOR, UserView, seen};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{PathId, QueryOf};
use crate::api::propagation::{Wait, Written};
use crate::api::refusals::{Always, BadQuery, Conflict, Forbidden, NotFound, WriteError};
use crate::domain::audit::Action;
use crate::domain::user::RoleName;

/// What goes with the user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeleteQuery {
    /// Whether every key that they issued is revoked as well.
    #[serde(default)]
    #[param(value_type = bool, required = false)]
    revoke_keys: bool,
    /// How long to wait until every worker has applied that, in milliseconds.
    #[serde(default)]
    #[param(value_type = u32, required = false, minimum = 0, maximum = 30_000, default = 2_000)]
    wait_ms: Wait,
}

/// Deletes a user and revokes their access tokens. The keys that they issued go on, unless `revoke_keys` is true.
#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The user's id"), DeleteQuery),
    responses(
        (status = 200, body = Written<UserView>, description = "The user as they were"),
        Always, Forbidden, NotFound, BadQuery, Conflict,
    )
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<UserMark>,
    QueryOf(query): QueryOf<DeleteQuery>,
) -> Result<Json<Written<UserView>>, WriteError> {
    let mut write = app.store.write(Some(actor)).await?;
    let user = seen(&mut write.view(), id, actor).await?;
    actor.manages_user(&user).map_err(WriteError::denied("user"))?;
    if user.role.name() == RoleName::Operator && !write.view().has_other_operator(id).await? {
        return Err(WriteError::Conflict(LAST_OPERATOR.to_owned()));
    }
    if query.revoke_keys {
        for key in write.view().live_keys_of(id).await? {
            write.revoke_key(&key, Action::KeyDelete).await?;
        }
    }
    write.delete_user(&user).await?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(Json(Written::new(user.into(), propagation)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Harness, Person, text};
    use crate::domain::audit::Action;
    use crate::domain::user::RoleName;
    use crate::storage::AuditFilter;

    async fn issue(harness: &Harness, person: &Person, name: &str) -> String {
        let body = json!({"kind": "serverless", "name": name});
        let key = harness.call("POST", "/v1/keys").by(person).json(&body).send().await.expect(201);
        format!("/v1/keys/{}", text(&key, "id"))
    }

    #[tokio::test]
    async fn a_deleted_user_is_out_at_once_and_their_keys_go_on() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let key = issue(&harness, &ada, "k").await;
        let (path, revision) = (format!("/v1/users/{}", ada.user.id), harness.revision());
        assert_eq!(harness.delete(&path).await.expect(200)["name"], "ada");
        harness.call("GET", "/v1/keys").by(&ada).send().await.expect(401);
        assert_eq!(harness.get(&key).await.expect(200)["status"], "active");
        assert_eq!(harness.revision(), revision);
        harness.get(&path).await.expect(404);
        harness.delete(&path).await.expect(404);
        harness.person("ada", RoleName::Member).await;
    }

    #[tokio::test]
    async fn their_keys_are_revoked_with_them_on_demand_in_one_revision() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let keys = [issue(&harness, &ada, "a").await, issue(&harness, &ada, "b").await];
        let others = harness.issue("k").await;
        let revision = harness.revision();
        harness.delete(&format!("/v1/users/{}?revoke_keys=true", ada.user.id)).await.expect(200);
        for key in keys {
            assert_eq!(harness.get(&key).await.expect(200)["status"], "revoked");
        }
        assert_eq!(harness.get(&format!("/v1/keys/{}", text(&others, "id"))).await.expect(200)["status"], "active");
        assert_eq!(harness.revision(), revision + 1);
        let audit = harness.store.read().await.unwrap().view().audit(&AuditFilter::default(), 3).await.unwrap();
        let actions: Vec<_> = audit.entries.iter().map(|entry| entry.action).collect();
        assert_eq!(actions, [Action::UserDelete, Action::KeyDelete, Action::KeyDelete]);
    }

    #[tokio::test]
    async fn the_last_operator_stays_and_others_delete_whom_they_manage() {
        let harness = Harness::furnished().await;
        let operator = harness.get("/v1/users").await.expect(200)["items"][0].clone();
        let operator = format!("/v1/users/{}", text(&operator, "id"));
        let admin = harness.person("admin", RoleName::Admin).await;
        let ada = harness.person("ada", RoleName::Member).await;
        let bob = harness.person("bob", RoleName::Member).await;
        let before = harness.fingerprint().await;
        harness.delete(&operator).await.expect(409);
        harness.call("DELETE", &operator).by(&admin).send().await.expect(404);
        let path = |person: &Person| format!("/v1/users/{}", person.user.id);
        harness.call("DELETE", &path(&ada)).by(&ada).send().await.expect(403);
        harness.call("DELETE", &path(&bob)).by(&ada).send().await.expect(404);
        harness.delete(&format!("{}?revoke_keys=perhaps", path(&ada))).await.expect(400);
        harness.assert_guarded("DELETE", &path(&ada)).await;
        assert_eq!(harness.fingerprint().await, before);
        harness.call("DELETE", &path(&ada)).by(&admin).send().await.expect(200);
        let root = harness.person("root", RoleName::Operator).await;
        harness.call("DELETE", &operator).by(&root).send().await.expect(200);
    }
}
