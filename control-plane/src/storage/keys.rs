//! Keys in the database: rows, look-ups and every change of one.

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::{ApiKind, PlainKey};
use portcullis_core::wire::KeyRecord;
use sqlx::FromRow;

use super::View;
use super::budgets::over_since;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::audit::{Action, Entry};
use crate::domain::budget::{Budget, Spent};
use crate::domain::key::{FormerSecret, Key};
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;

const KEYS: Columns = Columns("keys");
/// What a [`Row`] is read from.
pub(super) const COLUMNS: &str = "k.id, k.kind, k.organization_id, k.name, k.digest, k.masked, k.search_text,
    k.created_by, u.name AS creator, k.issued_at, k.expires_at, k.apis, k.rate_limit_enabled, k.monthly_budget,
    k.over_budget_since, k.last_used_at, k.revoked_at, f.digest AS former_digest, f.ends_at AS former_ends_at";
/// What goes with a key `k`: who issued it, and the secret that it had before while that one works.
pub(super) const JOINS: &str = " JOIN users u ON u.id = k.created_by
    LEFT JOIN former_secrets f ON f.key_id = k.id AND f.live";

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: i64,
    kind: String,
    organization_id: i64,
    name: String,
    digest: Vec<u8>,
    masked: String,
    pub(super) search_text: String,
    created_by: i64,
    creator: String,
    issued_at: i64,
    pub(super) expires_at: Option<i64>,
    apis: Option<String>,
    rate_limit_enabled: bool,
    monthly_budget: Option<String>,
    over_budget_since: Option<i64>,
    pub(super) last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    former_digest: Option<Vec<u8>>,
    former_ends_at: Option<i64>,
}

impl TryFrom<Row> for Key {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let former = match (row.former_digest, row.former_ends_at) {
            (Some(digest), Some(ends_at)) => {
                Some(FormerSecret { digest: KEYS.digest(&digest)?, ends_at: KEYS.instant(ends_at)? })
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        Ok(Self {
            id: to_id(row.id),
            kind: KEYS.kind(&row.kind)?,
            organization: to_id(row.organization_id),
            name: KEYS.name(&row.name)?,
            digest: KEYS.digest(&row.digest)?,
            masked: row.masked,
            former,
            created_by: to_id(row.created_by),
            creator: KEYS.name(&row.creator)?,
            issued_at: KEYS.instant(row.issued_at)?,
            expires_at: KEYS.instant_if_any(row.expires_at)?,
            apis: KEYS.json_if_any(row.apis.as_deref())?,
            rate_limit_enabled: row.rate_limit_enabled,
            monthly_budget: KEYS.json_if_any(row.monthly_budget.as_deref())?,
            over_budget_since: KEYS.instant_if_any(row.over_budget_since)?,
            last_used_at: KEYS.instant_if_any(row.last_used_at)?,
            revoked_at: KEYS.instant_if_any(row.revoked_at)?,
        })
    }
}

/// What workers know of a secret, as it is read from a key `k` and, for a former secret, `f`.
#[derive(FromRow)]
pub(super) struct RecordRow {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) organization_id: i64,
    pub(super) digest: Vec<u8>,
    pub(super) created_by: i64,
    pub(super) expires_at: Option<i64>,
    pub(super) apis: Option<String>,
    pub(super) rate_limit_enabled: bool,
    pub(super) over_budget: bool,
}

/// Selects the records of live keys.
pub(super) const CURRENT_RECORDS: &str = "SELECT k.id, k.kind, k.organization_id, k.digest, k.created_by,
    k.expires_at, k.apis, k.rate_limit_enabled, k.over_budget_since IS NOT NULL AS over_budget
    FROM keys k WHERE k.revoked_at IS NULL";
/// Selects the records of former secrets that still work: they end with the overlap, or with the key before that.
pub(super) const FORMER_RECORDS: &str = "SELECT k.id, k.kind, k.organization_id, f.digest, k.created_by,
    CASE WHEN k.expires_at < f.ends_at THEN k.expires_at ELSE f.ends_at END AS expires_at, k.apis, k.rate_limit_enabled,
    k.over_budget_since IS NOT NULL AS over_budget
    FROM former_secrets f JOIN keys k ON k.id = f.key_id WHERE f.live";

impl TryFrom<RecordRow> for KeyRecord {
    type Error = StorageError;

    fn try_from(row: RecordRow) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            digest: KEYS.digest(&row.digest)?,
            kind: KEYS.kind(&row.kind)?,
            organization: to_id(row.organization_id),
            user: to_id(row.created_by),
            expires_at_ms: KEYS.instant_if_any(row.expires_at)?.map(Timestamp::unix_ms),
            apis: KEYS.json_if_any(row.apis.as_deref())?,
            rate_limited: row.rate_limit_enabled,
            over_budget: row.over_budget,
        })
    }
}

/// What a key is issued with.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Which kind of API it opens.
    pub kind: ApiKind,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// Who issues it.
    pub created_by: UserId,
    /// Its name.
    pub name: Name,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// The APIs to which it is confined, if it is.
    pub apis: Option<Vec<ApiId>>,
    /// Whether it is held to rate limits.
    pub rate_limit_enabled: bool,
    /// What may be used with it in a month, if that is limited.
    pub monthly_budget: Option<Budget>,
}

