use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::{SILENCE_US_MAX, Sighting, Worker};
use portcullis_core::wire::Cursor;

use super::*;
use crate::api::testing::Harness;

fn worker(harness: &Harness, revision: Revision) -> Worker {
    Worker {
        name: "w".to_owned(),
        node: None,
        polls: 1,
        last_seen_ms: harness.store.clock().now().unix_ms(),
        applied: Some(Cursor { epoch: harness.store.epoch(), revision }),
        bound_ms: None,
        memory_bytes: None,
    }
}

fn saw(harness: &Harness, fleet: &Fleet, revision: Revision) -> Seen {
    fleet.saw(GatewayId::from_number(1), worker(harness, revision), None).unwrap()
}

/// What a control plane that starts now finds.
async fn restarted(harness: &Harness) -> Fleet {
    Fleet::open(&harness.store, Metrics::default()).await.unwrap()
}

async fn is_complete(fleet: &Fleet, revision: Revision) -> bool {
    fleet.receipt(revision, Duration::ZERO).await.unwrap().propagation.is_complete()
}

#[tokio::test]
async fn a_restarted_control_plane_waits_for_the_workers_of_the_one_before() {
    let harness = Harness::furnished().await;
    let seen = saw(&harness, &harness.fleet, harness.revision());
    harness.fleet.stored(seen.store_first.unwrap()).await.unwrap();
    harness.issue("k").await;
    let fleet = restarted(&harness).await;
    assert!(is_complete(&fleet, harness.revision() - 1).await);
    assert!(!is_complete(&fleet, harness.revision()).await);
    saw(&harness, &fleet, harness.revision());
    let receipt = fleet.receipt(harness.revision(), Duration::ZERO).await.unwrap();
    assert!(receipt.propagation.is_complete());
    assert_eq!(receipt.elapsed, None, "when it was committed is not known any more");
}

#[tokio::test]
async fn a_silent_worker_is_forgotten_in_the_database_too_and_the_audit_names_it() {
    let harness = Harness::furnished().await;
    let seen = saw(&harness, &harness.fleet, 0);
    harness.fleet.stored(seen.store_first.unwrap()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_micros(SILENCE_US_MAX + 1_000)).await;
    tokio::time::resume();
    // Counted from its start, a restart makes it no older.
    let fleet = restarted(&harness).await;
    fleet.forget_silent().await.unwrap();
    assert_eq!(fleet.all().len(), 1);
    // The keeper may be at it already.
    harness.fleet.forget_silent().await.unwrap();
    assert!(harness.fleet.all().is_empty());
    assert!(is_complete(&harness.fleet, harness.revision()).await);
    while !restarted(&harness).await.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let forgotten = harness.audit("action=worker.forget").await;
    assert_eq!((forgotten.len(), &forgotten[0]["before"]["worker"]), (1, &"w".into()));
    assert_eq!(saw(&harness, &harness.fleet, 0).sighting, Sighting::New);
}

#[tokio::test]
async fn what_cannot_be_forgotten_in_the_database_is_counted_on() {
    let harness = Harness::furnished().await;
    let seen = saw(&harness, &harness.fleet, 0);
    harness.fleet.stored(seen.store_first.unwrap()).await.unwrap();
    harness.store.close().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_micros(SILENCE_US_MAX + 1_000)).await;
    tokio::time::resume();
    harness.fleet.forget_silent().await.unwrap_err();
    assert_eq!(harness.fleet.all().len(), 1);
}

#[tokio::test]
async fn a_worker_that_cannot_be_stored_is_told_so() {
    let harness = Harness::furnished().await;
    harness.store.close().await.unwrap();
    let seen = saw(&harness, &harness.fleet, 0);
    let version = seen.store_first.unwrap();
    tokio::time::pause();
    assert_eq!(harness.fleet.stored(version).await, Err(NotStored));
}

#[tokio::test]
async fn after_a_restore_receipts_are_pending_until_the_database_has_been_served_for_long_enough() {
    let harness = Harness::furnished().await;
    harness.store.begin_epoch().await.unwrap();
    let fleet = restarted(&harness).await;
    let receipt = fleet.receipt(harness.revision(), Duration::ZERO).await.unwrap();
    assert!(!receipt.propagation.is_complete() && receipt.propagation.pending.is_empty());
    assert!(receipt.settling_until.unwrap() > harness.store.clock().now());
    // A restart begins anew.
    tokio::time::pause();
    tokio::time::advance(Duration::from_micros(SILENCE_US_MAX)).await;
    tokio::time::resume();
    assert!(!is_complete(&restarted(&harness).await, harness.revision()).await);
    assert!(is_complete(&fleet, harness.revision()).await);
    fleet.forget_silent().await.unwrap();
    assert!(is_complete(&restarted(&harness).await, harness.revision()).await);
}
