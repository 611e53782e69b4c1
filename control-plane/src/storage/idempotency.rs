//! What a request with an `Idempotency-Key` made
//! (draft-ietf-httpapi-idempotency-key-header): its id, and the digests of the request and of the secret that it made.

use std::time::Duration;

use portcullis_core::digest::Digest;

use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant};
use super::sql::sql;
use super::write::Write;
use crate::domain::actor::Actor;

const IDEMPOTENCY: Columns = Columns("idempotency");
/// How long a record is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// An earlier request with the same `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The digest of what it asked for.
    pub request: Digest,
    /// The id of what it made.
    pub subject: String,
    /// The digest of the secret that it made last, if what it made has one.
    pub secret: Option<Digest>,
}

impl Write {
    /// The earlier request of this `actor` with this key, if it is less than 24 hours old. Older ones are dropped.
    pub async fn earlier_request(
        &mut self,
        actor: Actor,
        idempotency_key: &str,
    ) -> Result<Option<Earlier>, StorageError> {
        let oldest = self.now.before(KEPT);
        sql("DELETE FROM idempotency WHERE created_at <= $1")
            .bind(from_instant(oldest))
            .execute(self.session())
            .await?;
        let row: Option<(Vec<u8>, String, Option<Vec<u8>>)> = sql("SELECT request_digest, subject, secret_digest
             FROM idempotency WHERE token_id = $1 AND idempotency_key = $2")
        .bind(from_id(actor.token))
        .bind(idempotency_key)
        .optional(self.session())
        .await?;
        let Some((request, subject, secret)) = row else {
            return Ok(None);
        };
        let secret = secret.map(|digest| IDEMPOTENCY.digest(&digest)).transpose()?;
        Ok(Some(Earlier { request: IDEMPOTENCY.digest(&request)?, subject, secret }))
    }

    /// Remembers what this request made, or made again.
    pub async fn remember_request(
        &mut self,
        actor: Actor,
        idempotency_key: &str,
        made_by_it: &Earlier,
    ) -> Result<(), StorageError> {
        let now = self.now;
        // A retry makes another secret in place of the first; all else stays.
        let rows = sql("INSERT INTO idempotency (token_id, idempotency_key, request_digest, subject, secret_digest,
                 created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (token_id, idempotency_key) DO UPDATE SET secret_digest = excluded.secret_digest")
        .bind(from_id(actor.token))
        .bind(idempotency_key)
        .bind(made_by_it.request.as_bytes().as_slice())
        .bind(made_by_it.subject.as_str())
        .bind(made_by_it.secret.as_ref().map(|secret| secret.as_bytes().as_slice()))
        .bind(from_instant(now))
        .execute(self.session())
        .await?;
        exactly_one("remembering a request", rows)
    }
}
