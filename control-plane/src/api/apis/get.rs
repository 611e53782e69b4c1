//! `GET /v1/apis/{id}`: one API.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Api as ApiMark;

use super::ApiView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One API.
#[utoipa::path(
    get, path = "/v1/apis/{id}", tag = "apis",
    params(("id" = String, Path, description = "The API's id")),
    responses((status = 200, body = ApiView, description = "It"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<ApiMark>,
) -> Result<Json<ApiView>, OneError> {
    let api = app.store.read().await?.view().api(id).await?.ok_or(OneError::Unknown("API"))?;
    actor.sees_api(&api).map_err(|denied| OneError::Denied(denied, "API"))?;
    Ok(Json(api.into()))
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
