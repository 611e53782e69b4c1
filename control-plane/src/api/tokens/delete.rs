//! `DELETE /v1/tokens/{id}`: revoke an access token, for good. For a session, that is to sign out.
//!
//! The bootstrap token can be deleted as well. If `PORTCULLIS_BOOTSTRAP_TOKEN` is set, the next start brings it back.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Token as TokenMark;

use super::{TokenView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};
use crate::domain::audit::Action;

/// Deletes an access token: it opens nothing any more. Deleting it again changes nothing.
///
/// A bootstrap token that is deleted comes back with the next start if PORTCULLIS_BOOTSTRAP_TOKEN still holds it.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, body = TokenView, description = "The token, revoked"), Always, NotFound)
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<TokenMark>,
) -> Result<Json<TokenView>, OneError> {
    let mut write = app.store.write(Some(actor)).await?;
    let (mut token, organization) = handled(&mut write.view(), id, actor).await?;
    let now = write.now();
    if token.revoked_at.is_none() {
        token = write.revoke_token(&token, organization, Action::TokenDelete).await?;
        write.commit().await?;
    }
    Ok(Json(TokenView::new(token, now)))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, Person};
    use crate::domain::user::RoleName;

    async fn path_of(harness: &Harness, person: &Person) -> String {
        let listed = harness.call("GET", "/v1/tokens").by(person).send().await.expect(200);
        let own =
            listed["items"].as_array().unwrap().iter().find(|item| item["user_name"] == person.user.name.as_str());
        format!("/v1/tokens/{}", own.unwrap()["id"].as_str().unwrap())
    }

    #[tokio::test]
    async fn a_deleted_token_opens_nothing_and_deleting_it_again_changes_nothing() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let path = path_of(&harness, &ada).await;
        let deleted = harness.call("DELETE", &path).by(&ada).send().await.expect(200);
        assert_eq!(deleted["status"], "revoked");
        harness.call("GET", "/v1/keys").by(&ada).send().await.expect(401);
        assert_eq!(harness.delete(&path).await.expect(200), deleted);
        assert_eq!(harness.get(&path).await.expect(200), deleted);
        harness.assert_guarded("DELETE", &path).await;
    }

    #[tokio::test]
    async fn nobody_deletes_what_they_may_not_see() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let bob = harness.person("bob", RoleName::Member).await;
        let admin = harness.person("admin", RoleName::Admin).await;
        let root = harness.person("root", RoleName::Operator).await;
        let before = harness.fingerprint().await;
        harness.call("DELETE", &path_of(&harness, &bob).await).by(&ada).send().await.expect(404);
        harness.call("DELETE", &path_of(&harness, &root).await).by(&admin).send().await.expect(404);
        harness.delete("/v1/tokens/tok_0000000000000").await.expect(404);
        assert_eq!(harness.fingerprint().await, before);
        harness.call("DELETE", &path_of(&harness, &ada).await).by(&admin).send().await.expect(200);
    }
}
