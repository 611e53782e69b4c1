//! `GET /v1/apis`: every API, oldest first.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::refusals::Always;
use crate::problem::Problem;

/// Every API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiList {
    items: Vec<ApiView>,
}

/// Every API that the caller sees, oldest first.
#[utoipa::path(
    get, path = "/v1/apis", tag = "apis",
    responses((status = 200, body = ApiList, description = "All of them"), Always)
)]
pub async fn list(State(app): State<App>, Caller(actor): Caller) -> Result<Json<ApiList>, Problem> {
    let apis = app.store.read().await?.view().apis().await?;
    let seen = apis.into_iter().filter(|api| actor.sees_api(api).is_ok());
    let items = seen.map(ApiView::from).collect();
    Ok(Json(ApiList { items }))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;

    #[tokio::test]
    async fn apis_are_listed() {
        let harness = Harness::furnished().await;
        let listed = harness.get("/v1/apis").await.expect(200);
        let mut names = listed["items"].as_array().unwrap().iter().map(|api| &api["name"]).collect::<Vec<_>>();
        names.sort_by_key(|name| name.to_string());
        assert_eq!(names, ["echo", "private-echo"]);
        harness.assert_guarded("GET", "/v1/apis").await;
    }
}
