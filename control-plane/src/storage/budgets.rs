//! Budgets: who has used up what a month allows is stopped, and let go again.
//!
//! A stop is a change like any other: it has a revision, so that filters hear of it, and an audit entry. It is found out in
//! the transaction that counts a report, or that changes the budget, and it is lifted when another month has begun or
//! another budget leaves something. Of an organization its stop alone is told; its keys stay what they are.
//!
//! What counts is what is in the table `usage` for the month in which the transaction is: in UTC, by our own clock.

use std::collections::BTreeSet;

use portcullis_core::id::{KeyId, OrganizationId};
use sqlx::FromRow;

use super::View;
use super::error::StorageError;
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::{Statement, sql};
use super::write::Write;
use crate::domain::audit::{Action, Entry};
use crate::domain::budget::{Budget, Spent};
use crate::domain::cost::{full_micros, in_picos};
use crate::domain::key::Key;
use crate::domain::organization::Organization;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;

const USAGE: Columns = Columns("usage");
/// How many stops one transaction looks at when the month has turned.
const LIFTED_MAX: i64 = 500;

/// How many were stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Keys.
    pub keys: u64,
    /// Organizations.
    pub organizations: u64,
}

/// Since when something is over its budget: what has not been before is from now on.
pub(super) fn over_since(
    budget: Option<Budget>,
    spent: Spent,
    before: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    budget.filter(|budget| budget.is_used_up(spent)).map(|_| before.unwrap_or(now))
}

/// What was used, as it is summed up in [`SUMS`].
#[derive(FromRow)]
struct Sums {
    cost_micros: i64,
    cost_picos: i64,
    tokens: i64,
}

/// A row that is larger than any ceiling counts as the largest one, so that no sum overflows.
const SUMS: &str = "CAST(coalesce(sum(CASE WHEN u.cost_micros > 1000000000000 THEN 1000000000000
        ELSE u.cost_micros END), 0) AS BIGINT) AS cost_micros,
    CAST(coalesce(sum(u.cost_picos), 0) AS BIGINT) AS cost_picos,
    CAST(coalesce(sum(CASE WHEN u.prompt_tokens + u.completion_tokens > 1000000000000 THEN 1000000000000
        ELSE u.prompt_tokens + u.completion_tokens END), 0) AS BIGINT) AS tokens";

impl TryFrom<Sums> for Spent {
    type Error = StorageError;

    fn try_from(sums: Sums) -> Result<Self, StorageError> {
        let picos = in_picos(USAGE.count(sums.cost_micros)?, USAGE.count(sums.cost_picos)?);
        Ok(Self { cost_micros: full_micros(picos), tokens: USAGE.count(sums.tokens)? })
    }
}

/// Something with a budget, and what was used of it.
#[derive(FromRow)]
struct Budgeted {
    id: i64,
    monthly_budget: String,
    #[sqlx(flatten)]
    sums: Sums,
}

impl Budgeted {
    /// Its id, if there is nothing left.
    fn used_up(self) -> Result<Option<i64>, StorageError> {
        let budget: Budget = USAGE.json(&self.monthly_budget)?;
        Ok(budget.is_used_up(self.sums.try_into()?).then_some(self.id))
    }
}

