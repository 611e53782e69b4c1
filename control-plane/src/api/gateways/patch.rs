//! `PATCH /v1/gateways/{id}`: rename a gateway, or say which APIs it serves (RFC 7396).
//!
//! When its APIs change, its workers start over from a snapshot of what concerns them now. Until that is in they go on
//! with what they have.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Gateway as GatewayMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GatewayView, TAKEN, handled, resolve};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, PathId};
use crate::api::refusals::{Always, BadBody, Conflict, NotFound, WriteError};
use crate::domain::fault::Faults;
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::name::Name;

/// What to change. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchGateway {
    /// A new name.
    #[schema(min_length = 1, max_length = 100, example = "edge")]
    name: Option<String>,
    /// Ids or names of the APIs that it serves from now on; null for all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 1_000)]
    apis: Field<Vec<String>>,
}

/// Changes a gateway. Its token stays.
#[utoipa::path(
    patch, path = "/v1/gateways/{id}", tag = "gateways", request_body = PatchGateway,
    params(("id" = String, Path, description = "The gateway's id")),
    responses(
        (status = 200, body = GatewayView, description = "The gateway as it is now"),
        Always, NotFound, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<GatewayMark>,
    body: JsonBody<PatchGateway>,
) -> Result<Json<GatewayView>, WriteError> {
    let name = body.value.name.as_deref().map(Name::parse).transpose();
    let name = name.map_err(|error| Faults::one("/name", error))?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = handled(&mut write.view(), id, actor).await?;
    let serves = match &body.value.apis {
        Field::Absent => before.serves.clone(),
        Field::Null => Serves::Everything,
        Field::Value(references) => resolve(&mut write.view(), references).await??,
    };
    let after = Gateway { name: name.unwrap_or_else(|| before.name.clone()), serves, ..before.clone() };
    let after = write.change_gateway(&before, after).await?;
    let after = after.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    let head = write.view().head().await?;
    write.commit().await?;
    let workers = app.fleet.of(id, app.store.clock().now());
    Ok(Json(GatewayView::new(after, workers, head)))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_gateway_is_renamed_and_given_apis_and_filters_hear_of_the_latter_only() {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let path = format!("/v1/gateways/{}", text(&gateway, "id"));
        let before = harness.revision();
        assert_eq!(harness.patch(&path, json!({"name": "inner"})).await.expect(200)["name"], "inner");
        assert_eq!(harness.revision(), before);
        let given = harness.patch(&path, json!({"apis": ["echo", "echo"]})).await.expect(200);
        assert_eq!(given["apis"].as_array().unwrap().len(), 1);
        assert_eq!(harness.revision(), before + 1);
        assert_eq!(harness.patch(&path, json!({"apis": []})).await.expect(200)["apis"], json!([]));
        assert_eq!(harness.patch(&path, json!({"apis": null})).await.expect(200)["apis"], Value::Null);
        assert_eq!(harness.get(&path).await.expect(200)["name"], "inner");
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_and_changes_nothing() {
        let harness = Harness::furnished().await;
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let gateway = harness.post("/v1/gateways", json!({"name": "other"})).await.expect(201);
        let path = format!("/v1/gateways/{}", text(&gateway, "id"));
        let before = harness.fingerprint().await;
        harness.patch(&path, json!({"name": "edge"})).await.expect(409);
        assert_eq!(harness.patch(&path, json!({"name": ""})).await.pointers(), ["/name"]);
        assert_eq!(harness.patch(&path, json!({"apis": ["echo", "none"]})).await.pointers(), ["/apis/1"]);
        harness.patch("/v1/gateways/gtw_0000000000000", json!({})).await.expect(404);
        harness.assert_guarded("PATCH", &path).await;
        assert_eq!(harness.fingerprint().await, before);
    }
}