/// What becomes of a key's secrets when it gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// All that it had before is dead at once.
    AtOnce,
    /// The secret that it has now goes on working until then; the one before it, if there is one, is dead at once.
    Overlap(Timestamp),
    /// The secret that it has now was lost on its way to whom it was made for, and is dead at once. The one before
    /// it works on as it was to.
    Retry,
}

impl View<'_> {
    /// The key with this id, revoked ones included.
    pub async fn key(&mut self, id: KeyId) -> Result<Option<Key>, StorageError> {
        let mut query = sql("SELECT ");
        query.push(COLUMNS).push(" FROM keys k").push(JOINS).push(" WHERE k.id = ").push_bind(from_id(id));
        let row: Option<Row> = query.optional(self.session()).await?;
        row.map(Key::try_from).transpose()
    }

    /// Whether some overlap's time is over.
    pub async fn has_due_overlap(&mut self, now: Timestamp) -> Result<bool, StorageError> {
        let due: Option<(i64,)> = sql("SELECT key_id FROM former_secrets WHERE live AND ends_at <= $1 LIMIT 1")
            .bind(from_instant(now))
            .optional(self.session())
            .await?;
        Ok(due.is_some())
    }
}

impl Write {
    /// Issues a key with this secret.
    pub async fn issue_key(&mut self, new: NewKey, secret: &PlainKey) -> Result<Key, StorageError> {
        let (now, entropy) = (self.now, self.entropy.clone());
        let (creator,): (String,) =
            sql("SELECT name FROM users WHERE id = $1").bind(from_id(new.created_by)).one(self.session()).await?;
        let mut key = Key {
            id: entropy.id(now)?,
            kind: new.kind,
            organization: new.organization,
            name: new.name,
            digest: secret.digest(),
            masked: secret.masked(),
            former: None,
            created_by: new.created_by,
            creator: KEYS.name(&creator)?,
            issued_at: now,
            expires_at: new.expires_at,
            apis: new.apis,
            rate_limit_enabled: new.rate_limit_enabled,
            monthly_budget: new.monthly_budget,
            over_budget_since: over_since(new.monthly_budget, Spent::default(), None, now),
            last_used_at: None,
            revoked_at: None,
        };
        while !self.insert_key(&key).await? {
            key.id = entropy.id(now)?;
        }
        self.log_key(key.digest, None).await?;
        self.audit(Entry::new(Action::KeyIssue, None, Some(&key))).await?;
        Ok(key)
    }

    /// Whether the key was inserted: not if its id is taken.
    async fn insert_key(&mut self, key: &Key) -> Result<bool, StorageError> {
        let insert = sql("INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text,
                               created_by, issued_at, expires_at, apis, rate_limit_enabled,
                               monthly_budget, over_budget_since)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING")
        .bind(from_id(key.id))
        .bind(key.kind.name())
        .bind(from_id(key.organization))
        .bind(key.name.as_str())
        .bind(key.digest.as_bytes().as_slice())
        .bind(key.masked.as_str())
        .bind(key.search_text())
        .bind(from_id(key.created_by))
        .bind(from_instant(key.issued_at))
        .bind(key.expires_at.map(from_instant))
        .bind(key.apis.as_ref().map(to_json).transpose()?)
        .bind(key.rate_limit_enabled)
        .bind(key.monthly_budget.as_ref().map(to_json).transpose()?)
        .bind(key.over_budget_since.map(from_instant));
        Ok(insert.execute(self.session()).await? == 1)
    }

    /// Changes a live key from `before` to `after`, which has the same secrets, and returns it as it is then: with
    /// another budget it may be over it, or no longer. Filters hear of the change only if it concerns them.
    pub async fn change_key(&mut self, before: &Key, after: Key) -> Result<Key, StorageError> {
        if *before == after {
            return Ok(after);
        }
        let since = if before.monthly_budget == after.monthly_budget {
            before.over_budget_since
        } else {
            let now = self.now;
            let spent = self.view().spent_with_key(&after, now).await?;
            over_since(after.monthly_budget, spent, before.over_budget_since, now)
        };
        let after = Key { over_budget_since: since, ..after };
        self.store_key(before, &after).await?;
        self.audit(Entry::new(Action::KeyChange, Some(before), Some(&after))).await?;
        Ok(after)
    }

    /// Stores a live key that has the secrets that it had before, and logs what filters must learn of.
    pub(super) async fn store_key(&mut self, before: &Key, after: &Key) -> Result<(), StorageError> {
        self.update_key(after, None).await?;
        let reach = before.reach();
        if before.record() != after.record() {
            self.log_key(after.digest, Some(&reach)).await?;
        }
        if let Some(former) = &after.former
            && before.former_record() != after.former_record()
        {
            self.log_key(former.digest, Some(&reach)).await?;
        }
        Ok(())
    }

