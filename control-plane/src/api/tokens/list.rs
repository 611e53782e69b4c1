//! `GET /v1/tokens`: the access tokens that the caller sees, newest first.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::TokenView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::refusals::Always;
use crate::problem::Problem;

/// Access tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    items: Vec<TokenView>,
}

/// Access tokens: all of them for an operator, the organization's for an admin, their own for a member; newest first.
/// Those that were revoked, or ended a week ago, are left out.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = TokenList, description = "All that the caller sees"), Always)
)]
pub async fn list(State(app): State<App>, Caller(actor): Caller) -> Result<Json<TokenList>, Problem> {
    let now = app.store.clock().now();
    let tokens = app.store.read().await?.view().tokens(actor.sight(), now).await?;
    let items = tokens.into_iter().map(|token| TokenView::new(token, now)).collect();
    Ok(Json(TokenList { items }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Harness, Person, text};
    use crate::domain::user::RoleName;

    #[tokio::test]
    async fn everyone_lists_the_tokens_that_they_may_revoke() {
        let harness = Harness::furnished().await;
        harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let admin = harness.person("admin", RoleName::Admin).await;
        let ada = harness.person("ada", RoleName::Member).await;
        let stranger = harness.person_of("stranger", RoleName::Admin, "other").await;
        let root = harness.person("root", RoleName::Operator).await;
        let list = async |person: &Person| {
            let listed = harness.call("GET", "/v1/tokens").by(person).send().await.expect(200);
            let mut names: Vec<_> =
                listed["items"].as_array().unwrap().iter().map(|item| text(item, "user_name").to_owned()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(list(&root).await, "ada admin operator root stranger");
        assert_eq!(list(&admin).await, "ada admin");
        assert_eq!(list(&stranger).await, "stranger");
        assert_eq!(list(&ada).await, "ada");
        harness.assert_guarded("GET", "/v1/tokens").await;
    }
}
