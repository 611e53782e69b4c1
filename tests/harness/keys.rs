//! Keys as an admin handles them, and calls as their holders make them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::house::House;

/// How long a change may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key, fresh from the admin API.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The whole answer.
    pub answer: Value,
}

/// What a call through Envoy got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the refusal; empty if it was none.
    pub code: String,
}

impl House {
    /// Issues a key of `acme`; `more` adds to or replaces the fields of the request.
    pub async fn issue(&self, kind: &str, more: Value) -> IssuedKey {
        let mut body = json!({"kind": kind, "name": "test", "organization": self.organization});
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let answer = self.admin().create("/v1/keys", &body).await.unwrap_or_else(|error| panic!("{error}"));
        Self::issued(answer)
    }

    /// Reissues a key.
    pub async fn reissue(&self, id: &str) -> IssuedKey {
        let path = format!("/v1/keys/{id}/reissue");
        let answer = self.admin().create(&path, &json!({})).await.unwrap_or_else(|error| panic!("{error}"));
        Self::issued(answer)
    }

    /// Deletes a key.
    pub async fn delete(&self, id: &str) -> Value {
        let path = format!("/v1/keys/{id}");
        self.admin().delete(&path).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The key in an answer that issues one.
    pub fn issued(answer: Value) -> IssuedKey {
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned();
        IssuedKey { id: text("id"), secret: text("key"), answer }
    }

    /// Calls `path` through Envoy with a key, over a connection of its own.
    pub async fn call(&self, path: &str, secret: &str) -> Outcome {
        let request = self.http.get(format!("{}{path}", self.envoy().url())).bearer_auth(secret);
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        Outcome { status, code: body["error"]["code"].as_str().unwrap_or_default().to_owned() }
    }

    /// Calls `path` until eight calls in a row, enough to reach every worker, get `status`; how long that took.
    pub async fn wait_for(&self, path: &str, secret: &str, status: u16) -> Duration {
        let start = Instant::now();
        let mut reached = Duration::ZERO;
        let mut in_a_row = 0;
        while in_a_row < 8 {
            let outcome = self.call(path, secret).await;
            if outcome.status == status {
                if in_a_row == 0 {
                    reached = start.elapsed();
                }
                in_a_row += 1;
            } else {
                in_a_row = 0;
            }
            assert!(start.elapsed() < PATIENCE, "{path} still gets {outcome:?} rather than {status}");
        }
        reached
    }
}

/// An instant as the admin API writes it.
pub fn rfc3339(instant: OffsetDateTime) -> String {
    instant.format(&Rfc3339).expect("an instant with a year of four digits")
}

/// The next whole second that is at least `seconds` away.
pub fn whole_second_in(seconds: i64) -> OffsetDateTime {
    let unix = OffsetDateTime::now_utc().unix_timestamp() + seconds + 1;
    OffsetDateTime::from_unix_timestamp(unix).expect("a time in this age")
}
