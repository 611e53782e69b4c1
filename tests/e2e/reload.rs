//! A filter that breaks: Envoy answers 503, loads it anew, and lets nothing pass unchecked meanwhile.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::time::{Duration, Instant};

use portcullis_tests::house::{House, program};
use portcullis_tests::raw::{self, Answer};
use serde_json::json;

async fn call(house: &House, secret: &str, more: &str) -> Answer {
    let request = format!(
        "GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\n{more}connection: close\r\n\r\n"
    );
    raw::send(house.listener(), request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_filter_traps_refuses_reloads_syncs_and_serves_again() {
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    house.start_envoy_with(program("PORTCULLIS_TRAPPING_WASM"), 1).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    for round in 1..=3 {
        let broken = call(&house, &key.secret, "x-portcullis-trap: 1\r\n").await;
        assert_eq!(broken.status, Some(503), "round {round}: {broken:?}");
        let start = Instant::now();
        loop {
            let stranger = call(&house, "nonsense", "").await;
            assert!(matches!(stranger.status, Some(401 | 503)), "round {round}: {stranger:?}");
            let holder = call(&house, &key.secret, "").await;
            match holder.status {
                Some(200) => break,
                Some(503) => assert!(start.elapsed() < Duration::from_secs(10), "round {round}: {holder:?}"),
                _ => panic!("round {round}: {holder:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("round {round}: served again {} ms after the trap", start.elapsed().as_millis());
        // A reload is tried once a second at most.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    let url = format!("{}/stats?filter=vm_reload_success", house.envoy().admin_url());
    let reloads = house.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(reloads.trim_end().ends_with(": 3"), "{reloads}");
    assert_the_dead_are_forgotten(&house).await;
}

/// Three starts of the one worker are no more: the living set their figures to zero after ten seconds.
async fn assert_the_dead_are_forgotten(house: &House) {
    let start = Instant::now();
    loop {
        let keys = house.of_each_worker("keys").await;
        // One worker, and the main thread.
        if keys.len() > 2 && keys.values().filter(|keys| **keys > 0).count() == 2 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{keys:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("the figures of dead workers were gone after {} ms", start.elapsed().as_millis());
}
