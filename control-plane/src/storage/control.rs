//! The control row: whose history this is, and how far it has come.

use portcullis_core::wire::{Cursor, Epoch, Revision};

use super::database::Database;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, to_id};
use super::sql::{Session, sql};
use super::{Store, View};
use crate::domain::feed::News;

const CONTROL: Columns = Columns("control");

/// Writes the control row of a new database, with `epoch`, and returns where the database stands.
pub(super) async fn initialize(database: &Database, epoch: Epoch) -> Result<Position, StorageError> {
    let mut transaction = database.begin().await?;
    sql("INSERT INTO control (only_row, epoch, revision, pruned_revision) VALUES (1, $1, 0, 0)
         ON CONFLICT (only_row) DO NOTHING")
    .bind(from_id(epoch))
    .execute(transaction.session())
    .await?;
    let position = position(transaction.session()).await?;
    transaction.commit().await?;
    Ok(position)
}

/// Where the database stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The newest revision.
    pub(super) head: Cursor,
    /// Changes up to this revision are no longer known.
    pub(super) pruned: Revision,
    gateway_changes: u64,
}

impl Position {
    /// What is to be announced of it.
    pub(super) const fn news(&self) -> News {
        News { revision: self.head.revision, gateway_changes: self.gateway_changes }
    }
}

pub(super) async fn position(session: Session<'_>) -> Result<Position, StorageError> {
    let (epoch, revision, pruned, changes): (i64, i64, i64, i64) =
        sql("SELECT epoch, revision, pruned_revision, gateway_changes FROM control").one(session).await?;
    Ok(Position {
        head: Cursor { epoch: to_id(epoch), revision: CONTROL.count(revision)? },
        pruned: CONTROL.count(pruned)?,
        gateway_changes: CONTROL.count(changes)?,
    })
}

/// Counts the revision up and returns the new one.
pub(super) async fn count_up(session: Session<'_>) -> Result<Revision, StorageError> {
    let (revision,): (i64,) = sql("UPDATE control SET revision = revision + 1 RETURNING revision").one(session).await?;
    CONTROL.count(revision)
}

/// Counts that a gateway was changed, so that everyone who waits asks whether it was theirs.
pub(super) async fn count_gateway_change(session: Session<'_>) -> Result<(), StorageError> {
    let rows = sql("UPDATE control SET gateway_changes = gateway_changes + 1").execute(session).await?;
    exactly_one("counting a gateway's change", rows)
}

/// Drops the changes up to `revision`.
pub(super) async fn prune(mut session: Session<'_>, revision: Revision) -> Result<(), StorageError> {
    let revision = revision.cast_signed();
    sql("DELETE FROM changes WHERE revision <= $1").bind(revision).execute(session.reborrow()).await?;
    let rows = sql("UPDATE control SET pruned_revision = $1").bind(revision).execute(session).await?;
    exactly_one("pruning", rows)
}

impl View<'_> {
    /// The newest committed revision.
    pub async fn head(&mut self) -> Result<Cursor, StorageError> {
        Ok(position(self.session()).await?.head)
    }
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.read().await?.view().head().await.map(|_| ())
    }
}
