//! The way between one Envoy and the sync port goes bad in every way that there is: receipts name exactly the workers behind
//! it, and become complete once it heals, or once these workers have stopped for want of contact.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_tests::hammer::{Hammer, Prey};
use portcullis_tests::house::House;
use portcullis_tests::keys::rfc3339;
use portcullis_tests::link::{Link, Weather};
use portcullis_tests::measure::quantiles;
use portcullis_tests::random::Random;
use portcullis_tests::receipts::{self, Receipt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::JoinSet;

/// How long a receipt is waited for that cannot become complete.
const WAIT_MS: u32 = 500;
/// How long one may take to become complete once the way is good again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many keys are deleted while the way is bad again and again.
const DELETIONS: usize = 160;
/// How many of them at once.
const AT_ONCE: usize = 4;
/// How long the way is bad, at least and at most.
const GUST_MS_MIN: u64 = 150;
const GUST_MS_MAX: u64 = 600;
/// How long workers may go on without contact where that is bounded, in seconds: the least that can be set.
const MAX_STALENESS_SECONDS: u64 = 5;

/// An Envoy with a good way to the control plane, and one with a way that can go bad.
struct Estate {
    house: House,
    annex: House,
    link: Link,
    /// The workers behind the link.
    behind: BTreeSet<String>,
}

async fn estate(annex: Value) -> Estate {
    let house = House::start().await;
    let link = Link::to(house.sync()).await;
    let annex = house.annex_by_way_of(link.address(), annex).await;
    house.worker_names().await;
    let behind = annex.worker_names().await;
    assert_eq!(behind.len(), 3);
    Estate { house, annex, link, behind }
}

async fn assert_refused_everywhere(house: &House, secret: &str) {
    for _ in 0..12 {
        let outcome = house.call("/v1/models", secret).await;
        assert_eq!(outcome.status, StatusCode::UNAUTHORIZED, "after a complete receipt");
    }
}

impl Estate {
    /// A key that opens everywhere, deleted while the way is bad: its receipt, which must name all behind the link.
    async fn delete_behind_bad_way(&self, secret_of: impl AsRef<str>, id: &str) -> Receipt {
        let receipt = self.house.delete_within(id, WAIT_MS).await;
        assert!(!receipt.complete && receipt.pending == self.behind, "{receipt:?} rather than {:?}", self.behind);
        assert_eq!((receipt.total, receipt.applied), (6, 3), "{receipt:?}");
        assert_refused_everywhere(&self.house, secret_of.as_ref()).await;
        // That is why it is pending.
        assert_eq!(self.annex.call("/v1/models", secret_of.as_ref()).await.status, StatusCode::OK);
        receipt
    }

    async fn heal(&self, revision: u64, secret: &str) {
        let start = Instant::now();
        let receipt = self.house.complete(revision, PATIENCE).await;
        println!("  complete {} ms after the way was good again", start.elapsed().as_millis());
        assert_eq!(receipt.applied, 6, "{receipt:?}");
        assert_refused_everywhere(&self.annex, secret).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_name_who_is_behind_a_bad_way_and_are_complete_once_it_is_good() {
    let mut estate = estate(json!({"name": "annex"})).await;
    for (name, bad) in [("slow", Weather::Slow(Duration::from_secs(2))), ("silent", Weather::Still)] {
        println!("{name}:");
        let key = estate.house.issue("serverless", json!({})).await;
        assert_eq!(key.answer["propagation"]["status"], "complete", "{}", key.answer);
        estate.link.set(bad);
        let receipt = estate.delete_behind_bad_way(&key.secret, &key.id).await;
        estate.link.set(Weather::Calm);
        estate.heal(receipt.revision, &key.secret).await;
    }
    println!("cut:");
    let key = estate.house.issue("serverless", json!({})).await;
    estate.link.cut().await;
    let receipt = estate.delete_behind_bad_way(&key.secret, &key.id).await;
    estate.link.mend().await;
    estate.heal(receipt.revision, &key.secret).await;
}

/// Deletes a key, and asks until it is deleted everywhere: how long that took, and the first receipt.
async fn deleted(house: Arc<House>, prey: Arc<Prey>) -> (Duration, Receipt) {
    let start = Instant::now();
    prey.doom();
    let first = receipts::delete(&house.admin(), &prey.key.id, 100).await.unwrap_or_else(|error| panic!("{error}"));
    let complete = if first.complete { first.clone() } else { house.complete(first.revision, PATIENCE).await };
    prey.close(complete.came);
    (complete.came - start, first)
}

/// Lets the way be bad in one of its ways, and good again.
async fn gust(link: &mut Link, random: &mut Random) {
    let lasts = Duration::from_millis(GUST_MS_MIN + random.below(GUST_MS_MAX - GUST_MS_MIN));
    match random.below(4) {
        0 => link.set(Weather::Still),
        1 => link.set(Weather::Slow(lasts)),
        2 => link.shake(),
        _ => link.cut().await,
    }
    tokio::time::sleep(lasts).await;
    link.set(Weather::Calm);
    if !link.is_plugged_in() {
        link.mend().await;
    }
}

/// Deletes keys, all of them called with, a few at the beginning of each gust: how long each took, and the first receipts.
async fn delete_in_gusts(house: &Arc<House>, hammer: &Hammer, link: &mut Link) -> Vec<(Duration, Receipt)> {
    let (mut receipts, mut before, mut random) = (Vec::new(), Vec::new(), Random::new(11));
    while receipts.len() < DELETIONS {
        let mut prey = Vec::new();
        for _ in 0..AT_ONCE {
            let key = house.issue("serverless", json!({})).await;
            assert_eq!(key.answer["propagation"]["status"], "complete", "{}", key.answer["propagation"]);
            prey.push(hammer.prey(key));
        }
        hammer.aim(prey.iter().chain(&before).cloned().collect());
        hammer.wait_until_open(&prey).await;
        let deleting = prey.iter().map(|prey| deleted(Arc::clone(house), Arc::clone(prey))).collect::<JoinSet<_>>();
        let (deleted, ()) = tokio::join!(deleting.join_all(), gust(link, &mut random));
        receipts.extend(deleted);
        before = prey;
    }
    receipts
}

#[tokio::test(flavor = "multi_thread")]
async fn in_gusts_no_call_is_accepted_that_was_sent_after_a_complete_receipt() {
    let Estate { house, annex, mut link, behind } = estate(json!({"name": "annex"})).await;
    let house = Arc::new(house);
    let hammer = Hammer::swing(&[&house, &annex]);
    let receipts = delete_in_gusts(&house, &hammer, &mut link).await;
    let tally = hammer.stop().await;
    for (_, receipt) in &receipts {
        assert!(receipt.pending.is_subset(&behind), "{receipt:?} rather than some of {behind:?}");
    }
    let pending = receipts.iter().filter(|(_, receipt)| !receipt.complete).count();
    let times = receipts.iter().map(|(time, _)| *time).collect::<Vec<_>>();
    println!(
        "{} deletions, {pending} pending after 0.1 s; {} calls, {} sent after a complete receipt, 0 accepted",
        receipts.len(),
        tally.calls,
        tally.tried_after
    );
    println!("from a DELETE being sent to a complete receipt: {}", quantiles(&times));
    assert!(pending > DELETIONS / 8 && tally.tried_after > 100, "the weather was too good: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_may_not_go_stale_stop_and_the_receipt_says_when() {
    let annex = json!({"name": "annex", "max_staleness_seconds": MAX_STALENESS_SECONDS});
    let estate = estate(annex).await;
    let [key, kept] =
        [estate.house.issue("serverless", json!({})).await, estate.house.issue("serverless", json!({})).await];
    assert_eq!(kept.answer["propagation"]["status"], "complete", "{}", kept.answer);

    estate.link.set(Weather::Still);
    let receipt = estate.delete_behind_bad_way(&key.secret, &key.id).await;
    let enforced_by = receipt.enforced_by.expect("all that are pending are bounded");
    println!("enforced by {}, in {}", rfc3339(enforced_by), enforced_by - OffsetDateTime::now_utc());
    while OffsetDateTime::now_utc() < enforced_by {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Neither the deleted key nor another one opens anything: what has come since is not known there.
    for secret in [&key.secret, &kept.secret] {
        for _ in 0..12 {
            let outcome = estate.annex.call("/v1/models", secret).await;
            assert_eq!((outcome.status.as_u16(), outcome.code.as_str()), (503, "not_ready"), "after {enforced_by}");
        }
    }
    let stopped = estate.house.complete(receipt.revision, Duration::from_secs(1)).await;
    assert_eq!((stopped.applied, stopped.stopped, stopped.total), (3, 3, 6), "{stopped:?}");
    // An Envoy with a good way and without a bound does not care.
    assert_eq!(estate.house.call("/v1/models", &kept.secret).await.status, StatusCode::OK);

    estate.link.set(Weather::Calm);
    let back = estate.annex.wait_for("/v1/models", &kept.secret, 200).await;
    println!("served again {} ms after the way was good again", back.as_millis());
    assert_refused_everywhere(&estate.annex, &key.secret).await;
    let applied = estate.house.receipt(receipt.revision).await;
    assert_eq!((applied.applied, applied.total), (6, 6), "{applied:?}");
}
