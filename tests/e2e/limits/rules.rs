//! Several rules, rules of zero, and rules that only observe.

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::limits::{DAY_SECONDS, requests_a_day, rule};
use portcullis_tests::load::{Load, Pace};
use portcullis_tests::machine::{alone, among_others};
use portcullis_tests::raw::Answer;
use serde_json::{Value, json};

use crate::{call, passed};

/// How long a figure in Envoy's statistics may take: workers publish once a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Without a pause, so that thousands are refused.
const PACE: Pace = Pace { connections: 16, pause: Duration::ZERO };

/// The names of the policies that a refusal says were violated.
fn violated(answer: &Answer) -> Value {
    let body: Value = serde_json::from_str(&answer.body).expect("a problem document");
    body["violated-policies"].clone()
}

/// Waits until a counter of Envoy's is there and says so much.
pub async fn assert_counts(house: &House, counter: &str, expected: u64) {
    let start = Instant::now();
    loop {
        let statistics = house.statistics().await;
        let line = statistics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        let value = line.map(|value| value.parse::<u64>().expect("a count"));
        if value == Some(expected) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{counter} is {value:?} rather than {expected}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_rule_refuses_is_taken_from_no_other() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let rules = json!({"rules": [rule("requests", 5, DAY_SECONDS), rule("requests", 3, 3)]});
    let api = house.limited_api("twofold", rules).await;
    assert_eq!(passed(&house, &api.path, &key.secret, 3).await, 3);
    // One comes back each second; what is tried in the meantime takes nothing from the day.
    let refused = call(&house, &api.path, &key.secret).await;
    assert_eq!((refused.status, violated(&refused)), (Some(429), json!(["requests-3s"])));
    let more = passed(&house, &api.path, &key.secret, 30).await;
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    assert_eq!(more + passed(&house, &api.path, &key.secret, 3).await, 2);
    let refused = call(&house, &api.path, &key.secret).await;
    assert_eq!((refused.status, violated(&refused)), (Some(429), json!(["requests-86400s"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_rule_refuses_under_load_is_taken_from_no_other() {
    let _alone = alone().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    // After the first 100 it takes 1.5 seconds until the day's 250 are used, among thousands that the second refuses.
    let rules = [(250, DAY_SECONDS), (100, 1), (3_000, DAY_SECONDS)];
    let rules = json!({"rules": rules.map(|(limit, window_seconds)| rule("requests", limit, window_seconds))});
    let api = house.limited_api("threefold", rules).await;
    let load = Load::start(house.listener(), PACE, &api.path, &key.secret).await;
    load.wait_until("the day's are used up", |load| load.count(200) >= 250).await;
    let refused = load.count(429);
    load.wait_until("the rest is refused", |load| load.count(429) >= refused + 2_000).await;
    let tally = load.stop().await.remove(0);
    assert_eq!((tally.count(200), tally.statuses()), (250, vec![200, 429]));
    // The third rule has lost what has passed, and nothing else.
    let answer = call(&house, &api.path, &key.secret).await;
    let left = answer.header("ratelimit").unwrap_or_default();
    assert!(left.contains("\"requests-86400s-2\";r=2750"), "{left}; {refused} were refused first");
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_means_none_and_promises_nothing() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let mut no_burst = rule("requests", 60, 60);
    no_burst["burst"] = json!(0);
    for (name, rule) in [("limit", rule("requests", 0, 60)), ("burst", no_burst), ("tokens", rule("tokens", 0, 60))] {
        let api = house.limited_api(name, json!({"rules": [rule]})).await;
        for _ in 0..3 {
            let answer = call(&house, &api.path, &key.secret).await;
            assert_eq!((answer.status, answer.header("retry-after")), (Some(429), None), "{name}: {answer:?}");
        }
        house.limit(&api.id, requests_a_day(2)).await;
        assert_eq!(passed(&house, &api.path, &key.secret, 4).await, 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_observes_refuses_nothing_and_counts_what_it_would_have_refused() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let mut observing = rule("requests", 5, DAY_SECONDS);
    observing["mode"] = json!("observe");
    let alone = house.limited_api("observed", json!({"rules": [observing]})).await;
    let beside = house.limited_api("both", json!({"rules": [observing, rule("requests", 10, DAY_SECONDS / 2)]})).await;

    for _ in 0..20 {
        let answer = call(&house, &alone.path, &key.secret).await;
        let limit_headers = ["ratelimit", "ratelimit-policy", "retry-after"].map(|name| answer.header(name));
        assert_eq!((answer.status, limit_headers), (Some(200), [None; 3]), "{answer:?}");
    }
    let answer = call(&house, &beside.path, &key.secret).await;
    assert_eq!(answer.header("ratelimit-policy"), Some("\"requests-43200s\";q=10;w=43200"));
    assert_eq!(passed(&house, &beside.path, &key.secret, 19).await, 9);

    let of_api = |id: &str| format!("portcullis_rate_limit_observed_total{{api=\"{id}\"}}");
    // Of 20 calls 5 would have passed.
    assert_counts(&house, &of_api(&alone.id), 15).await;
    // The same here, where the other rule refused ten of them.
    assert_counts(&house, &of_api(&beside.id), 15).await;
    assert_counts(&house, "portcullis_requests_total{outcome=\"rate_limited\"}", 10).await;
}
