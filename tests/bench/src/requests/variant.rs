//! What is measured beside what. A variant more is an entry more in [`ALL`]; a filter more is a [`Chain`] more.

use serde_json::{Value, json};

/// An Envoy's filters before the router, and its routes.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, other than all others'.
    pub name: &'static str,
    /// What stands before the router.
    pub filters: Filters,
    /// Paths for which a filter has other settings, and those, as `typed_per_filter_config` in YAML's flow style.
    pub routes: &'static [(&'static str, &'static str)],
}

/// What stands before the router.
#[derive(Debug, PartialEq, Eq)]
pub enum Filters {
    /// Portcullis, as in `envoy/envoy.yaml`.
    Portcullis,
    /// The same, built without counting what was used, to tell what that costs.
    Uncounted,
    /// These, in YAML's flow style; empty for none.
    Native(&'static str),
}

/// A way for a request through an Envoy.
#[derive(Debug)]
pub struct Variant {
    /// Its name in JSON and on the command line.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Through which Envoy.
    pub chain: &'static Chain,
    /// How many workers that Envoy has.
    pub workers: u32,
    /// The method of its requests.
    pub method: &'static str,
    /// The path that is asked for.
    pub path: &'static str,
    /// What each answer must be.
    pub answer: Answer,
    /// The variant of as many workers that does the same without a limit, to tell what the limit costs.
    pub unlimited: Option<&'static str>,
}

/// What an answer must be, so that nothing else is measured by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: &'static str,
    /// The one of [`LIMIT_HEADERS`] that it must have; it must have none of the others.
    pub limit_header: Option<&'static str>,
}

/// Headers that tell of a limit, Portcullis's and Envoy's own, as they stand in an answer.
pub const LIMIT_HEADERS: [&str; 2] = [OURS, NATIVE];

/// What everything is compared with.
pub const BASE: &str = "bare";

const OURS: &str = "\r\nratelimit: ";
const NATIVE: &str = "\r\nx-ratelimit-limit: ";

const PLAIN: Answer = Answer { status: "200", limit_header: None };
const LIMITED: Answer = Answer { status: "200", limit_header: Some(OURS) };
const REFUSED: Answer = Answer { status: "429", limit_header: Some(OURS) };

const BARE: Chain = Chain { name: "bare", filters: Filters::Native(""), routes: &[] };
/// The same again: what it differs from the first by is what this instrument cannot tell apart.
const BARE_AGAIN: Chain = Chain { name: "bare-again", filters: Filters::Native(""), routes: &[] };
const UNCOUNTED: Chain = Chain { name: "uncounted", filters: Filters::Uncounted, routes: &[] };
const PORTCULLIS: Chain = Chain { name: "portcullis", filters: Filters::Portcullis, routes: &[] };

/// Everything counted in one bucket that never gets empty. On other paths: one such bucket for each key, with headers
/// that tell of it as Portcullis does; and a bucket with one token a day.
const LOCAL_RATELIMIT: Chain = Chain {
    name: "local_ratelimit",
    filters: Filters::Native(
        r#"{ name: envoy.filters.http.local_ratelimit, typed_config: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
          stat_prefix: one_bucket,
          token_bucket: { max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 60s },
          filter_enabled: { default_value: { numerator: 100 } },
          filter_enforced: { default_value: { numerator: 100 } } } }"#,
    ),
    routes: &[
        (
            "/per-key",
            r#"{ envoy.filters.http.local_ratelimit: {
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
              stat_prefix: bucket_per_key,
              token_bucket: { max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 60s },
              filter_enabled: { default_value: { numerator: 100 } },
              filter_enforced: { default_value: { numerator: 100 } },
              enable_x_ratelimit_headers: DRAFT_VERSION_03,
              rate_limits: [{ actions: [{ request_headers: {
                header_name: authorization, descriptor_key: key } }] }],
              descriptors: [{ entries: [{ key: key }],
                token_bucket: { max_tokens: 500000000, tokens_per_fill: 500000000, fill_interval: 60s } }] } }"#,
        ),
        (
            "/refused",
            r#"{ envoy.filters.http.local_ratelimit: {
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
              stat_prefix: refused,
              token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: 86400s },
              filter_enabled: { default_value: { numerator: 100 } },
              filter_enforced: { default_value: { numerator: 100 } } } }"#,
        ),
    ],
};

