//! `GET /v1/gateways/{id}`: one gateway with its workers.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Gateway as GatewayMark;

use super::{GatewayView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One gateway with its workers.
#[utoipa::path(
    get, path = "/v1/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, description = "The gateway's id")),
    responses((status = 200, body = GatewayView, description = "It"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<GatewayMark>,
) -> Result<Json<GatewayView>, OneError> {
    let mut read = app.store.read().await?;
    let gateway = handled(&mut read.view(), id, actor).await?;
    let head = read.view().head().await?;
    let workers = app.fleet.of(id);
    Ok(Json(GatewayView::new(gateway, workers, head)))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::push::fleet::Worker;
    use portcullis_core::wire::{Cursor, Epoch};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_gateway_is_shown_with_the_lag_of_its_workers() {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let id = text(&gateway, "id");
        let epoch = harness.store.epoch();
        let worker = |id: &str, applied| Worker {
            name: id.to_owned(),
            node: Some("node-1".to_owned()),
            polls: 1,
            last_seen_ms: harness.store.clock().now().unix_ms(),
            applied,
            bound_ms: Some(30_000),
            memory_bytes: Some(4_096),
        };
        let at = |epoch, revision| Some(Cursor { epoch, revision });
        let gateway_id = id.parse().unwrap();
        harness.fleet.saw(gateway_id, worker("a", at(epoch, 1)), Some(5_000)).unwrap();
        harness.fleet.saw(gateway_id, worker("b", at(Epoch::from_number(1), 1)), None).unwrap();
        harness.fleet.saw(gateway_id, worker("c", None), None).unwrap();
        let path = format!("/v1/gateways/{id}");
        let shown = harness.get(&path).await.expect(200);
        let expected = json!({"id": "a", "node": "node-1", "last_seen_at": "2027-01-01T00:00:00Z",
            "epoch": epoch.to_string(), "revision": 1, "lag": 1, "max_staleness_seconds": 30, "memory_bytes": 4_096});
        assert_eq!(shown["workers"][0], expected);
        assert_eq!(shown["workers"][1]["lag"], Value::Null);
        assert_eq!(shown["workers"][2]["epoch"], Value::Null);
        assert_eq!(shown["workers"][2]["max_staleness_seconds"], Value::Null);
    }

    #[tokio::test]
    async fn an_unknown_gateway_is_not_found() {
        let harness = Harness::new().await;
        harness.get("/v1/gateways/gtw_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/gateways/gtw_0000000000000").await;
    }
}
