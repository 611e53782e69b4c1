//! The audit in the database: one entry for each write, in its transaction, and one for each refusal.

use std::net::IpAddr;

use portcullis_core::id::{OrganizationId, UserId};
use sqlx::FromRow;

use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::sql::sql;
use super::write::Write;
use super::{Store, View};
use crate::domain::actor::Actor;
use crate::domain::audit::{Action, Entry, Outcome, Recorded, Refusal};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

const AUDIT: Columns = Columns("audit");
/// The most that one filter leaves of a text column: what was refused may have named anything.
const SUBJECT_BYTES_MAX: usize = 200;

/// Which entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only entries of this organization: on what belongs to it, or by one of its users.
    pub organization: Option<OrganizationId>,
    /// Only entries by this user.
    pub user: Option<UserId>,
    /// Only this action.
    pub action: Option<Action>,
    /// Only what was done to this.
    pub subject: Option<String>,
    /// Only what was done, or only what was refused.
    pub refused: Option<bool>,
    /// Only entries from this instant on.
    pub from: Option<Timestamp>,
    /// Only entries before this instant.
    pub to: Option<Timestamp>,
    /// Only entries that are older than the one at this place.
    pub before: Option<u64>,
}

/// A page of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<Recorded>,
    /// The place of the last of them, if there are more.
    pub next: Option<u64>,
}

#[derive(FromRow)]
struct Row {
    sequence: i64,
    at: i64,
    user_id: Option<i64>,
    user_name: Option<String>,
    token_id: Option<i64>,
    action: String,
    subject: Option<String>,
    organization_id: Option<i64>,
    status: Option<i64>,
    origin: Option<String>,
    revision: Option<i64>,
    before: Option<String>,
    after: Option<String>,
}

impl TryFrom<Row> for Recorded {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let action = Action::ALL.iter().copied().find(|action| action.name() == row.action);
        let status = row.status.map(u16::try_from).transpose().map_err(|_| AUDIT.corrupt("no HTTP status"))?;
        Ok(Self {
            sequence: AUDIT.count(row.sequence)?,
            at: AUDIT.instant(row.at)?,
            user: row.user_id.map(to_id),
            user_name: row.user_name,
            token: row.token_id.map(to_id),
            action: action.ok_or_else(|| AUDIT.corrupt("an unknown action"))?,
            subject: row.subject,
            organization: row.organization_id.map(to_id),
            outcome: status.map_or(Outcome::Done, Outcome::Refused),
            origin: row.origin.and_then(|origin| origin.parse().ok()),
            revision: row.revision.map(|revision| AUDIT.count(revision)).transpose()?,
            before: AUDIT.json_if_any(row.before.as_deref())?,
            after: AUDIT.json_if_any(row.after.as_deref())?,
        })
    }
}