/// All variants, in the order of the report.
pub const ALL: &[Variant] = &[
    bare("bare", "bare Envoy", &BARE, 1),
    bare("bare-again", "bare Envoy, another process", &BARE_AGAIN, 1),
    native("native", "native `local_ratelimit`, one bucket for all", 1, "/any", PLAIN),
    native(
        "native-per-key",
        "native `local_ratelimit`, a bucket for each key, with headers",
        1,
        "/per-key",
        Answer { status: "200", limit_header: Some(NATIVE) },
    ),
    unlimited(1),
    ours("leased", "Portcullis, limited, with leases", 1, "/leased", LIMITED),
    ours("shared", "Portcullis, limited, without leases", 1, "/shared", LIMITED),
    ours("two-rules", "Portcullis, two rules, without leases", 1, "/two-rules", LIMITED),
    of_usage("uncounted", "Portcullis without a limit, built without counting", &UNCOUNTED, "GET", "/unlimited"),
    of_usage(DOCUMENT_READ, "a JSON document of 64 KiB, its tokens counted", &PORTCULLIS, "POST", "/document/read"),
    of_usage(DOCUMENT_UNREAD, "the same, its tokens not counted", &PORTCULLIS, "POST", "/document/unread"),
    of_usage(STREAM_READ, "a stream of events of 64 KiB, its tokens counted", &PORTCULLIS, "POST", "/stream/read"),
    of_usage(STREAM_UNREAD, "the same, its tokens not counted", &PORTCULLIS, "POST", "/stream/unread"),
    native(
        "native-refused",
        "native `local_ratelimit`, refused",
        1,
        "/refused",
        Answer { status: "429", limit_header: None },
    ),
    ours("refused", "Portcullis, refused by its limit", 1, "/refused", REFUSED),
    bare("bare", "bare Envoy", &BARE, 2),
    native("native", "native `local_ratelimit`, one bucket for all", 2, "/any", PLAIN),
    unlimited(2),
    ours("leased", "Portcullis, limited, with leases", 2, "/leased", LIMITED),
    ours("shared", "Portcullis, limited, without leases", 2, "/shared", LIMITED),
];

/// The variants by whose difference counting is judged: with it, and without.
pub const COUNTING: (&str, &str) = ("unlimited", "uncounted");
const DOCUMENT_READ: &str = "document-read";
const DOCUMENT_UNREAD: &str = "document-unread";
const STREAM_READ: &str = "stream-read";
const STREAM_UNREAD: &str = "stream-unread";
/// The same for reading tokens, with what is read.
pub const READING: [(&str, &str, &str); 2] =
    [("a JSON document", DOCUMENT_READ, DOCUMENT_UNREAD), ("a stream of events", STREAM_READ, STREAM_UNREAD)];

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
/// from a larger one workers take leases. No limit is ever reached, but for the one that always is: 200,000 requests in
/// a second are more than such Envoys can answer.
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
        api("/leased", json!({"rules": [rule(12_000_000, 60, 12_000_000)]})),
        api("/shared", json!({"rules": [rule(12_000_000, 60, 3_999)]})),
        api("/two-rules", json!({"rules": [rule(12_000_000, 60, 3_999), rule(720_000_000, 3_600, 3_999)]})),
        api("/refused", json!({"rules": [rule(1, 86_400, 1)]})),
    ]
}

const fn bare(key: &'static str, label: &'static str, chain: &'static Chain, workers: u32) -> Variant {
    Variant { key, label, chain, workers, method: "GET", path: "/any", answer: PLAIN, unlimited: None }
}

const fn native(key: &'static str, label: &'static str, workers: u32, path: &'static str, answer: Answer) -> Variant {
    Variant { key, label, chain: &LOCAL_RATELIMIT, workers, method: "GET", path, answer, unlimited: Some(BASE) }
}

const fn unlimited(workers: u32) -> Variant {
    let label = "Portcullis without a limit";
    Variant {
        key: "unlimited",
        label,
        chain: &PORTCULLIS,
        workers,
        method: "GET",
        path: "/unlimited",
        answer: PLAIN,
        unlimited: None,
    }
}

const fn of_usage(
    key: &'static str,
    label: &'static str,
    chain: &'static Chain,
    method: &'static str,
    path: &'static str,
) -> Variant {
    Variant { key, label, chain, workers: 1, method, path, answer: PLAIN, unlimited: None }
}

const fn ours(key: &'static str, label: &'static str, workers: u32, path: &'static str, answer: Answer) -> Variant {
    Variant { key, label, chain: &PORTCULLIS, workers, method: "GET", path, answer, unlimited: Some("unlimited") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_can_be_told_from_others_and_compared() {
        for (place, variant) in ALL.iter().enumerate() {
            let is = |other: &Variant, key| other.key == key && other.workers == variant.workers;
            assert!(!ALL[..place].iter().any(|other| is(other, variant.key)), "{} is there twice", variant.key);
            for key in [BASE].into_iter().chain(variant.unlimited) {
                assert!(ALL.iter().any(|other| is(other, key)), "{} has no {key} to compare it with", variant.key);
            }
        }
    }

    #[test]
    fn each_path_behind_portcullis_has_an_api() {
        let paths = apis().iter().map(|api| api["match"]["path_prefix"].clone()).collect::<Vec<_>>();
        for variant in ALL.iter().filter(|variant| variant.chain.name == PORTCULLIS.name) {
            assert!(paths.contains(&json!(variant.path)), "{}", variant.path);
        }
    }
}
