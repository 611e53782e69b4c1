//! APIs with rate limits.

use serde_json::{Value, json};

use crate::house::House;

/// A day. In a test nothing worth mentioning comes back of what is limited by the day.
pub const DAY_SECONDS: u32 = 86_400;

/// An API with a rate limit.
#[derive(Debug, Clone)]
pub struct LimitedApi {
    /// Its id.
    pub id: String,
    /// A path of it that the upstream answers to.
    pub path: String,
}

/// A rule: so many units in a window, and so many at once.
pub fn rule(unit: &str, limit: u64, window_seconds: u32) -> Value {
    json!({"unit": unit, "limit": limit, "window_seconds": window_seconds})
}

/// The policy with the one rule of so many requests in a window.
pub fn requests(limit: u64, window_seconds: u32) -> Value {
    json!({"rules": [rule("requests", limit, window_seconds)]})
}

/// The same for a day.
pub fn requests_a_day(limit: u64) -> Value {
    requests(limit, DAY_SECONDS)
}

impl House {
    /// A new serverless API with this policy, at a path of this name.
    pub async fn limited_api(&self, name: &str, policy: Value) -> LimitedApi {
        let api = json!({
            "name": name, "kind": "serverless", "match": {"path_prefix": format!("/v1/{name}")}, "rate_limit": policy,
        });
        let answer = self.admin().create("/v1/apis", &api).await.unwrap_or_else(|error| panic!("{error}"));
        assert_known(&answer);
        let id = answer["id"].as_str().expect("an id").to_owned();
        LimitedApi { id, path: format!("/v1/{name}/echo") }
    }

    /// Gives an API this policy, or none if it is null. Every worker goes by it.
    pub async fn limit(&self, api: &str, policy: Value) {
        let change = json!({"rate_limit": policy});
        let answer = self.admin().change(&format!("/v1/apis/{api}"), &change).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer["rate_limit"], policy);
        assert_known(&answer);
    }

    /// Switches rate limiting of a dedicated key on or off. Every worker goes by it.
    pub async fn hold_to_limits(&self, key: &str, enabled: bool) {
        let change = json!({"rate_limit_enabled": enabled});
        let answer = self.admin().change(&format!("/v1/keys/{key}"), &change).await;
        assert_known(&answer.unwrap_or_else(|error| panic!("{error}")));
    }
}

/// Every worker that there is goes by what was written.
fn assert_known(answer: &Value) {
    assert_eq!(answer["propagation"]["status"], "complete", "{answer}");
}
