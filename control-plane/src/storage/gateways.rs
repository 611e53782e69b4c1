//! Gateways in the database.

use portcullis_core::digest::Digest;
use portcullis_core::id::GatewayId;
use portcullis_core::key::PlainKey;
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::write::Write;
use crate::domain::actor::Action;
use crate::domain::gateway::Gateway;
use crate::domain::name::Name;

const GATEWAYS: Columns = Columns("gateways");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    digest: Vec<u8>,
    masked: String,
    created_at: i64,
}

impl TryFrom<Row> for Gateway {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            name: GATEWAYS.name(&row.name)?,
            digest: GATEWAYS.digest(&row.digest)?,
            masked: row.masked,
            created_at: GATEWAYS.instant(row.created_at)?,
        })
    }
}

impl View<'_> {
    /// The gateway with this id.
    pub async fn gateway(&mut self, id: GatewayId) -> Result<Option<Gateway>, StorageError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM gateways WHERE id = ?")
            .bind(from_id(id))
            .fetch_optional(&mut *self.0)
            .await?;
        row.map(Gateway::try_from).transpose()
    }

    /// The gateway whose token has this digest. The digests are compared once more, in constant time.
    pub async fn gateway_of_token(&mut self, digest: Digest) -> Result<Option<Gateway>, StorageError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM gateways WHERE digest = ?")
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(&mut *self.0)
            .await?;
        let found = row.map(Gateway::try_from).transpose()?;
        Ok(found.filter(|gateway| gateway.digest == digest))
    }

    /// Every gateway, oldest first.
    pub async fn gateways(&mut self) -> Result<Vec<Gateway>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM gateways ORDER BY id").fetch_all(&mut *self.0).await?;
        rows.into_iter().map(Gateway::try_from).collect()
    }
}

impl Write {
    /// Creates a gateway with `token`, or returns `None` if the name is taken.
    pub async fn create_gateway(&mut self, name: &Name, token: &PlainKey) -> Result<Option<Gateway>, StorageError> {
        let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM gateways WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(self.connection())
            .await?;
        if taken.is_some() {
            return Ok(None);
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let (digest, masked) = (token.digest(), token.masked());
        let id = loop {
            let id: GatewayId = entropy.id(now)?;
            let done = sqlx::query(
                "INSERT INTO gateways (id, name, digest, masked, created_at) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(from_id(id))
            .bind(name.as_str())
            .bind(digest.as_bytes().as_slice())
            .bind(&masked)
            .bind(from_instant(now))
            .execute(self.connection())
            .await?;
            if done.rows_affected() == 1 {
                break id;
            }
        };
        self.audit(Action::GatewayCreated, &id.to_string()).await?;
        Ok(Some(Gateway { id, name: name.clone(), digest, masked, created_at: now }))
    }

    /// Deletes a gateway: once this is committed its token opens nothing, and its open polls end.
    pub async fn delete_gateway(&mut self, gateway: &Gateway) -> Result<(), StorageError> {
        let done = sqlx::query("DELETE FROM gateways WHERE id = ?")
            .bind(from_id(gateway.id))
            .execute(self.connection())
            .await?;
        exactly_one("deleting a gateway", &done)?;
        self.announce_closing();
        self.audit(Action::GatewayDeleted, &gateway.id.to_string()).await
    }
}
