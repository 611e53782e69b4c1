//! `GET /v1/organizations/{id}`: one organization.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::Organization as OrganizationMark;

use super::OrganizationView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound};
use crate::problem::Problem;
use crate::storage::StorageError;

/// Why no organization is shown.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// There is none with this id.
    #[error("there is no such organization")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for GetError {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown => Problem::not_found("organization"),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// One organization.
#[utoipa::path(
    get, path = "/v1/organizations/{id}", tag = "organizations",
    params(("id" = String, Path, description = "The organization's id")),
    responses((status = 200, body = OrganizationView, description = "It"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    _: Caller,
    PathId(id): PathId<OrganizationMark>,
) -> Result<Json<OrganizationView>, GetError> {
    let organization = app.store.read().await?.view().organization(id).await?;
    Ok(Json(organization.ok_or(GetError::Unknown)?.into()))
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
