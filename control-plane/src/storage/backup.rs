//! Backups, and what has to happen after one is restored.
//!
//! A restored database has forgotten what came after the backup, deletions included, while filters may know it. So
//! it begins another life: a new epoch, in which every worker starts over from a snapshot. That is
//! [`Store::begin_epoch`], to be called before anything is served from a restored database. Nor does it know the
//! workers that came after the backup, so it counts as unsettled until it has been served for long enough to hear them.
//!
//! SQLite is backed up here, into a file, while it serves. PostgreSQL has its own tools for that.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portcullis_core::wire::Epoch;

use super::Store;
use super::database::Database;
use super::error::{StorageError, exactly_one};
use super::rows::from_id;
use super::sql::sql;
use crate::domain::audit::{Action, Entry};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL is backed up with its own tools.
    #[error("PostgreSQL is backed up with its own tools, such as pg_dump")]
    Postgres,
    /// The path cannot be said to the database.
    #[error("the path of the backup is not UTF-8")]
    Path,
    /// The file cannot be made: it is there already, for one.
    #[error(transparent)]
    Create(io::Error),
    /// The database, or the file.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Store {
    /// Writes all there is at this instant into a new file, for its owner alone. An existing file is refused.
    pub async fn back_up(&self, file: &Path) -> Result<(), BackupError> {
        let Database::Sqlite { writer, .. } = &self.0.database else {
            return Err(BackupError::Postgres);
        };
        let path = file.to_str().ok_or(BackupError::Path)?;
        // SQLite takes a file that is empty, and would give one that it makes itself to the group as well.
        let made =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(BackupError::Create)?;
        let written = sqlx::query("VACUUM INTO $1").bind(path).execute(writer).await;
        // SQLite leaves it to us to wait for the disk.
        let lasting = written.map_err(|error| BackupError::from(StorageError::from(error)));
        let lasting = lasting.and_then(|_| made.sync_all().map_err(BackupError::Create));
        if lasting.is_err() {
            // Half a backup is none. If it cannot be taken away, the error says enough.
            let _ = fs::remove_file(file);
        }
        lasting
    }

    /// Begins another life of this database, and returns its epoch. This store, which was opened in the old one, is
    /// of no use afterwards.
    pub async fn begin_epoch(&self) -> Result<Epoch, StorageError> {
        let mut write = self.write(None).await?;
        let epoch: Epoch = self.entropy().id(write.now())?;
        let rows = sql("UPDATE control SET epoch = $1, settled = $2")
            .bind(from_id(epoch))
            .bind(false)
            .execute(write.session())
            .await?;
        exactly_one("beginning an epoch", rows)?;
        let entry = Entry {
            action: Action::EpochChange,
            subject: epoch.to_string(),
            organization: None,
            before: None,
            after: None,
        };
        write.audit(entry).await?;
        write.commit().await?;
        Ok(epoch)
    }
}