impl View<'_> {
    /// The newest `limit` entries that pass `filter`.
    pub async fn audit(&mut self, filter: &AuditFilter, limit: u32) -> Result<AuditPage, StorageError> {
        let mut query = sql("SELECT a.sequence, a.at, a.user_id, u.name AS user_name, a.token_id, a.action, a.subject,
                 a.organization_id, a.status, a.origin, a.revision, a.before, a.after
             FROM audit a LEFT JOIN users u ON u.id = a.user_id WHERE 1 = 1");
        if let Some(organization) = filter.organization {
            query.push(" AND a.organization_id = ").push_bind(from_id(organization));
        }
        if let Some(user) = filter.user {
            query.push(" AND a.user_id = ").push_bind(from_id(user));
        }
        if let Some(action) = filter.action {
            query.push(" AND a.action = ").push_bind(action.name());
        }
        if let Some(subject) = &filter.subject {
            query.push(" AND a.subject = ").push_bind(subject.as_str());
        }
        match filter.refused {
            Some(true) => query.push(" AND a.outcome = 'refused'"),
            Some(false) => query.push(" AND a.outcome = 'done'"),
            None => &mut query,
        };
        if let Some(from) = filter.from {
            query.push(" AND a.at >= ").push_bind(from_instant(from));
        }
        if let Some(to) = filter.to {
            query.push(" AND a.at < ").push_bind(from_instant(to));
        }
        if let Some(before) = filter.before {
            query.push(" AND a.sequence < ").push_bind(before.cast_signed());
        }
        query.push(" ORDER BY a.sequence DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<Row> = query.all(self.session()).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        let entries = rows.into_iter().take(limit).map(Recorded::try_from).collect::<Result<Vec<_>, _>>()?;
        let next = entries.last().filter(|_| has_more).map(|entry| entry.sequence);
        Ok(AuditPage { entries, next })
    }
}

impl Write {
    /// Records what was done. It comes last in a write, when its revision is known.
    pub(super) async fn audit(&mut self, entry: Entry) -> Result<(), StorageError> {
        let actor = self.actor;
        let (now, revision) = (self.now, self.revision());
        let rows = sql("INSERT INTO audit (at, user_id, token_id, action, subject, organization_id, outcome, origin,
                 revision, before, after)
             VALUES ($1, $2, $3, $4, $5, $6, 'done', $7, $8, $9, $10)")
        .bind(from_instant(now))
        .bind(actor.map(|actor| from_id(actor.user)))
        .bind(actor.map(|actor| from_id(actor.token)))
        .bind(entry.action.name())
        .bind(entry.subject)
        .bind(entry.organization.map(from_id))
        .bind(actor.and_then(|actor| actor.origin).map(|origin| origin.to_string()))
        .bind(revision.map(u64::cast_signed))
        .bind(entry.before.map(|before| before.to_string()))
        .bind(entry.after.map(|after| after.to_string()))
        .execute(self.session())
        .await?;
        exactly_one("auditing", rows)
    }

    async fn audit_refused(
        &mut self,
        refusal: Refusal<'_>,
        organization: Option<OrganizationId>,
        origin: Option<IpAddr>,
    ) -> Result<(), StorageError> {
        let (actor, now) = (self.actor, self.now);
        let subject = refusal.subject.filter(|subject| subject.len() <= SUBJECT_BYTES_MAX);
        let rows = sql("INSERT INTO audit (at, user_id, token_id, action, subject, organization_id, outcome, status,
                 origin)
             VALUES ($1, $2, $3, $4, $5, $6, 'refused', $7, $8)")
        .bind(from_instant(now))
        .bind(actor.map(|actor| from_id(actor.user)))
        .bind(actor.map(|actor| from_id(actor.token)))
        .bind(refusal.action.name())
        .bind(subject.map(str::to_owned))
        .bind(organization.map(from_id))
        .bind(i64::from(refusal.status))
        .bind(origin.map(|origin| origin.to_string()))
        .execute(self.session())
        .await?;
        exactly_one("auditing a refusal", rows)
    }
}

impl Store {
    /// Records that something was refused to `actor`, in a transaction of its own.
    pub async fn audit_refusal(&self, actor: Actor, refusal: Refusal<'_>) -> Result<(), StorageError> {
        let mut write = self.write(Some(actor)).await?;
        write.audit_refused(refusal, actor.role.organization(), actor.origin).await?;
        write.commit().await.map(|_| ())
    }

    /// Records that somebody at `origin` gave a wrong password for `user`, in a transaction of its own. Who it was
    /// is not known.
    pub async fn audit_failed_sign_in(&self, user: &User, origin: Option<IpAddr>) -> Result<(), StorageError> {
        let mut write = self.write(None).await?;
        let subject = user.id.to_string();
        let refusal = Refusal { action: Action::SessionCreate, subject: Some(&subject), status: 401 };
        write.audit_refused(refusal, user.role.organization(), origin).await?;
        write.commit().await.map(|_| ())
    }
}
