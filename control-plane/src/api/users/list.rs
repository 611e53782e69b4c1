//! `GET /v1/users`: the users that the caller sees, oldest first.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::UserView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::QueryOf;
use crate::api::organizations::seen_named;
use crate::api::refusals::{Always, BadQuery};
use crate::problem::Problem;

/// Which users to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only users of this organization, by id or name.
    organization: Option<String>,
}

/// Users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    items: Vec<UserView>,
}

/// Users: all of them for an operator, the organization's for an admin, themselves for a member; oldest first.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(ListQuery),
    responses((status = 200, body = UserList, description = "All that the caller sees"), Always, BadQuery)
)]
pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<UserList>, Problem> {
    let mut read = app.store.read().await?;
    let mut view = read.view();
    let within = match query.organization.as_deref() {
        Some(reference) => match seen_named(&mut view, actor, reference).await? {
            Some(found) => Some(found),
            // An organization that is not there has no users.
            None => return Ok(Json(UserList { items: Vec::new() })),
        },
        None => actor.role.organization(),
    };
    let users = view.users(within).await?;
    let items = users.into_iter().filter(|user| actor.sees_user(user).is_ok()).map(UserView::from).collect();
    Ok(Json(UserList { items }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Harness, Person, text};
    use crate::domain::user::RoleName;

    #[tokio::test]
    async fn everyone_lists_whom_they_may_see() {
        let harness = Harness::furnished().await;
        harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let admin = harness.person("admin", RoleName::Admin).await;
        let member = harness.person("member", RoleName::Member).await;
        let stranger = harness.person_of("stranger", RoleName::Admin, "other").await;
        let root = harness.person("root", RoleName::Operator).await;
        let list = async |person: &Person, query: &str| {
            let listed = harness.call("GET", &format!("/v1/users{query}")).by(person).send().await.expect(200);
            let mut names: Vec<_> =
                listed["items"].as_array().unwrap().iter().map(|item| text(item, "name").to_owned()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(list(&root, "").await, "admin member operator root stranger");
        assert_eq!(list(&root, "?organization=acme").await, "admin member");
        assert_eq!(list(&root, "?organization=nothing").await, "");
        assert_eq!(list(&admin, "").await, "admin member");
        assert_eq!(list(&admin, "?organization=other").await, "");
        assert_eq!(list(&stranger, "").await, "stranger");
        assert_eq!(list(&member, "?organization=acme").await, "member");
        harness.get("/v1/users?role=member").await.expect(400);
        harness.assert_guarded("GET", "/v1/users").await;
    }
}
