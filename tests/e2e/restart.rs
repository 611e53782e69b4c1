//! The control plane is killed and started again, twenty times, while two Envoys are called without pause: no valid key is
//! refused meanwhile, and no deleted one is accepted after its complete receipt.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_demo::admin::AdminClient;
use portcullis_tests::hammer::{Hammer, Prey};
use portcullis_tests::house::House;
use portcullis_tests::measure::{quantiles, setting};
use portcullis_tests::random::Random;
use portcullis_tests::receipts::{self, Receipt};
use serde_json::json;
use tokio::sync::watch;

/// How often it is killed in `make test`.
const KILLS: u64 = 20;
/// The longest that it runs on after a deletion was complete.
const PEACE_MS_MAX: u64 = 800;
/// The longest that it is away.
const AWAY_MS_MAX: u64 = 300;
/// How many keys are never deleted.
const KEPT: usize = 4;
/// How many keys there are to delete for each kill: more than there is time for.
const DELETIONS_PER_KILL: u64 = 16;
/// How long a deletion may take, the control plane's absence included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer, and then until the receipt is complete. A control plane that is killed answers nobody,
/// and what was asked of it may have been done.
async fn delete_for_sure(admin: &AdminClient, prey: &Prey) -> Receipt {
    let start = Instant::now();
    prey.doom();
    loop {
        // Deleting again is no error, and brings the receipt of the newest revision.
        if let Ok(receipt) = receipts::delete(admin, &prey.key.id, 1_000).await
            && receipt.complete
        {
            prey.close(receipt.came);
            return receipt;
        }
        assert!(start.elapsed() < PATIENCE, "{} is not deleted everywhere", prey.key.id);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Deletes keys one after the other until it is told to stop, and counts them; how long each took. The last few are called
/// with.
async fn delete_all(
    admin: AdminClient,
    hammer: Arc<Hammer>,
    all: Vec<Arc<Prey>>,
    count: watch::Sender<usize>,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for (place, prey) in all[KEPT..].iter().enumerate() {
        if count.is_closed() {
            break;
        }
        let recent = all[KEPT..=KEPT + place].iter().rev().take(4);
        hammer.aim(all[..KEPT].iter().chain(recent).cloned().collect());
        let start = Instant::now();
        delete_for_sure(&admin, prey).await;
        times.push(start.elapsed());
        count.send_replace(times.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    times
}

/// Kills the control plane so often, each time some while after a deletion was complete.
async fn kill_again_and_again(house: &mut House, hammer: &Hammer, kills: u64, mut deleted: watch::Receiver<usize>) {
    let mut random = Random::new(5);
    for _ in 0..kills {
        // A worker's pause after many failures is longer than some control planes here live: one must meet the other.
        let known = *deleted.borrow();
        let more = tokio::time::timeout(PATIENCE, deleted.wait_for(|count| *count > known)).await;
        more.expect("a deletion is complete in time").expect("deletions go on");
        tokio::time::sleep(Duration::from_millis(random.below(PEACE_MS_MAX))).await;
        house.kill_control_plane().await;
        tokio::time::sleep(Duration::from_millis(random.below(AWAY_MS_MAX))).await;
        house.start_control_plane().await;
        hammer.assert_no_wrong();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_killed_again_and_again_costs_no_valid_call_and_no_promise() {
    let kills = setting("PORTCULLIS_SOAK_RESTARTS").unwrap_or(KILLS);
    let mut house = House::start().await;
    let annex = house.annex(json!({"name": "annex"})).await;
    house.worker_names().await;
    annex.worker_names().await;
    let hammer = Arc::new(Hammer::swing(&[&house, &annex]));
    let mut all = Vec::new();
    for _ in 0..kills * DELETIONS_PER_KILL {
        let key = house.issue("serverless", json!({})).await;
        assert_eq!(key.answer["propagation"]["status"], "complete", "{}", key.answer);
        all.push(hammer.prey(key));
    }

    let (count, deleted) = watch::channel(0);
    let deleting = tokio::spawn(delete_all(house.admin(), Arc::clone(&hammer), all, count));
    kill_again_and_again(&mut house, &hammer, kills, deleted).await;
    let times = deleting.await.expect("deletions");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let tally = Arc::into_inner(hammer).expect("nobody else has it").stop().await;
    println!(
        "{kills} kills; {} calls, {} accepted; {} deletions, {} calls sent after their complete receipts, 0 accepted",
        tally.calls, tally.accepted, tally.closed, tally.tried_after,
    );
    println!("from the first attempt at a DELETE to a complete receipt: {}", quantiles(&times));
    assert!(tally.closed >= usize::try_from(kills).unwrap() && tally.tried_after > kills, "{tally:?}");
}
