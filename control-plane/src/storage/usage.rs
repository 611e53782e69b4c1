//! Reports of workers, counted exactly once.
//!
//! A report's number, the name of its worker and the gateway make it one. The mark that it was counted, the sums, when
//! keys were last used, and what budgets make of it are one transaction. Rows that cannot be counted are refused one by
//! one, with a reason, and the others count.
//!
//! A report takes a handful of statements, however many rows it has: what it names is looked up at once ([`known`]), its
//! rows are summed up in memory, and the sums are added to those in the table ([`sums`]). Hours that are older than is
//! kept are dropped ([`pruning`]).

mod known;
mod pruning;
mod sums;

use std::collections::BTreeSet;

use portcullis_core::id::{GatewayId, KeyId};
use portcullis_core::wire::{Receipt, RefusedRow, Report};

use super::error::StorageError;
use super::rows::{from_id, from_instant, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::cost::Cost;
use crate::domain::gateway::Gateway;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;
use sums::{Sums, Whose};

impl Write {
    /// Counts what a worker of `gateway` reports, unless it has been counted.
    pub async fn count_report(
        &mut self,
        gateway: &Gateway,
        worker: &str,
        report: &Report,
    ) -> Result<Receipt, StorageError> {
        let mut receipt = Receipt { sequence: report.sequence, counted: false, refused: Vec::new() };
        if !self.mark_report(gateway.id, worker, report.sequence).await? {
            return Ok(receipt);
        }
        receipt.counted = true;
        let hour = Period::Hour.floor(Timestamp::from_unix_ms(report.hour_ms));
        let known = self.view().known(&report.rows).await?;
        let is_early = hour > Period::Hour.end(self.now);
        let mut sums = Sums::new(hour, self.view().usage_hours_from().await?);
        let mut called = BTreeSet::new();
        for (place, row) in report.rows.iter().enumerate() {
            let checked = if is_early { Err(known::Unfit::Early) } else { known.check(gateway, row) };
            let (key, price) = match checked {
                Ok(found) => found,
                Err(unfit) => {
                    receipt.refused.push(RefusedRow { row: place, reason: unfit.to_string() });
                    continue;
                }
            };
            let whose =
                row.key.zip(key).map(|(id, key)| Whose { key: id, user: key.user, organization: key.organization });
            let cost = price.map(|price| Cost::of(&price, row.outcome, &row.counts)).unwrap_or_default();
            sums.add(whose, row.api, row.outcome, row.counts, cost);
            called.extend(row.key.filter(|_| row.outcome.is_call()));
        }
        self.add_usage(&sums).await?;
        let used_at = Timestamp::from_unix_ms(report.until_ms).max(hour).min(self.now);
        self.note_use(&called, used_at).await?;
        Ok(receipt)
    }

    /// Whether the worker's report with this number is still to be counted; from then on it is not.
    async fn mark_report(&mut self, gateway: GatewayId, worker: &str, sequence: u64) -> Result<bool, StorageError> {
        let now = from_instant(self.now);
        let rows = sql("INSERT INTO usage_reports (gateway_id, worker, sequence, counted_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (gateway_id, worker) DO UPDATE
             SET sequence = excluded.sequence, counted_at = excluded.counted_at
             WHERE usage_reports.sequence < excluded.sequence")
        .bind(from_id(gateway))
        .bind(worker)
        .bind(i64::try_from(sequence).unwrap_or(i64::MAX))
        .bind(now)
        .execute(self.session())
        .await?;
        Ok(rows == 1)
    }

    /// Takes note that these keys have opened something, unless they are known to have done so later.
    async fn note_use(&mut self, keys: &BTreeSet<KeyId>, at: Timestamp) -> Result<(), StorageError> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.iter().copied().map(from_id).collect::<Vec<_>>();
        let mut update = sql("UPDATE keys SET last_used_at = ");
        update.push_bind(from_instant(at)).push(" WHERE id IN (SELECT CAST(value AS BIGINT) FROM ");
        update.push_list(self.session().dialect(), to_json(&keys)?);
        update.push(") AND (last_used_at IS NULL OR last_used_at < ").push_bind(from_instant(at)).push(")");
        update.execute(self.session()).await.map(|_| ())
    }
}
