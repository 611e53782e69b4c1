//! The control row: whose history this is, and how far it has come.

use portcullis_core::wire::{Cursor, Epoch, Revision};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;

use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, to_id};
use super::{Store, View};

const CONTROL: Columns = Columns("control");

/// Writes the control row of a new database, with `epoch`, and returns where the database stands.
pub(super) async fn initialize(writer: &SqlitePool, epoch: Epoch) -> Result<Cursor, StorageError> {
    sqlx::query(
        "INSERT INTO control (only_row, epoch, revision, pruned_revision) VALUES (1, ?, 0, 0)
         ON CONFLICT (only_row) DO NOTHING",
    )
    .bind(from_id(epoch))
    .execute(writer)
    .await?;
    let mut connection = writer.acquire().await?;
    Ok(position(&mut connection).await?.head)
}

/// Where the change log ends and begins.
pub(super) struct Position {
    /// The newest revision.
    pub(super) head: Cursor,
    /// Changes up to this revision are no longer known.
    pub(super) pruned: Revision,
}

pub(super) async fn position(connection: &mut SqliteConnection) -> Result<Position, StorageError> {
    let (epoch, revision, pruned): (i64, i64, i64) =
        sqlx::query_as("SELECT epoch, revision, pruned_revision FROM control").fetch_one(connection).await?;
    Ok(Position {
        head: Cursor { epoch: to_id(epoch), revision: CONTROL.count(revision)? },
        pruned: CONTROL.count(pruned)?,
    })
}

/// Counts the revision up and returns the new one.
pub(super) async fn count_up(connection: &mut SqliteConnection) -> Result<Revision, StorageError> {
    let revision: i64 = sqlx::query_scalar("UPDATE control SET revision = revision + 1 RETURNING revision")
        .fetch_one(connection)
        .await?;
    CONTROL.count(revision)
}

/// Drops the changes up to `revision`.
pub(super) async fn prune(connection: &mut SqliteConnection, revision: Revision) -> Result<(), StorageError> {
    let revision = revision.cast_signed();
    sqlx::query("DELETE FROM changes WHERE revision <= ?").bind(revision).execute(&mut *connection).await?;
    let done = sqlx::query("UPDATE control SET pruned_revision = ?").bind(revision).execute(connection).await?;
    exactly_one("pruning", &done)
}

impl View<'_> {
    /// The newest committed revision.
    pub async fn head(&mut self) -> Result<Cursor, StorageError> {
        Ok(position(self.0).await?.head)
    }
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.read().await?.view().head().await.map(|_| ())
    }
}
