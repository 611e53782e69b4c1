//! `GET /v1/organizations/{id}`: one organization.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Organization as OrganizationMark;

use super::OrganizationView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One organization.
#[utoipa::path(
    get, path = "/v1/organizations/{id}", tag = "organizations",
    params(("id" = String, Path, description = "The organization's id")),
    responses((status = 200, body = OrganizationView, description = "It"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<OrganizationMark>,
) -> Result<Json<OrganizationView>, OneError> {
    let organization = app.store.read().await?.view().organization(id).await?;
    let organization = organization.ok_or(OneError::Unknown("organization"))?;
    actor.sees_organization(id).map_err(|denied| OneError::Denied(denied, "organization"))?;
    Ok(Json(organization.into()))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;

    #[tokio::test]
    async fn an_unknown_organization_is_not_found() {
        let harness = Harness::new().await;
        harness.get("/v1/organizations/org_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/organizations/org_0000000000000").await;
    }
}
