//! `GET /v1/gateways`: every gateway with its workers, oldest first.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::GatewayView;
use crate::api::App;
use crate::api::caller::Operator;
use crate::api::refusals::{Always, Forbidden};
use crate::problem::Problem;

/// Every gateway.
#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayList {
    items: Vec<GatewayView>,
}

/// Every gateway with its workers, oldest first.
#[utoipa::path(
    get, path = "/v1/gateways", tag = "gateways",
    responses((status = 200, body = GatewayList, description = "All of them"), Always, Forbidden)
)]
pub async fn list(State(app): State<App>, _: Operator) -> Result<Json<GatewayList>, Problem> {
    let mut read = app.store.read().await?;
    let gateways = read.view().gateways().await?;
    let head = read.view().head().await?;
    let with_workers = |gateway: crate::domain::gateway::Gateway| {
        let workers = app.fleet.of(gateway.id);
        GatewayView::new(gateway, workers, head)
    };
    let items = gateways.into_iter().map(with_workers).collect();
    Ok(Json(GatewayList { items }))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;
    use serde_json::json;

    #[tokio::test]
    async fn gateways_are_listed_without_tokens() {
        let harness = Harness::new().await;
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let listed = harness.get("/v1/gateways").await.expect(200);
        assert_eq!(listed["items"][0]["name"], "edge");
        assert!(listed["items"][0].get("token").is_none());
        harness.assert_guarded("GET", "/v1/gateways").await;
    }
}
