//! `POST /v1/gateways/{id}/reissue`: another token for a gateway.
//!
//! The old token opens nothing any more, so its workers hear nothing new until they are given this one; they go on with
//! the keys that they have.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::Gateway as GatewayMark;
use portcullis_core::key::Kind;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GatewayView, IssuedGateway, handled};
use crate::api::caller::Caller;
use crate::api::extract::{MaybeJsonBody, PathId};
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::refusals::{Always, BadBody, Conflict, NotFound, WriteError};
use crate::api::{App, created};

/// Nothing can be said so far. It may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct ReissueGateway {}

/// Gives a gateway another token. The old one is dead at once.
#[utoipa::path(
    post, path = "/v1/gateways/{id}/reissue", tag = "gateways", request_body = Option<ReissueGateway>,
    params(("id" = String, Path, description = "The gateway's id"), IdempotencyHeader),
    responses(
        (status = 201, body = IssuedGateway, description = "The gateway with its new token",
         headers(("Location" = String, description = "Where the gateway is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, NotFound, BadBody, Conflict,
    )
)]
pub async fn reissue(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<GatewayMark>,
    idempotency: Idempotency,
    body: MaybeJsonBody<ReissueGateway>,
) -> Result<Response, WriteError> {
    let token = app.store.entropy().key(&app.brand, Kind::Gateway)?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = handled(&mut write.view(), id, actor).await?;
    let earlier = idempotency.earlier::<GatewayMark>(&mut write, actor, body.digest).await?;
    if let Some(earlier) = &earlier {
        earlier.check(before.digest)?;
    }
    let gateway = write.reissue_gateway(&before, &token).await?;
    idempotency.remember(&mut write, actor, body.digest, id, Some(gateway.digest)).await?;
    write.commit().await?;
    let place = format!("/v1/gateways/{id}");
    let view = GatewayView::new(gateway, app.fleet.of(id), app.fleet.head());
    let response = created(place, IssuedGateway { token, view });
    Ok(if earlier.is_some() { replayed(response) } else { response })
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::digest::Digest;
    use serde_json::json;

    #[tokio::test]
    async fn the_old_token_is_dead_and_the_new_one_opens_the_same_gateway() {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let path = format!("/v1/gateways/{}/reissue", text(&gateway, "id"));
        let again = harness.post(&path, json!({})).await.expect(201);
        let opens = async |answer: &serde_json::Value| {
            let digest = Digest::of(text(answer, "token").as_bytes());
            harness.store.read().await.unwrap().view().gateway_of_token(digest).await.unwrap()
        };
        assert!(opens(&gateway).await.is_none());
        assert_eq!(opens(&again).await.unwrap().id.to_string(), text(&gateway, "id"));
        harness.post("/v1/gateways/gtw_0000000000000/reissue", json!({})).await.expect(404);
        harness.assert_guarded("POST", &path).await;
    }
}
