//! What Envoy answers by itself, and the APIs that Portcullis has for the paths.

use serde_json::{Value, json};

/// The size of the answers of which tokens are read, as nearly as whole events come to it, in KiB.
pub const ANSWER_KIB: usize = 64;

/// The paths at which Envoy answers with such bodies, their types, and the bodies.
pub fn answers() -> [(&'static str, &'static str, String); 2] {
    let usage = json!({"prompt_tokens": 900, "completion_tokens": 7_000, "total_tokens": 7_900});
    let text = "word and word, ".repeat(ANSWER_KIB * 1024 / 15);
    let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}});
    let document = json!({"object": "chat.completion", "choices": [choice], "usage": usage}).to_string();
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let event = chunk(json!([{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]), Value::Null);
    let mut stream = event.repeat(ANSWER_KIB * 1024 / event.len());
    stream += &chunk(json!([]), usage);
    stream += "data: [DONE]\n\n";
    [("/document", "application/json", document), ("/stream", "text/event-stream", stream)]
}

/// The APIs behind Portcullis, one for each path. A burst below 4,000 has every request counted in Envoy's shared data;
/// from a larger one workers take leases, here of a quota for the day: a lease lapses unit by unit as time goes on, so this
/// one lasts for seconds, as those of quotas do that somebody would set. No limit is ever reached, but for the one that
/// always is.
pub fn apis() -> Vec<Value> {
    let api = |path: &str, limit: Value| {
        json!({"name": path.trim_start_matches('/'), "kind": "serverless", "match": {"path_prefix": path},
            "rate_limit": limit})
    };
    let rule = |limit: u64, window_seconds: u64, burst: u64| json!({"unit": "requests", "limit": limit, "window_seconds": window_seconds, "burst": burst});
    let counting = |path: &str, count_tokens: bool| {
        let name = path.trim_start_matches('/').replace('/', " ");
        json!({"name": name, "kind": "serverless", "match": {"path_prefix": path}, "count_tokens": count_tokens})
    };
    vec![
        counting("/document/read", true),
        counting("/document/unread", false),
        counting("/stream/read", true),
        counting("/stream/unread", false),
        api("/unlimited", Value::Null),
        api("/leased", json!({"rules": [rule(24_000_000, 86_400, 24_000_000)]})),
        api("/shared", json!({"rules": [rule(12_000_000, 60, 3_999)]})),
        api("/two-rules", json!({"rules": [rule(12_000_000, 60, 3_999), rule(720_000_000, 3_600, 3_999)]})),
        api("/refused", json!({"rules": [rule(1, 86_400, 1)]})),
    ]
}
