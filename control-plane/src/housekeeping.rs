//! What the control plane does by itself: it listens for what other processes commit, ends overlaps whose time is
//! over, lets go of who was over a budget when the month turns, drops hourly usage that is too old, and has the database
//! look at itself. It fails at nothing: what the database cannot do now is tried again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::storage::{StorageError, Store};

/// How often overlaps are looked at. Filters refuse a secret at its second by themselves.
const OVERLAP_INTERVAL: Duration = Duration::from_secs(30);

/// How often it is looked whether the month has turned.
const BUDGET_INTERVAL: Duration = Duration::from_secs(5);

/// How often the database's statistics are refreshed, after they were when it was opened.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How often hourly usage is looked through for what is too old, from the start on. There is more only once a day.
const PRUNING_INTERVAL: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps house until `stopping` turns true. Usage is kept by the hour for so many days.
pub async fn keep(store: &Store, usage_hours_days: u32, mut stopping: watch::Receiver<bool>) {
    tokio::select! {
        () = store.keep_current() => {}
        () = end_overlaps(store) => {}
        () = lift_budgets(store) => {}
        () = refresh_statistics(store) => {}
        () = prune_usage(store, DAY.saturating_mul(usage_hours_days)) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

async fn end_overlaps(store: &Store) {
    let mut interval = tokio::time::interval(OVERLAP_INTERVAL);
    loop {
        interval.tick().await;
        match end_due_overlaps(store).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "overlaps of reissued keys are over"),
            Err(error) => tracing::warn!(%error, "overlaps cannot be ended now"),
        }
    }
}

async fn lift_budgets(store: &Store) {
    let mut interval = tokio::time::interval(BUDGET_INTERVAL);
    loop {
        interval.tick().await;
        match lift_due_budgets(store).await {
            Ok(0) => {}
            Ok(lifted) => tracing::info!(lifted, "a month has turned: budgets begin anew"),
            Err(error) => tracing::warn!(%error, "budgets cannot be lifted now"),
        }
    }
}

async fn refresh_statistics(store: &Store) {
    let mut interval = tokio::time::interval_at(Instant::now() + STATISTICS_INTERVAL, STATISTICS_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = store.refresh_statistics().await {
            tracing::warn!(%error, "the database's statistics cannot be refreshed now");
        }
    }
}

/// Lets go of everyone who was stopped in another month, a part in each transaction.
async fn lift_due_budgets(store: &Store) -> Result<usize, StorageError> {
    let mut lifted = 0;
    while store.read().await?.view().has_due_lift(store.clock().now()).await? {
        let mut write = store.write(None).await?;
        lifted += write.lift_budgets().await?;
        write.commit().await?;
    }
    Ok(lifted)
}

async fn prune_usage(store: &Store, kept: Duration) {
    let mut interval = tokio::time::interval(PRUNING_INTERVAL);
    loop {
        interval.tick().await;
        // One transaction after the other: in between reports and other writes have their turn.
        loop {
            match store.prune_usage(store.clock().now().before(kept)).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "old usage cannot be dropped now");
                    break;
                }
            }
        }
    }
}

async fn end_due_overlaps(store: &Store) -> Result<usize, StorageError> {
    let now = store.clock().now();
    // Most of the time there is nothing to do, and a question locks nobody out.
    if !store.read().await?.view().has_due_overlap(now).await? {
        return Ok(0);
    }
    let mut write = store.write(None).await?;
    let ended = write.end_overlaps().await?;
    write.commit().await?;
    Ok(ended)
}
