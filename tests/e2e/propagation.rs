//! How soon a change is everywhere: issued keys work, deleted ones stop, expired ones end at their second.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::time::Duration;

use portcullis_tests::house::House;
use portcullis_tests::keys::{rfc3339, whole_second_in};
use portcullis_tests::measure::summary;
use serde_json::json;
use time::OffsetDateTime;

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_key_works_and_a_deleted_one_stops_within_a_second() {
    let house = House::start().await;
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let key = house.issue("serverless", json!({})).await;
        opened.push(house.wait_for("/v1/models", &key.secret, 200).await);
        house.delete(&key.id).await;
        closed.push(house.wait_for("/v1/models", &key.secret, 401).await);
    }
    let slowest = opened.iter().chain(&closed).max().copied();
    println!("from the answer to an issue until the key works: {}", summary(&opened));
    println!("from the answer to a delete until the key stops: {}", summary(&closed));
    assert!(slowest < Some(Duration::from_secs(1)), "{slowest:?}");
}

/// Calls until the key is refused, and checks that it was served until `expiry` and not after.
async fn assert_ends_at(house: &House, secret: &str, expiry: OffsetDateTime) {
    // The clock that counts is the control plane's; it reaches the worker with an answer, one way of which it cannot
    // see. On a busy machine that way can take a while.
    let tolerance = Duration::from_millis(300);
    let mut served = 0;
    loop {
        let before = OffsetDateTime::now_utc();
        let outcome = house.call("/v1/models", secret).await;
        let after = OffsetDateTime::now_utc();
        if outcome.status == 200 {
            served += 1;
            assert!(before < expiry + tolerance, "served {} after its expiry", before - expiry);
        } else {
            assert_eq!((outcome.status.as_u16(), outcome.code.as_str()), (401, "expired_api_key"));
            assert!(after > expiry - tolerance, "refused {} before its expiry", expiry - after);
            println!("expired {:+} ms after its second", (after - expiry).whole_milliseconds());
            break;
        }
    }
    assert!(served > 0, "the key never worked");
    // Once expired, it stays so on every worker.
    house.wait_for("/v1/models", secret, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_expires_at_its_second_with_and_without_the_control_plane() {
    let mut house = House::start().await;
    let expiry = whole_second_in(2);
    let key = house.issue("serverless", json!({"expires_at": rfc3339(expiry)})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    assert_ends_at(&house, &key.secret, expiry).await;

    let expiry = whole_second_in(3);
    let key = house.issue("serverless", json!({"expires_at": rfc3339(expiry)})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    house.stop_control_plane().await;
    assert_ends_at(&house, &key.secret, expiry).await;
}
