//! `DELETE /v1/gateways/{id}/workers/{worker}`: a worker is gone for good.
//!
//! An Envoy that is stopped leaves its workers behind in the list, because nothing tells it apart from one that cannot
//! be reached; receipts wait for them until they have been silent for ten minutes. Whoever has stopped it knows better,
//! and says so here, also of workers of a gateway that is deleted. A worker that polls again counts again.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use portcullis_core::id::GatewayId;

use crate::api::App;
use crate::api::caller::Operator;
use crate::api::gateways::WorkerView;
use crate::api::refusals::{Always, Forbidden, NotFound, OneError};
use crate::domain::audit::Action;

/// Says that a worker is gone for good: receipts no longer wait for it. It counts again if it polls.
#[utoipa::path(
    operation_id = "delete_worker",
    delete, path = "/v1/gateways/{id}/workers/{worker}", tag = "gateways",
    params(
        ("id" = String, Path, description = "The gateway's id"),
        ("worker" = String, Path, description = "The worker's name", example = "9f86d081884c7d65", max_length = 64),
    ),
    responses((status = 200, body = WorkerView, description = "The worker as it was"), Always, Forbidden, NotFound)
)]
pub async fn delete(
    State(app): State<App>,
    Operator(actor): Operator,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<WorkerView>, OneError> {
    let unknown = || OneError::Unknown("worker");
    let Path((gateway, name)) = path.map_err(|_| unknown())?;
    let gateway: GatewayId = gateway.parse().map_err(|_| unknown())?;
    let known = app.fleet.of(gateway).into_iter().find(|worker| worker.name == name);
    let worker = known.ok_or_else(unknown)?;
    let mut write = app.store.write(Some(actor)).await?;
    write.forget_worker(Action::WorkerDelete, gateway, &worker).await?;
    write.commit().await?;
    app.fleet.forget(gateway, &name);
    Ok(Json(WorkerView::new(worker, app.fleet.head())))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::push::fleet::Worker;
    use serde_json::json;

    #[tokio::test]
    async fn receipts_no_longer_wait_for_a_worker_that_is_gone_and_the_audit_says_who_said_so() {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let worker = Worker {
            name: "w".to_owned(),
            node: Some("node-1".to_owned()),
            polls: 1,
            last_seen_ms: 1,
            applied: None,
            bound_ms: None,
            memory_bytes: None,
        };
        harness.fleet.saw(text(&gateway, "id").parse().unwrap(), worker, None).unwrap();
        let pending = harness.post("/v1/keys?wait_ms=0", json!({"kind": "serverless", "name": "k"})).await.expect(201);
        assert_eq!(pending["propagation"]["pending"][0]["worker"], "w");
        let path = format!("/v1/gateways/{}/workers/w", text(&gateway, "id"));
        assert_eq!(harness.delete(&path).await.expect(200)["node"], "node-1");
        harness.delete(&path).await.expect(404);
        let revision = &pending["propagation"]["revision"];
        assert_eq!(harness.get(&format!("/v1/propagation/{revision}")).await.expect(200)["status"], "complete");
        let entry = &harness.audit("action=worker.delete&outcome=done").await[0];
        assert_eq!((&entry["before"]["worker"], &entry["subject"]), (&json!("w"), &gateway["id"]));
        harness.assert_guarded("DELETE", &path).await;
    }
}
