//! What the control plane counts and times, for Prometheus.
//!
//! A handle on what is gathered as it happens; what can be asked for at any time, such as the lag of each worker, is
//! read when somebody looks (`api::metrics`).

use std::collections::HashSet;
use std::time::Duration;

use portcullis_core::outcome::Outcome;
use portcullis_core::wire::{Report, ReportRow};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::storage::Counted;

/// Upper bounds of the buckets of acknowledgements, in seconds: a push takes milliseconds, a worker that was cut off
/// comes back after seconds, and whoever takes ten minutes is forgotten.
const ACKNOWLEDGEMENT_SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];

/// Upper bounds of the buckets of the time that counting reports takes, in seconds.
const REPORT_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What is gathered. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    acknowledgements: Histogram,
    forgotten: Counter,
    usage: Usage,
}

/// What workers have reported. Every family has few labels, all of which are known beforehand.
#[derive(Debug, Clone)]
struct Usage {
    reports: Family<[(&'static str, &'static str); 1], Counter>,
    refused_rows: Counter,
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    bytes: Family<[(&'static str, &'static str); 1], Counter>,
    tokens: Family<[(&'static str, &'static str); 1], Counter>,
    cost_micros: Counter,
    stops: Family<[(&'static str, &'static str); 1], Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            acknowledgements: Histogram::new(ACKNOWLEDGEMENT_SECONDS),
            forgotten: Counter::default(),
            usage: Usage::default(),
        }
    }
}

impl Default for Usage {
    fn default() -> Self {
        let usage = Self {
            reports: Family::default(),
            refused_rows: Counter::default(),
            requests: Family::default(),
            bytes: Family::default(),
            tokens: Family::default(),
            cost_micros: Counter::default(),
            stops: Family::default(),
            seconds: Histogram::new(REPORT_SECONDS),
        };
        // What has not happened yet is shown as not having happened.
        for (family, label, values) in [
            (&usage.reports, "result", ["counted", "repeated"]),
            (&usage.bytes, "direction", ["request", "response"]),
            (&usage.tokens, "type", ["prompt", "completion"]),
            (&usage.stops, "subject", ["key", "organization"]),
        ] {
            for value in values {
                drop(family.get_or_create(&[(label, value)]));
            }
        }
        for outcome in Outcome::ALL {
            drop(usage.requests.get_or_create(&[("outcome", outcome.label())]));
        }
        usage
    }
}

impl Usage {
    fn register(&self, registry: &mut Registry) {
        registry.register("usage_reports", "Usage reports of workers", self.reports.clone());
        registry.register(
            "usage_rows_refused",
            "Rows of usage reports that could not be counted",
            self.refused_rows.clone(),
        );
        registry.register("usage_requests", "Requests that workers have reported", self.requests.clone());
        registry.register(
            "usage_bytes",
            "Bytes of the bodies of these requests and their responses",
            self.bytes.clone(),
        );
        registry.register("usage_tokens", "Tokens that these requests have used", self.tokens.clone());
        registry.register(
            "usage_cost_micros",
            "What they cost, in millionths of the currency",
            self.cost_micros.clone(),
        );
        registry.register("budget_stops", "Keys and organizations that have used up their budgets", self.stops.clone());
        registry.register(
            "usage_report_seconds",
            "The time of the transaction in which a report was counted, for each report",
            self.seconds.clone(),
        );
    }

    fn reported(&self, report: &Report, counted: &Counted, took: Duration) {
        let result = if counted.receipt.counted { "counted" } else { "repeated" };
        self.reports.get_or_create(&[("result", result)]).inc();
        if !counted.receipt.counted {
            return;
        }
        let refused = counted.receipt.refused.iter().map(|refused| refused.row).collect::<HashSet<_>>();
        self.refused_rows.inc_by(refused.len() as u64);
        let rows = report.rows.iter().enumerate().filter(|(place, _)| !refused.contains(place));
        for (_, ReportRow { outcome, counts, .. }) in rows {
            self.requests.get_or_create(&[("outcome", outcome.label())]).inc_by(counts.requests);
            self.bytes.get_or_create(&[("direction", "request")]).inc_by(counts.request_bytes);
            self.bytes.get_or_create(&[("direction", "response")]).inc_by(counts.response_bytes);
            self.tokens.get_or_create(&[("type", "prompt")]).inc_by(counts.prompt_tokens);
            self.tokens.get_or_create(&[("type", "completion")]).inc_by(counts.completion_tokens);
        }
        self.cost_micros.inc_by(counted.cost.micros);
        self.stops.get_or_create(&[("subject", "key")]).inc_by(counted.stopped.keys);
        self.stops.get_or_create(&[("subject", "organization")]).inc_by(counted.stopped.organizations);
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// Puts it into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "acknowledgement_seconds",
            "From a revision being known here to be committed until a worker acknowledged it, for each worker",
            self.acknowledgements.clone(),
        );
        registry.register(
            "workers_forgotten",
            "Workers that were silent for so long that receipts no longer wait for them",
            self.forgotten.clone(),
        );
        self.usage.register(registry);
    }

    /// A report was counted, or had been before.
    pub fn reported(&self, report: &Report, counted: &Counted, took: Duration) {
        self.usage.reported(report, counted, took);
    }

    /// A worker has acknowledged a revision after this time.
    pub fn acknowledged(&self, took: Duration) {
        self.acknowledgements.observe(took.as_secs_f64());
    }

    /// So many workers are no longer waited for.
    pub fn forgotten(&self, workers: usize) {
        self.forgotten.inc_by(workers as u64);
    }
}
