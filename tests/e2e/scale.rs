//! 100,000 keys: the snapshot comes in pages, is loaded in under two seconds, and its memory is known.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::time::{Duration, Instant};

use portcullis_core::key::PlainKey;
use portcullis_tests::bulk::numbered_key;
use portcullis_tests::house::House;
use serde_json::json;

const KEYS: u32 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_are_loaded_in_pages_within_two_seconds() {
    let mut house = House::without_envoy().await;
    let pattern = house.issue("serverless", json!({})).await;
    let secrets = (1..KEYS).map(numbered_key).collect::<Vec<_>>();
    let digests = secrets.iter().map(PlainKey::digest).collect::<Vec<_>>();
    house.direct().await.copy_key(pattern.id.parse().unwrap(), &digests).await;

    let pages = house.snapshot_pages().await;
    let records = pages.iter().map(|page| page.records.len()).sum::<usize>();
    println!("snapshot: {records} records in {} pages", pages.len());
    assert!(pages.len() > 10);

    house.start_envoy(2).await;
    assert_loaded(&house).await;
    for secret in secrets.iter().step_by(9_999) {
        assert_eq!(house.call("/v1/models", secret.reveal()).await.status, 200);
    }
    let deleted = house.delete(&pattern.id).await;
    assert_eq!(deleted["status"], "revoked");
    house.wait_for("/v1/models", &pattern.secret, 401).await;
    assert_workers_are_listed(&house).await;
}

/// Every worker says in Envoy's log how long it took and how much memory it has.
async fn assert_loaded(house: &House) {
    let ready = || {
        let log = house.envoy_log();
        let lines = log.lines().filter_map(|line| line.split_once("portcullis: ready with "));
        lines.map(|(_, said)| said.to_owned()).collect::<Vec<_>>()
    };
    let start = Instant::now();
    // Two workers and the main thread.
    while ready().len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", ready());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for said in ready() {
        println!("a worker was ready with {said}");
        let numbers = said.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok());
        let [keys, _, took_ms, _] = numbers.collect::<Vec<u64>>()[..] else {
            panic!("unexpected: {said}");
        };
        assert_eq!(keys, u64::from(KEYS));
        assert!(took_ms < 2_000, "{said}");
    }
}

async fn assert_workers_are_listed(house: &House) {
    let workers = house.workers_at_head().await;
    for worker in &workers {
        assert_eq!(worker["node"], "local", "{worker}");
        assert!(worker["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 3_600_000), "{worker}");
    }
}
