//! `DELETE /v1/gateways/{id}`: delete a gateway. Its token opens nothing any more, and its open polls end.
//!
//! Its workers may go on with what they have, so receipts wait for them as for others, until they have been silent for
//! long enough or an operator says that they are gone.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Gateway as GatewayMark;

use super::{GatewayView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// Deletes a gateway. Its Envoys go on with the keys they have, and learn nothing new.
#[utoipa::path(
    delete, path = "/v1/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, description = "The gateway's id")),
    responses((status = 200, body = GatewayView, description = "The gateway as it was"), Always, NotFound)
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<GatewayMark>,
) -> Result<Json<GatewayView>, OneError> {
    let mut write = app.store.write(Some(actor)).await?;
    let gateway = handled(&mut write.view(), id, actor).await?;
    write.delete_gateway(&gateway).await?;
    write.commit().await?;
    Ok(Json(GatewayView::new(gateway, app.fleet.of(id), app.fleet.head())))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::digest::Digest;
    use serde_json::json;

    #[tokio::test]
    async fn the_token_of_a_deleted_gateway_is_nobodys() {
        let harness = Harness::new().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let token = Digest::of(text(&gateway, "token").as_bytes());
        let mut read = harness.store.read().await.unwrap();
        assert!(read.view().gateway_of_token(token).await.unwrap().is_some());
        let (path, before) = (format!("/v1/gateways/{}", text(&gateway, "id")), harness.store.feed().news());
        harness.delete(&path).await.expect(200);
        assert!(read.view().gateway_of_token(token).await.unwrap().is_none());
        assert_eq!(harness.store.feed().news().gateway_changes, before.gateway_changes + 1);
        harness.delete(&path).await.expect(404);
        harness.assert_guarded("DELETE", &path).await;
    }
}
