//! A limit of N admits exactly N, with 1, 2 and 4 workers, under a load on many connections.
//!
//! Envoy answers what passes by itself, so that the load is one for its filter and not for the upstream.

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::limits::{DAY_SECONDS, LimitedApi, requests};
use portcullis_tests::load::{Load, Tally};
use serde_json::json;

use crate::alone;
use crate::bounds::Bounds;

/// Limits that are counted one by one.
const SMALL: [u64; 4] = [1, 10, 60, 1_000];
/// A limit that workers lease from.
const LARGE: u64 = 100_000;
const WINDOWS_SECONDS: [u32; 2] = [60, DAY_SECONDS];
/// Workers of the Envoys.
const THREADS: [u32; 3] = [1, 2, 4];
/// Enough to give each worker some.
const CONNECTIONS: usize = 64;
/// How many refusals show that nothing is left.
const REFUSALS: u64 = 2_000;
/// How many show it where each worker has a lease of its own.
const REFUSALS_OF_LARGE: u64 = 10_000;
/// The least time that a small limit is called for, so that some of what is limited by the minute comes back.
const AT_LEAST: Duration = Duration::from_millis(1_500);

/// Calls until all was let pass that could be, and for a while after.
async fn exhausted(house: &House, api: &LimitedApi, key: &IssuedKey, refusals: u64, at_least: Duration) -> Tally {
    let start = Instant::now();
    let load = Load::start(house.listener(), CONNECTIONS, &api.path, &key.secret).await;
    load.wait_until("all is used up", |load| load.count(429) >= refusals && start.elapsed() >= at_least).await;
    let tally = load.stop().await.remove(0);
    assert_eq!(tally.statuses(), [200, 429], "{tally:?}");
    tally
}

fn report(threads: u32, limit: u64, window_seconds: u32, bounds: Bounds, tally: &Tally) {
    let Bounds { least, most } = bounds;
    let (passed, refused) = (tally.count(200), tally.count(429));
    let took = tally.answers[&429].last_came - tally.first_sent.expect("a request");
    println!(
        "{threads} workers, {limit} per {window_seconds} s: {passed} passed of {least} to {most}; {refused} refused, {:.1} s",
        took.as_secs_f64(),
    );
}

async fn assert_exact(threads: u32) {
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let mut apis = Vec::new();
    for window_seconds in WINDOWS_SECONDS {
        for limit in SMALL.into_iter().chain([LARGE]) {
            let api =
                house.limited_api(&format!("{limit}-per-{window_seconds}"), requests(limit, window_seconds)).await;
            apis.push((limit, window_seconds, api));
        }
    }
    house.start_envoy(threads).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    for (limit, window_seconds, api) in apis {
        let small = limit != LARGE;
        let by_the_minute = window_seconds != DAY_SECONDS;
        let (refusals, at_least) = if small { (REFUSALS, AT_LEAST) } else { (REFUSALS_OF_LARGE, Duration::ZERO) };
        let at_least = if by_the_minute { at_least } else { Duration::ZERO };
        let tally = exhausted(&house, &api, &key, refusals, at_least).await;
        let bounds = Bounds::of(limit, window_seconds, &tally);
        report(threads, limit, window_seconds, bounds, &tally);
        let passed = tally.count(200);
        assert!(passed <= bounds.most, "{passed} of at most {}", bounds.most);
        // Half a percent may lie in leases where there are any.
        let least = if small { bounds.least } else { bounds.least - bounds.least / 200 };
        assert!(passed >= least, "{passed} of at least {least}");
        if small && !by_the_minute {
            assert_eq!(passed, limit);
        }
    }
    // Otherwise it would have been shown of fewer workers.
    let connections = house.connections_of_threads().await;
    assert!(connections.len() == threads as usize && !connections.contains(&0), "{connections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_n_admits_exactly_n_however_many_workers_there_are() {
    let _alone = alone().await;
    for threads in THREADS {
        assert_exact(threads).await;
    }
}
