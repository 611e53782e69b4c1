//! Whose secret a digest stands for: of all that ever was one here.

use portcullis_core::digest::Digest;
use portcullis_core::id::OrganizationId;

use super::View;
use super::error::StorageError;
use super::rows::{from_id, to_id};
use super::sql::sql;
use crate::domain::gateway::Gateway;
use crate::domain::key::Key;
use crate::domain::user::AccessToken;

/// What a digest stands for.
#[derive(Debug, Clone)]
pub enum Found {
    /// A key's secret, and whether it still works as one, expiry aside.
    Key(Box<Key>, bool),
    /// An access token, and the organization of its owner.
    Token(AccessToken, Option<OrganizationId>),
    /// A gateway's token.
    Gateway(Gateway),
}

impl View<'_> {
    /// What the secret with this digest is or was.
    pub async fn secret(&mut self, digest: Digest) -> Result<Option<Found>, StorageError> {
        let key: Option<(i64,)> = sql("SELECT id FROM keys WHERE digest = $1
             UNION ALL SELECT key_id FROM former_secrets WHERE digest = $1")
        .bind(digest.as_bytes().as_slice())
        .optional(self.session())
        .await?;
        if let Some((id,)) = key
            && let Some(key) = self.key(to_id(id)).await?
        {
            let current = key.digest == digest || key.former.as_ref().is_some_and(|former| former.digest == digest);
            let live = current && key.revoked_at.is_none();
            return Ok(Some(Found::Key(Box::new(key), live)));
        }
        if let Some((token, organization)) = self.token_of_digest(digest).await? {
            return Ok(Some(Found::Token(token, organization)));
        }
        Ok(self.gateway_of_token(digest).await?.map(Found::Gateway))
    }

    /// The keys of a user that still live, by their ids.
    pub async fn live_keys_of(&mut self, user: portcullis_core::id::UserId) -> Result<Vec<Key>, StorageError> {
        let ids: Vec<(i64,)> = sql("SELECT id FROM keys WHERE created_by = $1 AND revoked_at IS NULL ORDER BY id")
            .bind(from_id(user))
            .all(self.session())
            .await?;
        let mut keys = Vec::with_capacity(ids.len());
        for (id,) in ids {
            keys.extend(self.key(to_id(id)).await?);
        }
        Ok(keys)
    }
}
