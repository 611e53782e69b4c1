//! Policies, keys and switches that change under load. Nothing that changes hands out a second quota, and no request waits
//! for it.
//!
//! Limits are those of a day, so that nothing comes back, and sums are exact.

use std::time::Duration;

use portcullis_tests::house::House;
use portcullis_tests::limits::{DAY_SECONDS, requests, requests_a_day};
use portcullis_tests::load::{Load, Pace, Tally};
use portcullis_tests::machine::alone;
use serde_json::{Value, json};

use crate::bounds::{returned, spans};

/// Here the load shows that it never stops, and leaves room for what changes.
const PACE: Pace = Pace { connections: 16, pause: Duration::from_millis(3) };
/// How many refusals show that nothing is left.
const REFUSALS: u64 = 500;
/// A request that takes longer has been waiting for something.
const STALL: Duration = Duration::from_secs(2);

async fn load(house: &House, path: &str, secret: &str) -> Load {
    Load::start(house.listener(), PACE, path, secret).await
}

/// Waits until so many have passed since the load began, and sees that no more do.
async fn assert_settles_at(load: &Load, passed: u64) {
    load.wait_until("all passes that may", |load| load.count(200) >= passed).await;
    let refused = load.count(429);
    load.wait_until("the rest is refused", |load| load.count(429) >= refused + REFUSALS).await;
    assert_eq!(load.count(200), passed);
}

/// Sees that nothing passes of what is sent from now on.
async fn assert_nothing_passes(load: &Load) {
    load.turn();
    load.wait_until("all is refused", |load| load.tally().count(429) >= REFUSALS).await;
    assert_eq!(load.tally().statuses(), [429], "{:?}", load.tally());
}

/// Sees that nothing is refused of what is sent from now on.
async fn assert_all_passes(load: &Load) {
    load.turn();
    load.wait_until("all passes", |load| load.tally().count(200) >= REFUSALS).await;
    assert_eq!(load.tally().statuses(), [200], "{:?}", load.tally());
}

/// No request got anything but these, and none waited.
fn assert_no_stall(what: &str, phases: &[Tally], statuses: &[u16]) {
    let slowest = phases.iter().map(|tally| tally.slowest).max().unwrap_or_default();
    let count = phases.iter().flat_map(|tally| tally.answers.values()).map(|answers| answers.count).sum::<u64>();
    println!("{what}: {count} requests, the slowest took {:.1} ms", slowest.as_secs_f64() * 1000.0);
    assert!(slowest < STALL, "{slowest:?}");
    for tally in phases {
        assert!(tally.statuses().iter().all(|status| statuses.contains(status)), "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_carries_over_what_was_used() {
    let _alone = alone().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("changing", requests_a_day(50)).await;
    let load = load(&house, &api.path, &key.secret).await;
    assert_settles_at(&load, 50).await;

    // Raised: what was added, and no more.
    house.limit(&api.id, requests_a_day(80)).await;
    assert_settles_at(&load, 80).await;

    // Lowered below what was used: nothing. Raised again: what was used is still used.
    house.limit(&api.id, requests_a_day(60)).await;
    assert_nothing_passes(&load).await;
    house.limit(&api.id, requests_a_day(100)).await;
    assert_settles_at(&load, 100).await;

    // Another window.
    house.limit(&api.id, requests(100, 2 * DAY_SECONDS)).await;
    assert_nothing_passes(&load).await;
    house.limit(&api.id, requests(120, DAY_SECONDS / 2)).await;
    assert_settles_at(&load, 120).await;

    // Another rule beside it.
    let both = [requests(120, DAY_SECONDS / 2), requests(125, DAY_SECONDS)].map(|policy| policy["rules"][0].clone());
    house.limit(&api.id, json!({"rules": both})).await;
    assert_nothing_passes(&load).await;

    // Removed, and set again.
    house.limit(&api.id, Value::Null).await;
    assert_all_passes(&load).await;
    house.limit(&api.id, requests(120, DAY_SECONDS / 2)).await;
    assert_nothing_passes(&load).await;

    assert_no_stall("a changing policy", &load.stop().await, &[200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_by_the_minute_that_is_raised_from_60_to_100_gives_40_more() {
    let _alone = alone().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("minute", requests(60, 60)).await;
    let load = load(&house, &api.path, &key.secret).await;
    load.wait_until("the first 60 pass", |load| load.count(200) >= 60 && load.count(429) >= REFUSALS).await;
    house.limit(&api.id, requests(100, 60)).await;
    let refused = load.count(429);
    load.wait_until("40 more pass", |load| load.count(200) >= 100 && load.count(429) >= refused + REFUSALS).await;
    let phases = load.stop().await;
    // It comes back at the rate of the one policy or the other.
    let [shortest, longest] = spans(&phases[0]);
    let (least, most) = (100 + returned(shortest, 60, 60), 100 + returned(longest, 100, 60));
    let passed = phases[0].count(200);
    println!("60 per minute, then 100: {passed} passed of {least} to {most}");
    assert!((least..=most).contains(&passed), "{passed} of {least} to {most}");
    assert_no_stall("a limit by the minute", &phases, &[200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissued_key_keeps_what_it_has_used() {
    let _alone = alone().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("reissued", requests_a_day(3_000)).await;
    let old = load(&house, &api.path, &key.secret).await;
    old.wait_until("some pass", |load| load.count(200) >= 500).await;
    let reissued = house.reissue(&key.id).await;
    assert_eq!(reissued.answer["propagation"]["status"], "complete", "{}", reissued.answer["propagation"]);
    let used = old.count(200);
    assert!(used < 3_000, "too fast: nothing is left for the new secret");
    let new = load(&house, &api.path, &reissued.secret).await;
    new.wait_until("all is used up", |load| load.count(429) >= REFUSALS).await;

    let (old, new) = (old.stop().await, new.stop().await);
    println!("{} with the old secret, {} with the new one", old[0].count(200), new[0].count(200));
    assert_eq!(old[0].count(200) + new[0].count(200), 3_000);
    // The old secret opens nothing, and uses nothing up.
    assert_no_stall("the old secret", &old, &[200, 401]);
    assert_no_stall("the new secret", &new, &[200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_turned_off_and_on_gives_no_second_quota() {
    let _alone = alone().await;
    let house = House::start().await;
    house.limit(&house.dedicated_api, requests_a_day(50)).await;
    let key = house.issue("dedicated", json!({"rate_limit_enabled": true})).await;
    let load = load(&house, "/dedicated/v1/echo", &key.secret).await;
    assert_settles_at(&load, 50).await;
    for _ in 0..3 {
        house.hold_to_limits(&key.id, false).await;
        assert_all_passes(&load).await;
        house.hold_to_limits(&key.id, true).await;
        assert_nothing_passes(&load).await;
    }
    assert_no_stall("a switched key", &load.stop().await, &[200, 429]);
}
