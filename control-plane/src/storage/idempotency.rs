//! Which key a request with an `Idempotency-Key` issued
//! (draft-ietf-httpapi-idempotency-key-header): the key's id and the digest of the request, never the secret.

use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::id::KeyId;

use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::write::Write;
use crate::domain::actor::Actor;

const IDEMPOTENCY: Columns = Columns("idempotency");
/// How long a record is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// An earlier request with the same `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The digest of its body.
    pub request: Digest,
    /// The key that it issued.
    pub key: KeyId,
}

impl Write {
    /// The earlier request of this `actor` with this key, if it is less than 24 hours old. Older ones are dropped.
    pub async fn earlier_request(
        &mut self,
        actor: Actor,
        idempotency_key: &str,
    ) -> Result<Option<Earlier>, StorageError> {
        let oldest = self.now.before(KEPT);
        sqlx::query("DELETE FROM idempotency WHERE created_at <= ?")
            .bind(from_instant(oldest))
            .execute(self.connection())
            .await?;
        let row: Option<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT request_digest, key_id FROM idempotency
             WHERE token_id = ? AND idempotency_key = ?",
        )
        .bind(from_id(actor.token))
        .bind(idempotency_key)
        .fetch_optional(self.connection())
        .await?;
        row.map(|(request, key)| Ok(Earlier { request: IDEMPOTENCY.digest(&request)?, key: to_id(key) })).transpose()
    }

    /// Remembers what this request issued.
    pub async fn remember_request(
        &mut self,
        actor: Actor,
        idempotency_key: &str,
        done_by_it: Earlier,
    ) -> Result<(), StorageError> {
        let now = self.now;
        let done = sqlx::query(
            "INSERT INTO idempotency (token_id, idempotency_key, request_digest, key_id, created_at)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(from_id(actor.token))
        .bind(idempotency_key)
        .bind(done_by_it.request.as_bytes().as_slice())
        .bind(from_id(done_by_it.key))
        .bind(from_instant(now))
        .execute(self.connection())
        .await?;
        exactly_one("remembering a request", &done)
    }
}
