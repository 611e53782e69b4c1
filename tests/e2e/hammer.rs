//! "Deleted" is proved: two Envoys with two workers each are called without pause with keys that are being deleted, and no
//! call that is sent after a complete receipt is accepted.
//!
//! `PORTCULLIS_SOAK_DELETIONS` says how many keys are deleted.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_tests::hammer::{Hammer, Prey};
use portcullis_tests::house::House;
use portcullis_tests::measure::{quantiles, setting};
use portcullis_tests::receipts::{self, Receipt};
use serde_json::json;
use tokio::task::JoinSet;

/// How many keys are deleted in `make test`.
const DELETIONS: u64 = 2_000;
/// How many deletions are under way at once.
const AT_ONCE: usize = 4;
/// How long keys are called with after their receipts.
const AFTERMATH: Duration = Duration::from_millis(30);
/// How long a receipt is waited for. It takes some milliseconds; test machines are noisy.
const WAIT_MS: u32 = 8_000;
/// Workers of the two Envoys: one for each thread, and one each for the main thread.
const WORKERS: u64 = 6;

/// One key that was deleted, and how long it took from the request to the complete receipt.
async fn deleted(house: &House, prey: &Prey) -> (Duration, Receipt) {
    let admin = house.admin();
    prey.doom();
    let start = Instant::now();
    let receipt = receipts::delete(&admin, &prey.key.id, WAIT_MS).await.unwrap_or_else(|error| panic!("{error}"));
    if receipt.complete {
        prey.close(receipt.came);
    }
    (receipt.came - start, receipt)
}

/// Issues keys, has them called with until each Envoy has accepted each, and deletes them all at once.
async fn round(
    house: &Arc<House>,
    hammer: &Hammer,
    before: &[Arc<Prey>],
) -> (Vec<Arc<Prey>>, Vec<(Duration, Receipt)>) {
    let mut issuing = JoinSet::new();
    for _ in 0..AT_ONCE {
        let house = Arc::clone(house);
        issuing.spawn(async move { house.issue("serverless", json!({})).await });
    }
    let keys = issuing.join_all().await;
    for key in &keys {
        assert_eq!(key.answer["propagation"]["status"], "complete", "{}", key.answer["propagation"]);
    }
    let prey = keys.into_iter().map(|key| hammer.prey(key)).collect::<Vec<_>>();
    // Those that were deleted in the round before are tried as well.
    hammer.aim(prey.iter().chain(before).cloned().collect());
    hammer.wait_until_open(&prey).await;
    let mut deleting = JoinSet::new();
    for prey in &prey {
        let (house, prey) = (Arc::clone(house), Arc::clone(prey));
        deleting.spawn(async move { deleted(&house, &prey).await });
    }
    let receipts = deleting.join_all().await;
    tokio::time::sleep(AFTERMATH).await;
    (prey, receipts)
}

/// Each thread of this Envoy has had connections of callers.
async fn assert_every_worker_was_called(house: &House) {
    let counts = house.connections_of_threads().await;
    assert!(counts.len() == 2 && !counts.contains(&0), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_accepted_that_was_sent_after_the_complete_receipt_of_its_keys_deletion() {
    let deletions = setting("PORTCULLIS_SOAK_DELETIONS").unwrap_or(DELETIONS);
    let house = Arc::new(House::start().await);
    let annex = house.annex(json!({"name": "annex"})).await;
    house.worker_names().await;
    annex.worker_names().await;
    let hammer = Hammer::swing(&[&house, &annex]);

    let start = Instant::now();
    let (mut receipts, mut prey) = (Vec::new(), Vec::new());
    while u64::try_from(receipts.len()).unwrap() < deletions {
        let (next, came) = round(&house, &hammer, &prey).await;
        (prey, _) = (next, receipts.extend(came));
        hammer.assert_no_wrong();
    }
    let took = start.elapsed();
    assert_every_worker_was_called(&house).await;
    assert_every_worker_was_called(&annex).await;
    let tally = hammer.stop().await;

    for (_, receipt) in &receipts {
        assert!(receipt.complete && receipt.total == WORKERS && receipt.applied == WORKERS, "{receipt:?}");
    }
    assert_eq!(tally.closed, receipts.len());
    let times = receipts.iter().map(|(time, _)| *time).collect::<Vec<_>>();
    println!(
        "{} deletions, {AT_ONCE} at once, in {:.0} s; {} calls, {} accepted; {} sent after a complete receipt, 0 accepted",
        receipts.len(),
        took.as_secs_f64(),
        tally.calls,
        tally.accepted,
        tally.tried_after,
    );
    println!("from a DELETE being sent to its complete receipt: {}", quantiles(&times));
    assert!(tally.tried_after > u64::try_from(receipts.len()).unwrap(), "deleted keys were hardly tried");
}
