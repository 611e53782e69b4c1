//! What can be lost: with an Envoy that is killed, what it has counted since its last report, and no more. With one that is
//! drained first, nothing. With a virtual machine that traps, what that worker has not reported.

use std::time::{Duration, Instant};

use portcullis_tests::house::{DIRECT_PATH, House, REPORT_INTERVAL_MS, program};
use portcullis_tests::load::{Load, Pace};
use portcullis_tests::machine::{alone, among_others};
use portcullis_tests::raw;
use serde_json::{Value, json};

const PACE: Pace = Pace { connections: 16, pause: Duration::from_millis(1) };
/// How long the load lasts.
const LOAD: Duration = Duration::from_secs(3);
/// How often it is noted how many answers have come.
const NOTE_EVERY: Duration = Duration::from_millis(10);
/// How old a report may be at most when it is taken in: a worker is told by Envoy to tick once a second at least.
const INTERVAL_MAX: Duration = Duration::from_millis(1_000 + 2 * REPORT_INTERVAL_MS as u64);

async fn counted(house: &House) -> u64 {
    house.usage("").await["total"]["requests"].as_u64().expect("a count")
}

/// Waits until no more is counted for a while: so many.
async fn counted_at_last(house: &House) -> u64 {
    let mut before = counted(house).await;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = counted(house).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Calls without end for a while. How many answers came, and how many had come by when.
async fn load(house: &House) -> (u64, Vec<(Instant, u64)>) {
    let key = house.issue("serverless", json!({})).await;
    let load = Load::start(house.listener(), PACE, DIRECT_PATH, &key.secret).await;
    let (start, mut notes) = (Instant::now(), Vec::new());
    while start.elapsed() < LOAD {
        notes.push((Instant::now(), load.count(200)));
        tokio::time::sleep(NOTE_EVERY).await;
    }
    let tallies = load.stop().await;
    assert_eq!(tallies[0].statuses(), [200]);
    (tallies[0].count(200), notes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_envoy_loses_at_most_its_last_interval() {
    let _alone = alone().await;
    let mut house = House::start().await;
    house.worker_names().await;
    let (answered, notes) = load(&house).await;
    house.kill_envoy().await;
    let killed = Instant::now();
    let counted = counted_at_last(&house).await;
    let lost = answered.checked_sub(counted).expect("no request is counted that was not answered");
    // When so many were answered that all of them are counted.
    let whole = notes.iter().take_while(|(_, count)| *count <= counted).last().map_or(killed, |(at, _)| *at);
    let since = killed - whole;
    println!("killed: {lost} of {answered} requests were lost, those of the last {} ms", since.as_millis());
    assert!(since < INTERVAL_MAX, "what was lost began {since:?} before the end");
    assert!(counted > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_is_drained_before_it_is_stopped_loses_nothing() {
    let _alone = alone().await;
    let mut house = House::start().await;
    house.worker_names().await;
    let (answered, _) = load(&house).await;
    let drain = format!("{}/drain_listeners?graceful", house.envoy().admin_url());
    house.http.post(drain).send().await.expect("Envoy drains").error_for_status().expect("Envoy drains");
    tokio::time::sleep(INTERVAL_MAX).await;
    house.stop_envoy().await;
    assert_eq!(counted_at_last(&house).await, answered);
}

/// One call, which may ask the filter to break.
async fn call(house: &House, secret: &str, more: &str) -> Option<u16> {
    let request = format!(
        "GET {DIRECT_PATH} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\n{more}connection: close\r\n\r\n"
    );
    raw::send(house.listener(), request.as_bytes()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_traps_loses_what_it_has_not_reported_and_counts_on() {
    let _among_others = among_others().await;
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    house.start_envoy_with(program("PORTCULLIS_TRAPPING_WASM"), 1).await;
    house.wait_for(DIRECT_PATH, &key.secret, 200).await;
    let reported = house
        .wait_for_usage("what was called is counted", || async {
            let total = counted(&house).await;
            if total >= 8 { Ok(total) } else { Err(total.to_string()) }
        })
        .await;
    for _ in 0..3 {
        assert_eq!(call(&house, &key.secret, "").await, Some(200));
    }
    assert_eq!(call(&house, &key.secret, "x-portcullis-trap: 1\r\n").await, Some(503));
    let mut after = 0;
    let start = Instant::now();
    while after < 5 {
        after += u64::from(call(&house, &key.secret, "").await == Some(200));
        assert!(start.elapsed() < Duration::from_secs(20), "it is not loaded anew");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let total = counted_at_last(&house).await;
    println!("a trap lost {} of 3 requests", reported + 3 + after - total);
    assert!((reported + after..=reported + 3 + after).contains(&total), "{total}: {reported} before, {after} after");
    let by_outcome = house.usage("group_by=outcome").await;
    let labels = by_outcome["items"].as_array().expect("items").iter().map(|item| &item["outcome"]);
    assert_eq!(labels.collect::<Vec<_>>(), [&Value::from("2xx")], "{by_outcome}");
}
