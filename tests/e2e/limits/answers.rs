//! What callers are told, read by strangers: a parser of structured fields (RFC 9651), an HTTP/2 library, and the official
//! OpenAI client.

use std::net::Ipv4Addr;

use axum::response::AppendHeaders;
use portcullis_tests::house::House;
use portcullis_tests::limits::{requests, requests_a_day, rule};
use portcullis_tests::machine::{alone, among_others};
use portcullis_tests::python;
use portcullis_tests::raw::{self, Answer, Fields};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{call, passed};

/// The two header fields of an answer; each is there once.
fn fields(answer: &Answer) -> [String; 2] {
    ["ratelimit-policy", "ratelimit"].map(|name| {
        let values = answer.headers.iter().filter(|(candidate, _)| candidate == name).map(|(_, value)| value.clone());
        let values = values.collect::<Vec<_>>();
        assert_eq!(values.len(), 1, "{name}: {answer:?}");
        values.concat()
    })
}

/// A request for a path with a key.
fn get(path: &str, secret: &str) -> Fields {
    let authorization = format!("Bearer {secret}");
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "models.example"), (":path", path)];
    let all = pseudo.into_iter().chain([("authorization", authorization.as_str())]);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_say_to_a_stranger_what_the_policy_is_and_what_is_left() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let mut bursty = rule("requests", 1_800, 3_600);
    bursty["burst"] = json!(2);
    // Two rules with one name, one of tokens, and one that is no business of the caller's.
    let mut hidden = rule("requests", 5, 60);
    hidden["mode"] = json!("observe");
    let many = [hidden, rule("requests", 1, 3_600), rule("requests", 3, 3_600), rule("tokens", 100_000, 86_400)];
    // Two calls under each.
    let cases = [
        (requests(60, 60), [200, 200]),
        (json!({"rules": [bursty]}), [200, 200]),
        (json!({"rules": many}), [200, 429]),
        (requests(0, 60), [429, 429]),
    ];
    let mut read = Vec::new();
    for (number, (policy, statuses)) in cases.into_iter().enumerate() {
        let api = house.limited_api(&format!("policy-{number}"), policy).await;
        for status in statuses {
            let answer = call(&house, &api.path, &key.secret).await;
            assert_eq!(answer.status, Some(status), "{answer:?}");
            read.extend(fields(&answer));
        }
    }
    let parsed = python::run("structured_fields.py", &json!(read)).await;
    let sixty = json!([["requests-60s", [["q", 60], ["w", 60]]]]);
    let bursty = json!([["requests-3600s", [["q", 1_800], ["w", 3_600]]]]);
    let many = json!([
        ["requests-3600s", [["q", 1], ["w", 3_600]]],
        ["requests-3600s-2", [["q", 3], ["w", 3_600]]],
        ["tokens-86400s", [["q", 100_000], ["qu", "tokens"], ["w", 86_400]]],
    ]);
    let none = json!([["requests-60s", [["q", 0], ["w", 60]]]]);
    let left = |name: &str, parameters: Value| json!([name, parameters]);
    let expected = json!([
        sixty,
        [left("requests-60s", json!([["r", 59], ["t", 1]]))],
        sixty,
        [left("requests-60s", json!([["r", 58], ["t", 1]]))],
        bursty,
        [left("requests-3600s", json!([["r", 1], ["t", 2]]))],
        bursty,
        [left("requests-3600s", json!([["r", 0], ["t", 2]]))],
        many,
        [
            left("requests-3600s", json!([["r", 0], ["t", 3_600]])),
            left("requests-3600s-2", json!([["r", 2], ["t", 1_200]])),
            left("tokens-86400s", json!([["r", 100_000]])),
        ],
        many,
        // The first refuses; of the others there is nothing to wait for.
        [
            left("requests-3600s", json!([["r", 0], ["t", 3_600]])),
            left("requests-3600s-2", json!([["r", 2]])),
            left("tokens-86400s", json!([["r", 100_000]])),
        ],
        none,
        [left("requests-60s", json!([["r", 0]]))],
        none,
        [left("requests-60s", json!([["r", 0]]))],
    ]);
    assert_eq!(parsed, expected, "{read:#?}");
}

