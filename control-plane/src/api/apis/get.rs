//! `GET /v1/apis/{id}`: one API.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::Api as ApiMark;

use super::ApiView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound};
use crate::problem::Problem;
use crate::storage::StorageError;

/// Why no API is shown.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// There is none with this id.
    #[error("there is no such API")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for GetError {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown => Problem::not_found("API"),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// One API.
#[utoipa::path(
    get, path = "/v1/apis/{id}", tag = "apis",
    params(("id" = String, Path, description = "The API's id")),
    responses((status = 200, body = ApiView, description = "It"), Always, NotFound)
)]
pub async fn get(State(app): State<App>, _: Caller, PathId(id): PathId<ApiMark>) -> Result<Json<ApiView>, GetError> {
    let api = app.store.read().await?.view().api(id).await?;
    Ok(Json(api.ok_or(GetError::Unknown)?.into()))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;

    #[tokio::test]
    async fn an_unknown_api_is_not_found() {
        let harness = Harness::new().await;
        harness.get("/v1/apis/api_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/apis/api_0000000000000").await;
    }
}
