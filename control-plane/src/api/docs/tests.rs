//! What holds for the page, and for the document that it is made from.

mod document;
mod page;

use serde_json::Value;

use super::operation::{self, Operation};
use crate::api::testing::Harness;

/// The document that the control plane serves.
async fn served() -> Value {
    Harness::new().await.call("GET", "/openapi.json").anonymous().send().await.expect(200)
}

/// Every `$ref` in `part`.
fn references(part: &Value) -> Vec<String> {
    let own = part.get("$ref").and_then(Value::as_str).map(str::to_owned);
    let within: Vec<&Value> = match part {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    own.into_iter().chain(within.into_iter().flat_map(references)).collect()
}