fn assert_problem(answer: &Answer) {
    assert_eq!(answer.status, Some(429), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    // Two came back in a minute when the first was used; a bit of that minute is over.
    let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok()).expect("seconds");
    assert!((1..=30).contains(&wait), "{answer:?}");
    let mut body: Value = serde_json::from_str(&answer.body).expect("a problem document");
    for place in ["/title", "/detail", "/error/message"] {
        let text = body.pointer_mut(place).unwrap_or_else(|| panic!("no {place} in {answer:?}")).take();
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{place} of {answer:?}");
    }
    let expected = json!({
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": null,
        "status": 429,
        "detail": null,
        "violated-policies": ["requests-60s"],
        "error": {"message": null, "type": "requests", "code": "rate_limit_exceeded", "param": null},
    });
    assert_eq!(body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_of_its_own_limits_stands_beside_the_gateways() {
    let _among_others = among_others().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = [("ratelimit-policy", "\"own\";q=5;w=1"), ("ratelimit", "\"own\";r=4;t=1")];
    let upstream = axum::Router::new().fallback(move || async move { (AppendHeaders(own), "ok") });
    let serving = tokio::spawn(async move { axum::serve(listener, upstream).await });
    let mut house = House::without_envoy().await;
    house.set_upstream(address);
    house.start_envoy(1).await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("limited", requests(60, 60)).await;
    let answer = call(&house, &api.path, &key.secret).await;
    assert_eq!(answer.status, Some(200), "{answer:?}");
    for (name, own) in own {
        let values = answer.headers.iter().filter(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str());
        let values = values.collect::<Vec<_>>();
        assert!(values.len() == 2 && values[0] == own && values[1].starts_with("\"requests-60s\";"), "{answer:?}");
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_on_both_protocols_what_was_exceeded_and_for_how_long() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("two", requests(2, 60)).await;
    assert_eq!(passed(&house, &api.path, &key.secret, 2).await, 2);
    let request = get(&api.path, &key.secret);
    assert_problem(&raw::send(house.listener(), &raw::request(&request)).await);
    let answers = python::send_h2(house.listener(), &[request]).await;
    assert_problem(&answers[0]);
    // Who is refused for another reason is told nothing of limits, and uses nothing up.
    let mistyped = call(&house, &api.path, &format!("{}x", key.secret)).await;
    assert_eq!((mistyped.status, mistyped.header("ratelimit")), (Some(401), None));
    let unlimited = call(&house, "/v1/models", &key.secret).await;
    assert_eq!((unlimited.status, unlimited.header("ratelimit")), (Some(200), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_without_retries_is_told_that_it_is_limited() {
    let _among_others = among_others().await;
    let house = House::start().await;
    house.limit(&house.serverless_api, requests_a_day(1)).await;
    let key = house.issue("serverless", json!({})).await;
    let base_url = format!("{}/v1", house.envoy().url());
    let calls = json!([
        {"base_url": base_url, "key": key.secret, "stream": false},
        {"base_url": base_url, "key": key.secret, "stream": false},
        {"base_url": base_url, "key": key.secret, "stream": true},
    ]);
    let outcomes = python::run("openai_client.py", &calls).await;
    assert_eq!(outcomes[0], json!({"text": "open the gate please", "tokens": 8}));
    for outcome in [&outcomes[1], &outcomes[2]] {
        assert_eq!(outcome["error"], "RateLimitError", "{outcome}");
        assert_eq!(outcome["status"], 429, "{outcome}");
        assert_eq!(outcome["code"], "rate_limit_exceeded", "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_as_it_comes_waits_as_long_as_announced_and_then_succeeds() {
    // Alone: it is to be refused, and that within the second in which a call comes back.
    let _alone = alone().await;
    let house = House::start().await;
    house.limit(&house.serverless_api, requests(60, 60)).await;
    let key = house.issue("serverless", json!({})).await;
    let (host, port) = (house.listener().ip().to_string(), house.listener().port());
    let report = python::run("openai_retries.py", &json!({"host": host, "port": port, "key": key.secret})).await;
    assert_eq!(report["text"], "open the gate please");
    let exchanges = report["exchanges"].as_array().unwrap();
    let statuses = exchanges.iter().map(|exchange| exchange["status"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(statuses, [429, 200], "{report}");
    let announced: f64 = exchanges[0]["retry_after"].as_str().unwrap().parse().unwrap();
    let waited = exchanges[1]["sent"].as_f64().unwrap() - exchanges[0]["came"].as_f64().unwrap();
    println!("the OpenAI client was told to wait {announced} s, waited {waited:.3} s, and was served");
    // The rest is the client's own work before and after it sleeps.
    assert!(waited >= announced && waited < announced + 0.5, "{waited} s rather than {announced} s");
}
