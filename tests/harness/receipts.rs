//! Deletions, and how far the control plane says they are.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis_demo::admin::{AdminClient, AdminError};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::house::House;

/// How long an Envoy that was just started may take until its workers have everything.
const START_PATIENCE: Duration = Duration::from_secs(15);
/// How often a receipt is asked for while it is waited for.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What a `propagation` says.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The change.
    pub revision: u64,
    /// Whether nobody goes by what was before.
    pub complete: bool,
    /// How many workers count.
    pub total: u64,
    /// How many of them have applied it.
    pub applied: u64,
    /// How many have stopped.
    pub stopped: u64,
    /// The names of those that have done neither.
    pub pending: BTreeSet<String>,
    /// When all of these will have stopped.
    pub enforced_by: Option<OffsetDateTime>,
    /// When the answer with it had come.
    pub came: Instant,
}

impl Receipt {
    /// Reads a `propagation`, and checks that it adds up.
    pub fn read(propagation: &Value) -> Self {
        let came = Instant::now();
        let count = |field: &str| propagation[field].as_u64().unwrap_or_else(|| panic!("no {field}: {propagation}"));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {propagation}")).to_owned();
        let pending = propagation["pending"].as_array().unwrap_or_else(|| panic!("no pending: {propagation}"));
        let enforced_by = propagation["enforced_by"].as_str();
        let receipt = Self {
            revision: count("revision"),
            complete: match propagation["status"].as_str() {
                Some("complete") => true,
                Some("pending") => false,
                _ => panic!("another status: {propagation}"),
            },
            total: count("workers_total"),
            applied: count("workers_applied"),
            stopped: count("workers_stopped"),
            pending: pending.iter().map(|worker| text(&worker["worker"])).collect(),
            enforced_by: enforced_by.map(|text| OffsetDateTime::parse(text, &Rfc3339).expect("an instant")),
            came,
        };
        let named = u64::try_from(receipt.pending.len()).expect("a count");
        assert_eq!(receipt.total, receipt.applied + receipt.stopped + named, "{propagation}");
        assert!(!receipt.complete || receipt.pending.is_empty(), "{propagation}");
        receipt
    }
}

/// Deletes a key, and waits so long for its receipt to be complete.
pub async fn delete(admin: &AdminClient, id: &str, wait_ms: u32) -> Result<Receipt, AdminError> {
    let answer = admin.delete(&format!("/v1/keys/{id}?wait_ms={wait_ms}")).await?;
    Ok(Receipt::read(&answer["propagation"]))
}

impl House {
    /// Deletes a key, and waits so long for its receipt to be complete.
    pub async fn delete_within(&self, id: &str, wait_ms: u32) -> Receipt {
        delete(&self.admin(), id, wait_ms).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is to be said of a revision now.
    pub async fn receipt(&self, revision: u64) -> Receipt {
        let answer = self.admin().get(&format!("/v1/propagation/{revision}")).await;
        Receipt::read(&answer.unwrap_or_else(|error| panic!("{error}")))
    }

    /// The first receipt of a revision that says complete.
    pub async fn complete(&self, revision: u64, patience: Duration) -> Receipt {
        let start = Instant::now();
        loop {
            let receipt = self.receipt(revision).await;
            if receipt.complete {
                return receipt;
            }
            assert!(start.elapsed() < patience, "still {receipt:?}");
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The names of the workers of the house's Envoy, once all of them have applied all that was ever written.
    pub async fn worker_names(&self) -> BTreeSet<String> {
        let workers = self.workers_at_head_within(START_PATIENCE).await;
        workers.iter().map(|worker| worker["id"].as_str().expect("a name").to_owned()).collect()
    }
}
