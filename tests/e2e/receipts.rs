//! Receipts that must say pending, and of whom: an Envoy that is frozen, and one that cannot be reached by a control plane
//! which knows it from the database alone. And a receipt of one replica, which covers the workers of the other.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_tests::database::Database;
use portcullis_tests::house::House;
use portcullis_tests::link::Link;
use portcullis_tests::measure::quantiles;
use portcullis_tests::receipts::Receipt;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

/// How long a receipt is waited for that cannot become complete.
const WAIT_MS: u32 = 500;
/// How long one may take to become complete once nothing is in its way.
const PATIENCE: Duration = Duration::from_secs(20);
/// Workers of one Envoy.
const WORKERS: usize = 3;

/// Calls once more often than there are workers, on a connection each: none may accept the key.
async fn assert_refused_everywhere(house: &House, secret: &str) {
    for _ in 0..12 {
        let outcome = house.call("/v1/models", secret).await;
        assert_eq!(outcome.status, StatusCode::UNAUTHORIZED, "after a complete receipt");
    }
}

fn assert_pending(receipt: &Receipt, workers: &BTreeSet<String>) {
    assert!(!receipt.complete && receipt.pending == *workers, "{receipt:?} rather than {workers:?}");
    assert_eq!(receipt.stopped, 0, "{receipt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_envoy_is_named_until_it_goes_on() {
    let house = House::start().await;
    let annex = house.annex(json!({"name": "annex"})).await;
    let (own, frozen) = (house.worker_names().await, annex.worker_names().await);
    assert_eq!((own.len(), frozen.len()), (WORKERS, WORKERS));
    let key = house.issue("serverless", json!({})).await;
    annex.wait_for("/v1/models", &key.secret, 200).await;

    annex.envoy().process.signal(Signal::STOP);
    let receipt = house.delete_within(&key.id, WAIT_MS).await;
    assert_pending(&receipt, &frozen);
    assert!(receipt.enforced_by.is_none(), "nothing bounds how long a frozen Envoy knows the key: {receipt:?}");
    assert_refused_everywhere(&house, &key.secret).await;
    assert_pending(&house.receipt(receipt.revision).await, &frozen);
    // Deleting again asks for the same.
    assert_pending(&house.delete_within(&key.id, 0).await, &frozen);

    annex.envoy().process.signal(Signal::CONT);
    let receipt = house.complete(receipt.revision, PATIENCE).await;
    assert_eq!(receipt.applied, 6, "{receipt:?}");
    assert_refused_everywhere(&annex, &key.secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_control_plane_names_workers_that_it_has_never_heard() {
    let mut house = House::start().await;
    let mut link = Link::to(house.sync()).await;
    let annex = house.annex_by_way_of(link.address(), json!({"name": "annex"})).await;
    let (own, cut_off) = (house.worker_names().await, annex.worker_names().await);
    let key = house.issue("serverless", json!({})).await;
    annex.wait_for("/v1/models", &key.secret, 200).await;

    house.kill_control_plane().await;
    link.cut().await;
    house.start_control_plane().await;
    let receipt = house.delete_within(&key.id, WAIT_MS).await;
    assert!(!receipt.complete && receipt.pending.is_superset(&cut_off), "{receipt:?}");
    // The others come back within two seconds of back-off. Who is cut off stays.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let receipt = house.receipt(receipt.revision).await;
    assert_pending(&receipt, &cut_off);
    assert_eq!(receipt.total, 6, "{own:?} {receipt:?}");
    assert_refused_everywhere(&house, &key.secret).await;
    // That is why: it still knows the key.
    assert_eq!(annex.call("/v1/models", &key.secret).await.status, StatusCode::OK);

    link.mend().await;
    house.complete(receipt.revision, PATIENCE).await;
    assert_refused_everywhere(&annex, &key.secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_say_that_a_worker_is_gone_for_good() {
    let house = House::start().await;
    let mut annex = house.annex(json!({"name": "annex"})).await;
    let gone = annex.worker_names().await;
    annex.stop_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let receipt = house.delete_within(&key.id, WAIT_MS).await;
    assert_pending(&receipt, &gone);
    for (left, worker) in gone.iter().enumerate() {
        assert_eq!(house.receipt(receipt.revision).await.pending.len(), WORKERS - left);
        let path = format!("/v1/gateways/{}/workers/{worker}", annex.gateway);
        house.admin().delete(&path).await.unwrap();
    }
    let receipt = house.receipt(receipt.revision).await;
    assert!(receipt.complete && receipt.total == 3, "{receipt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_one_replica_covers_the_workers_of_the_other() {
    let database = Database::postgres().await;
    let Database::Postgres(postgres) = &database else { unreachable!("it is PostgreSQL") };
    let mut link = Link::to(postgres.address()).await;
    let by_link = Database::Postgres(postgres.by_way_of(link.address()));
    let mut a = House::without_envoy_on(database).await;
    a.start_envoy(2).await;
    let b = a.replica(by_link).await;
    let (_, of_b) = (a.worker_names().await, b.worker_names().await);

    let mut times = Vec::new();
    for round in 0..40 {
        let (writer, other) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let key = writer.issue("serverless", json!({})).await;
        assert_eq!(key.answer["propagation"]["status"], "complete", "{}", key.answer);
        // As soon as the receipt says so, and through the other replica's Envoy.
        assert_eq!(other.call("/v1/models", &key.secret).await.status, StatusCode::OK);
        let start = std::time::Instant::now();
        let receipt = writer.delete_within(&key.id, 8_000).await;
        times.push(receipt.came - start);
        assert!(receipt.complete && receipt.total == 6, "{receipt:?}");
        assert_eq!(other.call("/v1/models", &key.secret).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(writer.call("/v1/models", &key.secret).await.status, StatusCode::UNAUTHORIZED);
    }
    println!("two replicas, from a DELETE to its complete receipt, 40 times: {}", quantiles(&times));

    // A replica that is cut off from the database cannot say what its workers have, and they are named.
    let key = a.issue("serverless", json!({})).await;
    link.cut().await;
    let receipt = a.delete_within(&key.id, WAIT_MS).await;
    assert_pending(&receipt, &of_b);
    assert_refused_everywhere(&a, &key.secret).await;
    link.mend().await;
    a.complete(receipt.revision, PATIENCE).await;
    assert_refused_everywhere(&b, &key.secret).await;
}
