//! Access tokens of the admin API, and the first of them.

use portcullis_core::digest::Digest;
use portcullis_core::id::{TokenId, UserId};
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::write::Write;
use crate::domain::actor::Action;

const ACCESS_TOKENS: Columns = Columns("access_tokens");

/// What setting the bootstrap token changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// There was none before.
    Created,
    /// There was another one, which opens nothing any more.
    Rotated,
    /// It is the one that was there.
    Unchanged,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    user_id: i64,
    digest: Vec<u8>,
}

impl View<'_> {
    /// The operator whose token has this digest. The digests are compared once more, in constant time.
    pub async fn operator_of_token(&mut self, digest: Digest) -> Result<Option<(UserId, TokenId)>, StorageError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT t.id, t.user_id, t.digest FROM access_tokens t JOIN users u ON u.id = t.user_id
             WHERE t.digest = ? AND t.revoked_at IS NULL AND u.role = 'operator'",
        )
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(&mut *self.0)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let matches = ACCESS_TOKENS.digest(&row.digest)? == digest;
        Ok(matches.then_some((to_id(row.user_id), to_id(row.id))))
    }

    /// Whether any access token opens the admin API.
    pub async fn has_access_token(&mut self) -> Result<bool, StorageError> {
        let live: Option<i64> = sqlx::query_scalar("SELECT id FROM access_tokens WHERE revoked_at IS NULL LIMIT 1")
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(live.is_some())
    }
}

impl Write {
    /// Makes the token with this digest the one bootstrap token, of the user `operator`.
    pub async fn set_bootstrap_token(&mut self, digest: Digest) -> Result<Bootstrap, StorageError> {
        let current: Option<Row> = sqlx::query_as(
            "SELECT id, user_id, digest FROM access_tokens
             WHERE bootstrap = 1 AND revoked_at IS NULL",
        )
        .fetch_optional(self.connection())
        .await?;
        let (now, user) = (self.now, self.bootstrap_user().await?);
        if let Some(current) = &current {
            if ACCESS_TOKENS.digest(&current.digest)? == digest {
                return Ok(Bootstrap::Unchanged);
            }
            let done = sqlx::query("UPDATE access_tokens SET revoked_at = ? WHERE id = ?")
                .bind(from_instant(now))
                .bind(current.id)
                .execute(self.connection())
                .await?;
            exactly_one("revoking the bootstrap token", &done)?;
        }
        let token: TokenId = self.entropy.id(now)?;
        // A token that was the bootstrap token once may come back.
        let restored: i64 = sqlx::query_scalar(
            "INSERT INTO access_tokens (id, user_id, name, digest, bootstrap, created_at)
             VALUES (?, ?, 'bootstrap', ?, 1, ?)
             ON CONFLICT (digest) DO UPDATE SET revoked_at = NULL, bootstrap = 1 RETURNING id",
        )
        .bind(from_id(token))
        .bind(from_id(user))
        .bind(digest.as_bytes().as_slice())
        .bind(from_instant(now))
        .fetch_one(self.connection())
        .await?;
        let (action, outcome) = match current {
            None => (Action::BootstrapCreated, Bootstrap::Created),
            Some(_) => (Action::BootstrapRotated, Bootstrap::Rotated),
        };
        let token: TokenId = to_id(restored);
        self.audit(action, &token.to_string()).await?;
        Ok(outcome)
    }

    async fn bootstrap_user(&mut self) -> Result<UserId, StorageError> {
        let (now, id) = (self.now, self.entropy.id::<portcullis_core::id::User>(self.now)?);
        let user: i64 = sqlx::query_scalar(
            "INSERT INTO users (id, name, role, created_at) VALUES (?, 'operator', 'operator', ?)
             ON CONFLICT (name) DO UPDATE SET name = name RETURNING id",
        )
        .bind(from_id(id))
        .bind(from_instant(now))
        .fetch_one(self.connection())
        .await?;
        Ok(to_id(user))
    }
}