impl View<'_> {
    /// What was used with a key in the month in which `now` lies.
    pub(super) async fn spent_with_key(&mut self, key: &Key, now: Timestamp) -> Result<Spent, StorageError> {
        self.spent("key", key.organization, from_id(key.id), now).await
    }

    /// What was used with all keys of an organization in the month in which `now` lies.
    pub(super) async fn spent_by_organization(
        &mut self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Spent, StorageError> {
        self.spent("organization", organization, 0, now).await
    }

    async fn spent(
        &mut self,
        grain: &'static str,
        organization: OrganizationId,
        subject: i64,
        now: Timestamp,
    ) -> Result<Spent, StorageError> {
        let mut query = sql("SELECT ");
        query.push(SUMS).push(" FROM usage u WHERE u.grain = ").push_bind(grain);
        query.push(" AND u.period = 'month' AND u.organization_id = ").push_bind(from_id(organization));
        query.push(" AND u.subject_id = ").push_bind(subject).push(" AND u.start = ").push_bind(month_of(now));
        let sums: Sums = query.one(self.session()).await?;
        sums.try_into()
    }

    /// Whether somebody is still stopped for what was used in another month.
    pub async fn has_due_lift(&mut self, now: Timestamp) -> Result<bool, StorageError> {
        let due: Option<(i64,)> = sql("SELECT id FROM keys WHERE over_budget_since < $1 AND revoked_at IS NULL
             UNION ALL SELECT id FROM organizations WHERE over_budget_since < $1 AND deleted_at IS NULL LIMIT 1")
        .bind(month_of(now))
        .optional(self.session())
        .await?;
        Ok(due.is_some())
    }

    /// The organizations that are over their budgets.
    pub(super) async fn over_budget(&mut self) -> Result<Vec<OrganizationId>, StorageError> {
        let rows: Vec<(i64,)> =
            sql("SELECT id FROM organizations WHERE over_budget_since IS NOT NULL AND deleted_at IS NULL ORDER BY id")
                .all(self.session())
                .await?;
        Ok(rows.into_iter().map(|(id,)| to_id(id)).collect())
    }
}

fn month_of(now: Timestamp) -> i64 {
    from_instant(Period::Month.floor(now))
}

impl Write {
    /// Stops those of these keys and organizations that have used up their budgets. Who is stopped already stays so.
    pub(super) async fn enforce_budgets(
        &mut self,
        keys: &BTreeSet<KeyId>,
        organizations: &BTreeSet<OrganizationId>,
    ) -> Result<Stopped, StorageError> {
        let mut stopped = Stopped::default();
        let keys = keys.iter().copied().map(from_id).collect();
        let organizations = organizations.iter().copied().map(from_id).collect();
        let key_sums = " FROM keys b JOIN usage u ON u.grain = 'key' AND u.period = 'month'
                 AND u.organization_id = b.organization_id AND u.subject_id = b.id
             WHERE b.revoked_at IS NULL";
        for id in self.used_up(key_sums, keys).await? {
            let key = self.view().key(to_id(id)).await?.ok_or_else(|| USAGE.corrupt("usage of no key"))?;
            let after = Key { over_budget_since: Some(self.now), ..key.clone() };
            self.stop_or_resume_key(&key, &after).await?;
            stopped.keys += 1;
        }
        let organization_sums = " FROM organizations b JOIN usage u ON u.grain = 'organization' AND u.period = 'month'
                 AND u.organization_id = b.id AND u.subject_id = 0
             WHERE b.deleted_at IS NULL";
        for id in self.used_up(organization_sums, organizations).await? {
            let before = self.view().organization(to_id(id)).await?;
            let before = before.ok_or_else(|| USAGE.corrupt("usage of no organization"))?;
            let after = Organization { over_budget_since: Some(self.now), ..before.clone() };
            self.stop_or_resume_organization(&before, &after).await?;
            stopped.organizations += 1;
        }
        Ok(stopped)
    }

    /// Those of `ids` that have a budget of which nothing is left, and are not stopped yet.
    async fn used_up(&mut self, from: &'static str, ids: Vec<i64>) -> Result<Vec<i64>, StorageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query: Statement = sql("SELECT b.id, b.monthly_budget, ");
        query.push(SUMS).push(from);
        query.push(" AND b.monthly_budget IS NOT NULL AND b.over_budget_since IS NULL AND u.start = ");
        query.push_bind(month_of(self.now)).push(" AND b.id IN (SELECT CAST(value AS BIGINT) FROM ");
        query
            .push_list(self.session().dialect(), to_json(&ids)?)
            .push(") GROUP BY b.id, b.monthly_budget ORDER BY b.id");
        let rows: Vec<Budgeted> = query.all(self.session()).await?;
        rows.into_iter().filter_map(|row| row.used_up().transpose()).collect()
    }

    /// Lets go of those that were stopped in another month, as far as this one leaves them something, and returns how
    /// many of them there were; at most so many as one transaction takes.
    pub async fn lift_budgets(&mut self) -> Result<usize, StorageError> {
        let due = |query: &'static str, month: i64| sql(query).bind(month).bind(LIFTED_MAX);
        let now = self.now;
        let month = month_of(now);
        let keys: Vec<(i64,)> =
            due("SELECT id FROM keys WHERE over_budget_since < $1 AND revoked_at IS NULL ORDER BY id LIMIT $2", month)
                .all(self.session())
                .await?;
        for (id,) in &keys {
            let key = self.view().key(to_id(*id)).await?.ok_or_else(|| USAGE.corrupt("a stop of no key"))?;
            let spent = self.view().spent_with_key(&key, now).await?;
            let since = over_since(key.monthly_budget, spent, None, self.now);
            self.stop_or_resume_key(&key, &Key { over_budget_since: since, ..key.clone() }).await?;
        }
        let organizations: Vec<(i64,)> = due(
            "SELECT id FROM organizations WHERE over_budget_since < $1 AND deleted_at IS NULL ORDER BY id LIMIT $2",
            month,
        )
        .all(self.session())
        .await?;
        for (id,) in &organizations {
            let before = self.view().organization(to_id(*id)).await?;
            let before = before.ok_or_else(|| USAGE.corrupt("a stop of no organization"))?;
            let spent = self.view().spent_by_organization(before.id, now).await?;
            let since = over_since(before.monthly_budget, spent, None, self.now);
            let after = Organization { over_budget_since: since, ..before.clone() };
            self.stop_or_resume_organization(&before, &after).await?;
        }
        Ok(keys.len() + organizations.len())
    }

    /// Stores since when a key is over its budget. Filters and the audit hear of it if it is so now, and was not, or the
    /// other way round.
    async fn stop_or_resume_key(&mut self, before: &Key, after: &Key) -> Result<(), StorageError> {
        self.store_key(before, after).await?;
        if before.over_budget_since.is_some() == after.over_budget_since.is_some() {
            return Ok(());
        }
        let action = if after.over_budget_since.is_some() { Action::KeyStop } else { Action::KeyResume };
        self.audit(Entry::new(action, Some(before), Some(after))).await
    }

    async fn stop_or_resume_organization(
        &mut self,
        before: &Organization,
        after: &Organization,
    ) -> Result<(), StorageError> {
        self.update_organization(after).await?;
        if before.over_budget_since.is_some() == after.over_budget_since.is_some() {
            return Ok(());
        }
        self.log_organization(after.id).await?;
        let is_stop = after.over_budget_since.is_some();
        let action = if is_stop { Action::OrganizationStop } else { Action::OrganizationResume };
        self.audit(Entry::new(action, Some(before), Some(after))).await
    }
}
