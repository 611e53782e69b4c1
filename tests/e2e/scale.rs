//! 100,000 keys: the snapshot comes in pages, is loaded in under two seconds, its memory is known, and requests that
//! come meanwhile are held until it is there or judged by what was there.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_core::key::PlainKey;
use portcullis_tests::bulk::numbered_key;
use portcullis_tests::house::House;
use portcullis_tests::measure::summary;
use portcullis_tests::ready;
use serde_json::json;

const KEYS: u32 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_are_loaded_in_pages_within_two_seconds_while_requests_go_on() {
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
    // Callers wait for the key set, and after 2 s no longer.
    let held = calls_during(&house, secrets[0].reveal(), assert_loaded(&house)).await;
    assert_all(&held, &[200, 503], &[401, 503]);
    for secret in secrets.iter().step_by(9_999) {
        assert_eq!(house.call("/v1/models", secret.reveal()).await.status, 200);
    }
    let deleted = house.delete(&pattern.id).await;
    assert_eq!(deleted["status"], "revoked");
    house.wait_for("/v1/models", &pattern.secret, 401).await;
    assert_workers_are_known(&house).await;

    // All is loaded once more, and callers notice nothing.
    let reload = async {
        let gateway = format!("/v1/gateways/{}", house.gateway);
        house.admin().change(&gateway, &json!({"apis": [house.serverless_api]})).await.unwrap();
        house.workers_at_head().await;
    };
    let served = calls_during(&house, secrets[0].reveal(), reload).await;
    assert_all(&served, &[200], &[401]);
    assert_workers_are_known(&house).await;
}

/// Status and duration of calls with a good key, and with one that does not exist.
struct Calls {
    good: Vec<(u16, Duration)>,
    bad: Vec<(u16, Duration)>,
}

/// Calls without a pause while `work` goes on.
async fn calls_during(house: &House, secret: &str, work: impl Future<Output = ()>) -> Calls {
    let is_over = AtomicBool::new(false);
    let unknown = numbered_key(KEYS);
    let calls = async |secret: &str| {
        let mut calls = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let start = Instant::now();
            let status = house.call("/v1/models", secret).await.status.as_u16();
            calls.push((status, start.elapsed()));
        }
        calls
    };
    let work = async {
        work.await;
        is_over.store(true, Ordering::SeqCst);
    };
    let (good, bad, ()) = tokio::join!(calls(secret), calls(unknown.reveal()), work);
    Calls { good, bad }
}

/// Whatever goes on, a good key is never refused as if it were none, and a bad one never opens anything.
fn assert_all(calls: &Calls, good: &[u16], bad: &[u16]) {
    for (calls, expected) in [(&calls.good, good), (&calls.bad, bad)] {
        let times = calls.iter().map(|(_, took)| *took).collect::<Vec<_>>();
        println!("{} calls while keys were loaded: {}", calls.len(), summary(&times));
        assert!(!calls.is_empty());
        assert!(calls.iter().all(|(status, _)| expected.contains(status)), "not {expected:?}: {calls:?}");
    }
}

/// Every worker says in Envoy's log how long it took and how much memory it has.
async fn assert_loaded(house: &House) {
    let start = Instant::now();
    // Two workers and the main thread.
    while ready::said(&house.envoy_log()).len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", house.envoy_log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for ready in ready::said(&house.envoy_log()) {
        println!("a worker was ready: {ready:?}");
        assert_eq!(ready.keys, u64::from(KEYS));
        assert!(ready.took_ms < 2_000, "{ready:?}");
    }
}

/// The control plane lists every worker, and Envoy's statistics say the same of it.
async fn assert_workers_are_known(house: &House) {
    let workers = house.workers_at_head().await;
    for worker in &workers {
        assert_eq!(worker["node"], "local", "{worker}");
        assert!(worker["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 3_600_000), "{worker}");
    }
    // Workers publish once a second.
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let revision = workers[0]["revision"].as_u64().unwrap();
    assert_eq!(house.of_each_worker("revision").await, (0..3).map(|worker| (worker, revision)).collect());
    let keys = u64::from(KEYS) - 1;
    assert_eq!(house.of_each_worker("keys").await, (0..3).map(|worker| (worker, keys)).collect());
    let ages_ms = house.of_each_worker("contact_age_milliseconds").await;
    // A poll is answered within 20 s, and its answer tells of the time at which it was sent.
    assert!(ages_ms.len() == 3 && ages_ms.values().all(|age_ms| *age_ms < 60_000), "{ages_ms:?}");
    let pauses_us = house.of_each_worker("longest_pause_microseconds").await;
    println!("longest pauses of the workers: {:?} µs", pauses_us.values());
    assert!(pauses_us.len() == 3 && pauses_us.values().all(|pause_us| *pause_us > 0), "{pauses_us:?}");
}
