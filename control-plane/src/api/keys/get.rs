//! `GET /v1/keys/{id}`: one key, without its secret.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Key as KeyMark;

use super::{KeyView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One key, revoked ones included.
#[utoipa::path(
    get, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, body = KeyView, description = "The key"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<KeyMark>,
) -> Result<Json<KeyView>, OneError> {
    let key = handled(&mut app.store.read().await?.view(), id, actor).await?;
    Ok(Json(KeyView::new(key, app.store.clock().now())))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use std::time::Duration;

    #[tokio::test]
    async fn a_key_is_shown_with_its_status_as_it_is_now() {
        let harness = Harness::furnished().await;
        let body = serde_json::json!({"kind": "serverless", "name": "k", "expires_at": "2027-01-01T00:00:01Z"});
        let key = harness.post("/v1/keys", body).await.expect(201);
        let path = format!("/v1/keys/{}", text(&key, "id"));
        assert_eq!(harness.get(&path).await.expect(200)["status"], "active");
        harness.advance(Duration::from_secs(1));
        let shown = harness.get(&path).await.expect(200);
        assert_eq!(shown["status"], "expired");
        assert!(shown.get("key").is_none());
    }

    #[tokio::test]
    async fn an_unknown_key_is_not_found() {
        let harness = Harness::new().await;
        harness.get("/v1/keys/key_0000000000000").await.expect(404);
        harness.get("/v1/keys/api_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/keys/key_0000000000000").await;
    }
}
