//! `PATCH /v1/gateways/{id}`: rename a gateway, say which APIs it serves or how stale its workers may be (RFC 7396).
//!
//! When its APIs change, its workers start over from a snapshot of what concerns them now. Until that is in they go on
//! with what they have.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Gateway as GatewayMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GatewayView, TAKEN, handled, max_staleness_ms, resolve};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, NotFound, WriteError};
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
    /// After this long without contact its workers refuse every request; null if they never do.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 5, maximum = 86_400)]
    max_staleness_seconds: Field<u32>,
}

/// Changes a gateway. Its token stays.
#[utoipa::path(
    patch, path = "/v1/gateways/{id}", tag = "gateways", request_body = PatchGateway,
    params(("id" = String, Path, description = "The gateway's id"), WaitQuery),
    responses(
        (status = 200, body = Written<GatewayView>, description = "The gateway as it is now"),
        Always, NotFound, BadQuery, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<GatewayMark>,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<PatchGateway>,
) -> Result<Json<Written<GatewayView>>, WriteError> {
    let name = body.value.name.as_deref().map(Name::parse).transpose();
    let name = name.map_err(|error| Faults::one("/name", error))?;
    let bound = body.value.max_staleness_seconds.try_map(max_staleness_ms)?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = handled(&mut write.view(), id, actor).await?;
    let serves = match &body.value.apis {
        Field::Absent => before.serves.clone(),
        Field::Null => Serves::Everything,
        Field::Value(references) => resolve(&mut write.view(), references).await??,
    };
    let max_staleness_ms = bound.or_keep(before.max_staleness_ms);
    let name = name.unwrap_or_else(|| before.name.clone());
    let after = Gateway { name, serves, max_staleness_ms, ..before.clone() };
    let after = write.change_gateway(&before, after).await?;
    let after = after.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    let view = GatewayView::new(after, app.fleet.of(id), app.fleet.head());
    Ok(Json(Written::new(view, propagation)))
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
    async fn filters_are_told_of_another_bound_on_staleness() {
        let harness = Harness::furnished().await;
        let gateway = json!({"name": "edge", "max_staleness_seconds": 30});
        let gateway = harness.post("/v1/gateways", gateway).await.expect(201);
        assert_eq!(gateway["max_staleness_seconds"], 30);
        let (path, before) = (format!("/v1/gateways/{}", text(&gateway, "id")), harness.store.feed().news());
        let unchanged = harness.patch(&path, json!({"max_staleness_seconds": 30})).await.expect(200);
        assert_eq!((&unchanged["propagation"], harness.store.feed().news()), (&Value::Null, before));
        let patched = harness.patch(&path, json!({"max_staleness_seconds": 5})).await.expect(200);
        assert_eq!(patched["propagation"]["revision"], before.revision + 1);
        assert_eq!(harness.store.feed().news().gateway_changes, before.gateway_changes + 1);
        assert_eq!(harness.get(&path).await.expect(200)["max_staleness_seconds"], 5);
        let refused = harness.patch(&path, json!({"max_staleness_seconds": 4})).await;
        assert_eq!(refused.pointers(), ["/max_staleness_seconds"]);
        let patched = harness.patch(&path, json!({"max_staleness_seconds": null})).await.expect(200);
        assert_eq!(patched["max_staleness_seconds"], Value::Null);
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
