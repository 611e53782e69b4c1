//! What was used, as the admin API says it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::House;

/// How long usage may take to arrive once everyone can report: some reports, and the half minute that a worker may wait
/// after failures, more than once where reports are lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a test that waits asks.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Requests by key, API and outcome.
pub type Requests = BTreeMap<(String, String, String), u64>;

impl House {
    /// The answer to `GET /v1/usage` with this query.
    pub async fn usage(&self, query: &str) -> Value {
        let answer = self.admin().get(&format!("/v1/usage?{query}")).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The items of that.
    pub async fn usage_items(&self, query: &str) -> Vec<Value> {
        let answer = self.usage(query).await;
        assert!(answer["next_cursor"].is_null(), "more than a page: {answer}");
        answer["items"].as_array().unwrap_or_else(|| panic!("no items: {answer}")).clone()
    }

    /// How many requests of which key to which API ended how.
    pub async fn requests(&self) -> Requests {
        let items = self.usage_items("group_by=key,api,outcome&limit=1000").await;
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_else(|| panic!("{item}")).to_owned();
        let requests = items.iter().map(|item| {
            let place = (text(item, "key"), text(item, "api"), text(item, "outcome"));
            (place, item["requests"].as_u64().unwrap_or_else(|| panic!("{item}")))
        });
        requests.collect()
    }

    /// Waits until exactly so many requests are counted, and fails if there are ever more.
    pub async fn wait_for_requests(&self, expected: &Requests) {
        self.wait_for_usage("all requests are counted", || async {
            let counted = self.requests().await;
            let more = counted.iter().find(|(place, count)| **count > expected.get(*place).copied().unwrap_or(0));
            assert_eq!(more, None, "more than there were: {expected:#?}");
            if counted == *expected { Ok(()) } else { Err(format!("{counted:#?}\nrather than {expected:#?}")) }
        })
        .await;
    }

    /// Asks again and again until the answer is right. A wrong one says in words what it was.
    pub async fn wait_for_usage<T, F: Future<Output = Result<T, String>>>(&self, what: &str, ask: impl Fn() -> F) -> T {
        let start = Instant::now();
        loop {
            match ask().await {
                Ok(right) => return right,
                Err(wrong) => assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}: {wrong}"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}
