//! `POST /v1/gateways`: create a gateway. Its token is shown in this one answer.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::Gateway as GatewayMark;
use portcullis_core::key::{Kind, PlainKey};
use portcullis_core::wire::Cursor;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GatewayView, IssuedGateway, TAKEN, max_staleness_ms, resolve};
use crate::api::caller::Operator;
use crate::api::extract::JsonBody;
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::refusals::{Always, BadBody, Conflict, Forbidden, WriteError};
use crate::api::{App, created};
use crate::domain::fault::Faults;
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::name::Name;
use crate::storage::NewGateway;

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGateway {
    /// 1 to 100 characters, without control characters; no other gateway's name.
    #[schema(min_length = 1, max_length = 100, example = "edge")]
    name: String,
    /// Ids or names of the APIs that it serves: it is told of no others, and of no key that opens none of these. All,
    /// those to come included, if this is null or left out.
    #[schema(max_items = 1_000)]
    apis: Option<Vec<String>>,
    /// After this long without contact its workers refuse every request, so that it is certain when a change is
    /// enforced even where it cannot be delivered. They go on with what they know if this is null or left out.
    #[schema(minimum = 5, maximum = 86_400, example = 30)]
    max_staleness_seconds: Option<u32>,
}

/// Creates a gateway. Its token is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/gateways", tag = "gateways", request_body = CreateGateway,
    params(IdempotencyHeader),
    responses(
        (status = 201, body = IssuedGateway, description = "Created, with its token",
         headers(("Location" = String, description = "Where it is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, Forbidden, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Operator(actor): Operator,
    idempotency: Idempotency,
    body: JsonBody<CreateGateway>,
) -> Result<Response, WriteError> {
    let name = Name::parse(&body.value.name).map_err(|error| Faults::one("/name", error))?;
    let max_staleness_ms = body.value.max_staleness_seconds.map(max_staleness_ms).transpose()?;
    let token = app.store.entropy().key(&app.brand, Kind::Gateway)?;
    let mut write = app.store.write(Some(actor)).await?;
    let head = write.view().head().await?;
    if let Some(earlier) = idempotency.earlier::<GatewayMark>(&mut write, actor, body.digest).await? {
        let before = write.view().gateway(earlier.id).await?.ok_or(WriteError::Gone)?;
        earlier.check(before.digest)?;
        let gateway = write.reissue_gateway(&before, &token).await?;
        idempotency.remember(&mut write, actor, body.digest, gateway.id, Some(gateway.digest)).await?;
        write.commit().await?;
        return Ok(replayed(answer(gateway, token, head)));
    }
    let serves = match &body.value.apis {
        Some(references) => resolve(&mut write.view(), references).await??,
        None => Serves::Everything,
    };
    let gateway = write.create_gateway(NewGateway { name, serves, max_staleness_ms }, &token).await?;
    let gateway = gateway.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    idempotency.remember(&mut write, actor, body.digest, gateway.id, Some(gateway.digest)).await?;
    write.commit().await?;
    Ok(answer(gateway, token, head))
}

fn answer(gateway: Gateway, token: PlainKey, head: Cursor) -> Response {
    let place = format!("/v1/gateways/{}", gateway.id);
    created(place, IssuedGateway { token, view: GatewayView::new(gateway, Vec::new(), head) })
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::key::{Brand, Kind, parse};
    use serde_json::json;

    #[tokio::test]
    async fn a_gateway_is_created_and_its_token_shown_once() {
        let harness = Harness::new().await;
        let answer = harness.post("/v1/gateways", json!({"name": "edge"})).await;
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let mut created = answer.expect(201);
        assert_eq!(parse(&Brand::default(), text(&created, "token").as_bytes()), Ok(Kind::Gateway));
        created.as_object_mut().unwrap().remove("token");
        assert_eq!(harness.get(&location).await.expect(200), created);
        assert_eq!(harness.revision(), 0);
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_must_be_one() {
        let harness = Harness::new().await;
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(409);
        let unknown = json!({"name": "x", "apis": ["nothing"]});
        assert_eq!(harness.post("/v1/gateways", unknown).await.pointers(), ["/apis/0"]);
        assert_eq!(harness.post("/v1/gateways", json!({"name": ""})).await.pointers(), ["/name"]);
        for seconds in [json!(4), json!(86_401), json!(-1), json!("30")] {
            let refused = harness.post("/v1/gateways", json!({"name": "x", "max_staleness_seconds": seconds})).await;
            assert_eq!(refused.pointers(), ["/max_staleness_seconds"]);
        }
        assert_eq!(harness.post("/v1/gateways", json!({"name": "a", "token": "x"})).await.pointers(), ["/token"]);
        harness.assert_guarded("POST", "/v1/gateways").await;
    }
}
