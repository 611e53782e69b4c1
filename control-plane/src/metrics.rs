//! What the control plane counts and times, for Prometheus.
//!
//! A handle on what is gathered as it happens; what can be asked for at any time, such as the lag of each worker, is
//! read when somebody looks (`api::metrics`).

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets of acknowledgements, in seconds: a push takes milliseconds, a worker that was cut off
/// comes back after seconds, and whoever takes ten minutes is forgotten.
const ACKNOWLEDGEMENT_SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];

/// What is gathered. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    acknowledgements: Histogram,
    forgotten: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { acknowledgements: Histogram::new(ACKNOWLEDGEMENT_SECONDS), forgotten: Counter::default() }
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
