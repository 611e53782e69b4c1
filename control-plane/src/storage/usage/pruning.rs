//! Hours of usage that are too old, dropped. Days and months have their sums and stay.

use std::time::Duration;

use super::super::Store;
use super::super::error::{StorageError, exactly_one};
use super::super::rows::from_instant;
use super::super::sql::sql;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;

/// How many rows one transaction drops, so that reports do not wait long.
const BATCH: i64 = 10_000;
/// For how long it is kept which report of a worker was the last. A worker that is not answered for longer than that
/// might be counted twice.
const REPORTS_KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

impl Store {
    /// Drops hours of days that were over by `hours_before`, as many as one transaction takes, and what is known of
    /// workers that have not been heard for long. Returns whether there may be more.
    ///
    /// The first of it says that none of these hours are kept, so that a part of a day is never taken for all of it.
    pub async fn prune_usage(&self, hours_before: Timestamp) -> Result<bool, StorageError> {
        let mut write = self.write(None).await?;
        let from = write.view().usage_hours_from().await?.max(Period::Day.floor(hours_before));
        let rows = sql("UPDATE control SET usage_hours_from = $1").bind(from_instant(from));
        exactly_one("dropping hours of usage", rows.execute(write.session()).await?)?;
        let hours = sql("DELETE FROM usage
             WHERE (grain, period, organization_id, subject_id, start, api_id, outcome) IN (
                 SELECT grain, period, organization_id, subject_id, start, api_id, outcome FROM usage
                 WHERE period = 'hour' AND start < $1 ORDER BY start LIMIT $2)");
        let hours = hours.bind(from_instant(from)).bind(BATCH).execute(write.session()).await?;
        let silent = from_instant(write.now().before(REPORTS_KEPT));
        let reports = sql("DELETE FROM usage_reports WHERE (gateway_id, worker) IN (
                 SELECT gateway_id, worker FROM usage_reports WHERE counted_at < $1 ORDER BY counted_at LIMIT $2)");
        let reports = reports.bind(silent).bind(BATCH).execute(write.session()).await?;
        write.commit().await?;
        let full = BATCH.cast_unsigned();
        Ok(hours >= full || reports >= full)
    }
}
