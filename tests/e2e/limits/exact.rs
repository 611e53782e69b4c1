//! A limit of N admits exactly N, with 1, 2 and 4 workers, under a load on many connections.
//!
//! Envoy answers what passes by itself, so that the load is one for its filter and not for the upstream.

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::limits::{DAY_SECONDS, LimitedApi, requests};
use portcullis_tests::load::{Load, Pace, Tally};
use portcullis_tests::machine::alone;
use serde_json::json;

use crate::bounds::Bounds;

/// Limits that are counted one by one.
const SMALL: [u64; 4] = [1, 10, 60, 1_000];
/// A limit that workers lease from.
const LARGE: u64 = 100_000;
const WINDOWS_SECONDS: [u32; 2] = [60, DAY_SECONDS];
/// Workers of the Envoys.
const THREADS: [u32; 3] = [1, 2, 4];
/// Enough connections to give each worker some, and requests without a pause.
const PACE: Pace = Pace { connections: 64, pause: Duration::ZERO };
/// How many refusals show that nothing is left.
const REFUSALS: u64 = 2_000;
/// How many show it where each worker has a lease of its own.
const REFUSALS_OF_LARGE: u64 = 10_000;
/// The least time that a small limit is called for, so that some of what is limited by the minute comes back.
const AT_LEAST: Duration = Duration::from_millis(1_500);

/// A limit, and how it is called until nothing is left of it.
struct Case {
    limit: u64,
    window_seconds: u32,
    refusals: u64,
    at_least: Duration,
}

impl Case {
    fn new(limit: u64, window_seconds: u32) -> Self {
        let by_the_minute = window_seconds != DAY_SECONDS;
        let at_least = if by_the_minute { AT_LEAST } else { Duration::ZERO };
        let refusals = if limit == LARGE { REFUSALS_OF_LARGE } else { REFUSALS };
        Self { limit, window_seconds, refusals, at_least }
    }

    /// Calls until all was let pass that could be, and for a while after.
    async fn run(&self, house: &House, api: &LimitedApi, key: &IssuedKey) -> Tally {
        let start = Instant::now();
        let load = Load::start(house.listener(), PACE, &api.path, &key.secret).await;
        let is_over = |load: &Load| load.count(429) >= self.refusals && start.elapsed() >= self.at_least;
        load.wait_until("all is used up", is_over).await;
        let tally = load.stop().await.remove(0);
        assert_eq!(tally.statuses(), [200, 429], "{tally:?}");
        tally
    }

    fn assert_admitted(&self, tally: &Tally, threads: u32) {
        let Self { limit, window_seconds, .. } = *self;
        let bounds = Bounds::of(limit, window_seconds, tally);
        let Bounds { least, most } = bounds;
        let (passed, refused) = (tally.count(200), tally.count(429));
        let took = tally.answers[&429].last_came - tally.first_sent.expect("a request");
        println!(
            "{threads} workers, {limit} per {window_seconds} s: {passed} passed of {least} to {most}; {refused} refused, \
             {:.1} s",
            took.as_secs_f64(),
        );
        assert!(passed <= most, "{passed} of at most {most}");
        // Half a percent may lie in leases where there are any.
        let least = if limit == LARGE { least - least / 200 } else { least };
        assert!(passed >= least, "{passed} of at least {least}");
        if window_seconds == DAY_SECONDS && limit != LARGE {
            // Nothing has come back: this is the limit itself.
            assert_eq!(most, limit);
        }
    }
}

async fn assert_exact(threads: u32) {
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let mut cases = Vec::new();
    for window_seconds in WINDOWS_SECONDS {
        for limit in SMALL.into_iter().chain([LARGE]) {
            let name = format!("direct/{limit}-per-{window_seconds}");
            let api = house.limited_api(&name, requests(limit, window_seconds)).await;
            cases.push((Case::new(limit, window_seconds), api));
        }
    }
    house.start_envoy(threads).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    for (case, api) in cases {
        let tally = case.run(&house, &api, &key).await;
        case.assert_admitted(&tally, threads);
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
