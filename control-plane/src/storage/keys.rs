//! Keys in the database: rows, look-ups and every change of one.

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, KeyId, OrganizationId};
use portcullis_core::key::{ApiKind, PlainKey};
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::write::Write;
use crate::domain::actor::{Action, Actor};
use crate::domain::key::Key;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;

const KEYS: Columns = Columns("keys");

#[derive(FromRow)]
pub(super) struct Row {
    id: i64,
    kind: String,
    organization_id: i64,
    name: String,
    digest: Vec<u8>,
    masked: String,
    created_by: i64,
    issued_at: i64,
    expires_at: Option<i64>,
    apis: Option<String>,
    rate_limit_enabled: bool,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for Key {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            kind: KEYS.kind(&row.kind)?,
            organization: to_id(row.organization_id),
            name: KEYS.name(&row.name)?,
            digest: KEYS.digest(&row.digest)?,
            masked: row.masked,
            created_by: to_id(row.created_by),
            issued_at: KEYS.instant(row.issued_at)?,
            expires_at: KEYS.instant_if_any(row.expires_at)?,
            apis: KEYS.json_if_any(row.apis.as_deref())?,
            rate_limit_enabled: row.rate_limit_enabled,
            last_used_at: KEYS.instant_if_any(row.last_used_at)?,
            revoked_at: KEYS.instant_if_any(row.revoked_at)?,
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
    /// Its name.
    pub name: Name,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// The APIs to which it is confined, if it is.
    pub apis: Option<Vec<ApiId>>,
    /// Whether it is held to rate limits.
    pub rate_limit_enabled: bool,
}

impl View<'_> {
    /// The key with this id, revoked ones included.
    pub async fn key(&mut self, id: KeyId) -> Result<Option<Key>, StorageError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT * FROM keys WHERE id = ?").bind(from_id(id)).fetch_optional(&mut *self.0).await?;
        row.map(Key::try_from).transpose()
    }

    /// The live key with this digest.
    pub(super) async fn live_key(&mut self, digest: &[u8]) -> Result<Option<Key>, StorageError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM keys WHERE digest = ? AND revoked_at IS NULL")
            .bind(digest)
            .fetch_optional(&mut *self.0)
            .await?;
        row.map(Key::try_from).transpose()
    }
}

impl Write {
    /// Issues a key of `actor` with this secret.
    pub async fn issue_key(&mut self, actor: Actor, new: NewKey, secret: &PlainKey) -> Result<Key, StorageError> {
        let (now, entropy) = (self.now, self.entropy.clone());
        let mut key = Key {
            id: entropy.id(now)?,
            kind: new.kind,
            organization: new.organization,
            name: new.name,
            digest: secret.digest(),
            masked: secret.masked(),
            created_by: actor.user,
            issued_at: now,
            expires_at: new.expires_at,
            apis: new.apis,
            rate_limit_enabled: new.rate_limit_enabled,
            last_used_at: None,
            revoked_at: None,
        };
        while !self.insert_key(&key).await? {
            key.id = entropy.id(now)?;
        }
        self.log_key(key.digest).await?;
        self.audit(Action::KeyIssued, &key.id.to_string()).await?;
        Ok(key)
    }

    /// Whether the key was inserted: not if its id is taken.
    async fn insert_key(&mut self, key: &Key) -> Result<bool, StorageError> {
        let done = sqlx::query(
            "INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text,
                               created_by, issued_at, expires_at, apis, rate_limit_enabled)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(from_id(key.id))
        .bind(key.kind.name())
        .bind(from_id(key.organization))
        .bind(key.name.as_str())
        .bind(key.digest.as_bytes().as_slice())
        .bind(&key.masked)
        .bind(key.search_text())
        .bind(from_id(key.created_by))
        .bind(from_instant(key.issued_at))
        .bind(key.expires_at.map(from_instant))
        .bind(key.apis.as_ref().map(to_json).transpose()?)
        .bind(key.rate_limit_enabled)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Changes a live key from `before` to `after`. Filters hear of it only if it concerns them.
    pub async fn change_key(&mut self, before: &Key, after: &Key) -> Result<(), StorageError> {
        if before == after {
            return Ok(());
        }
        self.update_key(after, None).await?;
        if before.record() != after.record() {
            self.log_key(after.digest).await?;
        }
        self.audit(Action::KeyChanged, &after.id.to_string()).await
    }

    /// Gives a live key the new secret; the old one is dead in the same revision.
    pub async fn reissue_key(
        &mut self,
        before: &Key,
        expires_at: Option<Timestamp>,
        secret: &PlainKey,
    ) -> Result<Key, StorageError> {
        let after = Key { digest: secret.digest(), masked: secret.masked(), expires_at, ..before.clone() };
        self.update_key(&after, Some(self.now)).await?;
        self.log_key(before.digest).await?;
        self.log_key(after.digest).await?;
        self.audit(Action::KeyReissued, &after.id.to_string()).await?;
        Ok(after)
    }

    async fn update_key(&mut self, key: &Key, reissued_at: Option<Timestamp>) -> Result<(), StorageError> {
        let done = sqlx::query(
            "UPDATE keys SET name = ?, digest = ?, masked = ?, search_text = ?, expires_at = ?,
                 apis = ?, rate_limit_enabled = ?, reissued_at = coalesce(?, reissued_at)
             WHERE id = ? AND revoked_at IS NULL",
        )
        .bind(key.name.as_str())
        .bind(key.digest.as_bytes().as_slice())
        .bind(&key.masked)
        .bind(key.search_text())
        .bind(key.expires_at.map(from_instant))
        .bind(key.apis.as_ref().map(to_json).transpose()?)
        .bind(key.rate_limit_enabled)
        .bind(reissued_at.map(from_instant))
        .bind(from_id(key.id))
        .execute(self.connection())
        .await?;
        exactly_one("changing a key", &done)
    }

    /// Revokes a live key for good. Its row stays, for the audit.
    pub async fn revoke_key(&mut self, key: &Key) -> Result<Key, StorageError> {
        let now = self.now;
        let done = sqlx::query("UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
            .bind(from_instant(now))
            .bind(from_id(key.id))
            .execute(self.connection())
            .await?;
        exactly_one("revoking a key", &done)?;
        self.log_key(key.digest).await?;
        self.audit(Action::KeyRevoked, &key.id.to_string()).await?;
        Ok(Key { revoked_at: Some(now), ..key.clone() })
    }
}

/// The digest that a row of the change log names, for a deletion.
pub(super) fn logged_digest(bytes: &[u8]) -> Result<Digest, StorageError> {
    Columns("changes").digest(bytes)
}
