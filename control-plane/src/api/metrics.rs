//! `GET /metrics`: what Prometheus collects. For operators alone, since it names gateways and nodes.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use portcullis_core::wire::Revision;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::App;
use super::caller::Operator;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// Where Prometheus looks by itself. It is no part of the API's description, which is of JSON.
pub const PATH: &str = "/metrics";
/// The media type of OpenMetrics, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is collected. Clones share it.
#[derive(Debug, Clone)]
pub struct Collected(Arc<Registry>);

impl Collected {
    /// What has been gathered in `metrics`, and what is known of the workers when somebody looks.
    pub fn new(metrics: &Metrics, fleet: Fleet) -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        metrics.register(&mut registry);
        registry.register_collector(Box::new(Workers(fleet)));
        Self(Arc::new(registry))
    }
}

/// Answers with everything that is collected.
pub async fn metrics(State(app): State<App>, _: Operator) -> Result<Response, Problem> {
    let mut text = String::new();
    encode(&mut text, &app.collected.0).map_err(|fmt::Error| {
        tracing::error!("metrics cannot be rendered");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// What is known of the workers.
#[derive(Debug)]
struct Workers(Fleet);

impl Collector for Workers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(fleet) = self;
        let (head, workers) = (fleet.head(), fleet.all());
        one(&mut encoder, "revision", "The newest committed revision", head.revision)?;
        one(&mut encoder, "workers", "Workers that receipts wait for", workers.len() as u64)?;
        let mut lag = encoder.encode_descriptor(
            "worker_lag_revisions",
            "How many revisions a worker has yet to acknowledge; all there are before its first snapshot",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (gateway, worker) in &workers {
            let behind = worker.applied.filter(|applied| applied.epoch == head.epoch);
            let behind: Revision = head.revision.saturating_sub(behind.map_or(0, |applied| applied.revision));
            let (gateway, node) = (gateway.to_string(), worker.node.as_deref().unwrap_or_default());
            let labels = [("gateway", gateway.as_str()), ("node", node), ("worker", worker.name.as_str())];
            ConstGauge::new(behind).encode(lag.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn one(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(encoder)
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use crate::domain::user::RoleName;
    use portcullis_core::push::fleet::Worker;
    use portcullis_core::wire::Cursor;
    use serde_json::json;

    #[tokio::test]
    async fn an_operator_sees_how_far_each_worker_is_behind_and_how_long_acknowledgements_take() {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let gateway = text(&gateway, "id").parse().unwrap();
        let acknowledges = |revision| {
            let applied = Some(Cursor { epoch: harness.store.epoch(), revision });
            let worker = Worker {
                name: "w".to_owned(),
                node: Some("node \"1\"".to_owned()),
                polls: revision,
                last_seen_ms: 0,
                applied,
                bound_ms: None,
                memory_bytes: None,
            };
            harness.fleet.saw(gateway, worker, None).unwrap();
        };
        acknowledges(1);
        harness.post("/v1/keys?wait_ms=0", json!({"kind": "serverless", "name": "k"})).await.expect(201);
        acknowledges(2);
        let shown = harness.call("GET", "/metrics").text().await;
        let lag =
            format!("portcullis_worker_lag_revisions{{gateway=\"{gateway}\",node=\"node \\\"1\\\"\",worker=\"w\"}} 1");
        for line in [
            lag.as_str(),
            "portcullis_revision 3",
            "portcullis_workers 1",
            "portcullis_workers_forgotten_total 0",
            "portcullis_acknowledgement_seconds_count 1",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
        }
        let member = harness.person("member", RoleName::Member).await;
        harness.call("GET", "/metrics").by(&member).send().await.expect(403);
        harness.assert_guarded("GET", "/metrics").await;
    }
}
