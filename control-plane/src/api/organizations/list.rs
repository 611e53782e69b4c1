//! `GET /v1/organizations`: every organization, oldest first.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::OrganizationView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::refusals::Always;
use crate::problem::Problem;

/// Every organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationList {
    items: Vec<OrganizationView>,
}

/// Every organization for an operator, their own for everyone else; oldest first.
#[utoipa::path(
    get, path = "/v1/organizations", tag = "organizations",
    responses((status = 200, body = OrganizationList, description = "All of them"), Always)
)]
pub async fn list(State(app): State<App>, Caller(actor): Caller) -> Result<Json<OrganizationList>, Problem> {
    let organizations = app.store.read().await?.view().organizations().await?;
    let seen = organizations.into_iter().filter(|organization| actor.sees_organization(organization.id).is_ok());
    let items = seen.map(OrganizationView::from).collect();
    Ok(Json(OrganizationList { items }))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;
    use std::time::Duration;

    #[tokio::test]
    async fn organizations_are_listed_oldest_first() {
        let harness = Harness::new().await;
        for name in ["b", "a"] {
            harness.advance(Duration::from_millis(1));
            harness.post("/v1/organizations", json!({"name": name})).await.expect(201);
        }
        let listed = harness.get("/v1/organizations").await.expect(200);
        let names = listed["items"].as_array().unwrap().iter().map(|item| text(item, "name"));
        assert_eq!(names.collect::<Vec<_>>(), ["b", "a"]);
        harness.assert_guarded("GET", "/v1/organizations").await;
    }
}
