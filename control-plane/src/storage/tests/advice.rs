//! Advice on 100,000 keys: how long a page takes, which is printed, and how many keys it looks at, which is asserted.

use std::time::Instant;

use super::scale::{FILL_POSTGRES, FILL_SQLITE, KEYS};
use super::*;
use crate::domain::advice::{Reason, Terms};
use crate::domain::authority::Sight;

/// How many keys a page looks at, at most.
const WALK_MAX: usize = 2_000;

async fn assert_every_page_is_bounded(fixture: &Fixture, fill: &[&'static str]) {
    for statement in fill {
        fixture.execute(sql(statement)).await;
    }
    fixture.store.refresh_statistics().await.unwrap();
    let (active,): (i64,) =
        sql("SELECT count(*) FROM keys WHERE revoked_at IS NULL AND coalesce(expires_at, $1) >= $1")
            .bind(NOW_MS.cast_signed() + 1)
            .one(fixture.store.read().await.unwrap().view().session())
            .await
            .unwrap();
    let active = usize::try_from(active).unwrap();
    let terms = Terms { now: write_now(), unused_days: 30, expiring_days: 14 };
    // No key is confined to anything, so every page looks for as long as it may; all of them never end or end later.
    for (reason, found) in [(Reason::UnusedScopes, 0), (Reason::Unused, active)] {
        let filter = AdviceFilter { sight: Sight::Everything, organization: None, reason: Some(reason), terms };
        let (mut after, mut times, mut advised) = (None, Vec::new(), 0);
        loop {
            let started = Instant::now();
            let page = fixture.store.advice(&filter, after, WALK_MAX).await.unwrap();
            times.push(started.elapsed().as_micros());
            advised += page.keys.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((times.len(), advised), (active.div_ceil(WALK_MAX), found), "{reason:?}");
        times.sort_unstable();
        println!(
            "{reason:?} on {KEYS} keys: {} pages, the middle one takes {} µs, the slowest {} µs",
            times.len(),
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
}

#[tokio::test]
async fn a_page_of_advice_looks_at_few_of_a_hundred_thousand_keys_in_sqlite() {
    assert_every_page_is_bounded(&Fixture::sqlite().await, &FILL_SQLITE).await;
}

#[tokio::test]
async fn a_page_of_advice_looks_at_few_of_a_hundred_thousand_keys_in_postgres() {
    assert_every_page_is_bounded(&Fixture::postgres().await, &FILL_POSTGRES).await;
}