    /// Gives a live key the new secret. What dies by it is dead in the same revision.
    pub async fn reissue_key(
        &mut self,
        before: &Key,
        expires_at: Option<Timestamp>,
        handover: Handover,
        secret: &PlainKey,
    ) -> Result<Key, StorageError> {
        let (now, reach) = (self.now, before.reach());
        if handover != Handover::Retry {
            self.end_former_secret(before).await?;
        }
        let (ends_at, former) = match handover {
            Handover::AtOnce => (now, None),
            Handover::Retry => (now, before.former.clone()),
            Handover::Overlap(ends_at) => (ends_at, Some(FormerSecret { digest: before.digest, ends_at })),
        };
        self.keep_former_secret(before, ends_at, ends_at > now).await?;
        let (digest, masked) = (secret.digest(), secret.masked());
        let after = Key { digest, masked, former, expires_at, ..before.clone() };
        self.update_key(&after, Some(now)).await?;
        self.log_key(before.digest, Some(&reach)).await?;
        self.log_key(after.digest, None).await?;
        self.audit(Entry::new(Action::KeyReissue, Some(before), Some(&after))).await?;
        Ok(after)
    }

    /// Remembers the secret that `key` has now, before it gets another one.
    async fn keep_former_secret(&mut self, key: &Key, ends_at: Timestamp, live: bool) -> Result<(), StorageError> {
        let rows =
            sql("INSERT INTO former_secrets (digest, key_id, masked, ends_at, live) VALUES ($1, $2, $3, $4, $5)")
                .bind(key.digest.as_bytes().as_slice())
                .bind(from_id(key.id))
                .bind(key.masked.as_str())
                .bind(from_instant(ends_at))
                .bind(live)
                .execute(self.session())
                .await?;
        exactly_one("keeping a former secret", rows)
    }

    /// Ends the former secret of `key`, if one still works.
    async fn end_former_secret(&mut self, key: &Key) -> Result<(), StorageError> {
        let Some(former) = &key.former else {
            return Ok(());
        };
        let now = self.now.min(former.ends_at);
        let rows = sql("UPDATE former_secrets SET live = $1, ends_at = $2 WHERE digest = $3 AND live")
            .bind(false)
            .bind(from_instant(now))
            .bind(former.digest.as_bytes().as_slice())
            .execute(self.session())
            .await?;
        exactly_one("ending a former secret", rows)?;
        self.log_key(former.digest, Some(&key.reach())).await
    }

    async fn update_key(&mut self, key: &Key, reissued_at: Option<Timestamp>) -> Result<(), StorageError> {
        let rows = sql("UPDATE keys SET name = $1, digest = $2, masked = $3, search_text = $4, expires_at = $5,
                 apis = $6, rate_limit_enabled = $7, monthly_budget = $8, over_budget_since = $9,
                 reissued_at = coalesce($10, reissued_at)
             WHERE id = $11 AND revoked_at IS NULL")
        .bind(key.name.as_str())
        .bind(key.digest.as_bytes().as_slice())
        .bind(key.masked.as_str())
        .bind(key.search_text())
        .bind(key.expires_at.map(from_instant))
        .bind(key.apis.as_ref().map(to_json).transpose()?)
        .bind(key.rate_limit_enabled)
        .bind(key.monthly_budget.as_ref().map(to_json).transpose()?)
        .bind(key.over_budget_since.map(from_instant))
        .bind(reissued_at.map(from_instant))
        .bind(from_id(key.id))
        .execute(self.session())
        .await?;
        exactly_one("changing a key", rows)
    }

    /// Revokes a live key for good, with every secret that it has. Its row stays, for the audit. `action` is why.
    pub async fn revoke_key(&mut self, key: &Key, action: Action) -> Result<Key, StorageError> {
        let now = self.now;
        let rows = sql("UPDATE keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(from_instant(now))
            .bind(from_id(key.id))
            .execute(self.session())
            .await?;
        exactly_one("revoking a key", rows)?;
        self.log_key(key.digest, Some(&key.reach())).await?;
        self.end_former_secret(key).await?;
        let after = Key { former: None, revoked_at: Some(now), ..key.clone() };
        self.audit(Entry::new(action, Some(key), Some(&after))).await?;
        Ok(after)
    }

    /// Ends every overlap whose time is over. Filters refuse such a secret already; now they forget it. Returns how
    /// many there were.
    pub async fn end_overlaps(&mut self) -> Result<usize, StorageError> {
        let now = from_instant(self.now);
        let due: Vec<(i64,)> = sql("SELECT key_id FROM former_secrets WHERE live AND ends_at <= $1 LIMIT 1000")
            .bind(now)
            .all(self.session())
            .await?;
        for (id,) in &due {
            let key = self.view().key(to_id(*id)).await?.ok_or_else(|| KEYS.corrupt("a secret without its key"))?;
            self.end_former_secret(&key).await?;
            let after = Key { former: None, ..key.clone() };
            self.audit(Entry::new(Action::KeyOverlapEnd, Some(&key), Some(&after))).await?;
        }
        Ok(due.len())
    }
}
