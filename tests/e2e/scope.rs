//! A gateway that serves some APIs is told of the keys for these and of no others; what it serves can be changed while
//! it does.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_tests::house::House;
use portcullis_tests::keys::{IssuedKey, Outcome};
use serde_json::{Value, json};

/// How often the APIs of a gateway are changed and changed back.
const ROUNDS: usize = 5;

/// A house whose Envoy serves everything, another Envoy that serves only `echo`, and keys.
struct Estate {
    all: House,
    edge: House,
    /// Confined to `echo`.
    echo: IssuedKey,
    /// Confined to the other serverless API, at `/other`.
    other: IssuedKey,
    /// For every serverless API.
    free: IssuedKey,
    dedicated: IssuedKey,
}

async fn estate() -> Estate {
    let all = House::start().await;
    let api = json!({"name": "other", "kind": "serverless", "match": {"path_prefix": "/other"}});
    all.admin().create("/v1/apis", &api).await.unwrap();
    let edge = all.annex(json!({"name": "edge", "apis": ["echo"]})).await;
    let echo = all.issue("serverless", json!({"apis": ["echo"]})).await;
    let other = all.issue("serverless", json!({"apis": ["other"]})).await;
    let dedicated = all.issue("dedicated", json!({})).await;
    let free = all.issue("serverless", json!({})).await;
    // Changes arrive in order, so once the last is known, all are.
    for house in [&all, &edge] {
        house.wait_for("/v1/models", &free.secret, 200).await;
    }
    Estate { all, edge, echo, other, free, dedicated }
}

async fn assert_gets(house: &House, path: &str, key: &IssuedKey, status: u16, code: &str) {
    let Outcome { status: got, code: said } = house.call(path, &key.secret).await;
    assert_eq!((got.as_u16(), said.as_str()), (status, code), "{path} with {}", key.answer["masked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_gateway_does_not_know_the_keys_of_other_apis() {
    let Estate { all, edge, echo, other, free, dedicated } = estate().await;
    for house in [&all, &edge] {
        assert_gets(house, "/v1/models", &echo, 200, "").await;
        assert_gets(house, "/v1/models", &free, 200, "").await;
    }
    // Where a key is known, it is told that it may not; where it is not, that it is none.
    for (key, path) in [(&other, "/other/models"), (&dedicated, "/dedicated/v1/models")] {
        assert_gets(&all, path, key, 200, "").await;
        assert_gets(&all, "/v1/models", key, 403, "insufficient_scope").await;
        assert_gets(&edge, "/v1/models", key, 401, "invalid_api_key").await;
    }
    assert_gets(&edge, "/other/models", &free, 404, "unknown_api").await;
    let (_, known) = edge.live_secrets().await;
    let mut ids = known.keys().map(ToString::to_string).collect::<Vec<_>>();
    ids.sort_unstable();
    let mut expected = [echo.id, free.id];
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_serves_changes_while_traffic_flows() {
    // The control plane is that of `_all`.
    let Estate { all: _all, edge, echo, other, free, dedicated } = estate().await;
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let traffic = async |key: &IssuedKey| {
        while !stop.load(Ordering::SeqCst) {
            assert_gets(&edge, "/v1/models", key, 200, "").await;
            served.fetch_add(1, Ordering::SeqCst);
        }
    };
    let serve = async |apis: Value| {
        let path = format!("/v1/gateways/{}", edge.gateway);
        edge.admin().change(&path, &json!({"apis": apis})).await.unwrap();
    };
    let change = async {
        for _ in 0..ROUNDS {
            serve(json!(["other", "echo"])).await;
            edge.wait_for("/other/models", &other.secret, 200).await;
            assert_gets(&edge, "/v1/models", &other, 403, "insufficient_scope").await;
            assert_gets(&edge, "/v1/models", &dedicated, 401, "invalid_api_key").await;
            serve(json!(["echo"])).await;
            edge.wait_for("/v1/models", &other.secret, 401).await;
            serve(Value::Null).await;
            edge.wait_for("/dedicated/v1/models", &dedicated.secret, 200).await;
            serve(json!(["echo"])).await;
            edge.wait_for("/v1/models", &dedicated.secret, 401).await;
        }
        // A key that is changed to reach the API, or no longer, comes and goes as well.
        let path = format!("/v1/keys/{}", other.id);
        edge.admin().change(&path, &json!({"apis": ["other", "echo"]})).await.unwrap();
        edge.wait_for("/v1/models", &other.secret, 200).await;
        edge.admin().change(&path, &json!({"apis": ["other"]})).await.unwrap();
        edge.wait_for("/v1/models", &other.secret, 401).await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(traffic(&echo), traffic(&free), change);
    let served = served.load(Ordering::SeqCst);
    println!("{} changes of a gateway's APIs with {served} requests meanwhile, none of them refused", 4 * ROUNDS);
    assert!(served > 10 * ROUNDS, "{served}");
}
