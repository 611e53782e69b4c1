//! Why a subcommand that works on the database ends without having done it.

use crate::domain::environment::EntropyError;
use crate::domain::password::{HashError, PasswordError};
use crate::storage::{BackupError, OpenError, RestoreError, StorageError};

use super::database::DatabaseUrlError;

/// Why it was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An argument or a setting is no good.
    #[error("{0}")]
    Argument(String),
    /// What is there stands in the way, or what is named is not there.
    #[error("{0}")]
    Refused(String),
    /// The setting of the database is no good.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    /// Not a password that can be chosen.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no backup.
    #[error("no backup was made: {0}")]
    Backup(#[from] BackupError),
    /// Nothing was restored.
    #[error("nothing was restored: {0}")]
    Restore(#[from] RestoreError),
    /// No secret can be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Standard input or output failed.
    #[error("standard input or output: {0}")]
    Stream(#[from] std::io::Error),
}

impl Failure {
    /// What the program exits with: 2 for an argument or a setting that is no good, 1 for anything else.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Argument(_)
            | Self::Url(_)
            | Self::Password(_)
            | Self::Backup(BackupError::Postgres | BackupError::Path) => 2,
            Self::Refused(_)
            | Self::Open(_)
            | Self::Storage(_)
            | Self::Backup(BackupError::Create(_) | BackupError::Storage(_))
            | Self::Restore(_)
            | Self::Entropy(_)
            | Self::Hash(_)
            | Self::Stream(_) => 1,
        }
    }
}
