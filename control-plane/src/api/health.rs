//! `GET /healthz`: whether the control plane serves. No token needed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::problem::Problem;

/// The control plane serves.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the control plane and its database answer.
#[utoipa::path(
    get, path = "/healthz", tag = "health", security(()),
    responses(
        (status = 200, body = Health, description = "It serves"),
        (status = 503, body = Problem, content_type = "application/problem+json",
         description = "The database does not answer"),
    )
)]
pub async fn health(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.store.ping().await?;
    Ok(Json(Health { status: "ok" }))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;
    use serde_json::json;

    #[tokio::test]
    async fn a_control_plane_with_its_database_is_healthy() {
        let harness = Harness::new().await;
        let answer = harness.call("GET", "/healthz").anonymous().send().await;
        assert_eq!((answer.status, answer.json), (200, json!({"status": "ok"})));
    }

    #[tokio::test]
    async fn without_its_database_it_is_not() {
        let harness = Harness::new().await;
        harness.store.close().await.unwrap();
        let answer = harness.call("GET", "/healthz").anonymous().send().await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers["retry-after"], "1");
    }
}
