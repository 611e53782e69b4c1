//! Everything that can go wrong with the database, as far as a caller can act on it.

use crate::domain::environment::EntropyError;

/// Why the database did not do what was asked. Nothing was written, unless [`StorageError::Unknown`] came from
/// a commit.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Somebody else holds the lock, or all connections are in use: it may work later.
    #[error("the database is busy")]
    Busy,
    /// There is no room left to write.
    #[error("the database has no room left")]
    Full,
    /// The disk did not do what it was asked.
    #[error("the disk failed: {0}")]
    Disk(sqlx::Error),
    /// The database is being closed.
    #[error("the database is closed")]
    Closed,
    /// A row says something that this version does not understand.
    #[error("a row of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with the row. Never its content.
        reason: String,
    },
    /// A statement changed another number of rows than it had to.
    #[error("{statement} changed {rows} rows")]
    Affected {
        /// What the statement is for.
        statement: &'static str,
        /// How many rows it changed.
        rows: u64,
    },
    /// Nothing random to draw an id from.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A page could not be rendered.
    #[error("a page cannot be rendered: {0}")]
    Render(#[from] serde_json::Error),
    /// A task of the database ended before its work was done.
    #[error("the database's task was cut short")]
    Cut,
    /// Anything else that the database reports.
    #[error("the database failed: {0}")]
    Unknown(sqlx::Error),
}

impl StorageError {
    /// Whether the same request may succeed later without anyone doing anything.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::Full | Self::Disk(_) | Self::Closed | Self::Cut => true,
            Self::Corrupt { .. } | Self::Affected { .. } | Self::Entropy(_) | Self::Render(_) | Self::Unknown(_) => {
                false
            }
        }
    }
}

/// SQLite's primary result codes, <https://www.sqlite.org/rescode.html>.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        // The library's own error is open-ended; what matters here is a closed choice.
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy;
        }
        if matches!(error, sqlx::Error::PoolClosed) {
            return Self::Closed;
        }
        let reported = error.as_database_error().and_then(|reported| reported.code());
        let extended = reported.and_then(|code| code.parse::<i32>().ok());
        // The low byte of an extended code is the primary one.
        match extended.map(|code| code & 0xff) {
            Some(SQLITE_BUSY | SQLITE_LOCKED) => Self::Busy,
            Some(SQLITE_FULL) => Self::Full,
            Some(SQLITE_IOERR) => Self::Disk(error),
            Some(_) | None => Self::Unknown(error),
        }
    }
}

/// Checks that a statement changed exactly one row.
pub(super) fn exactly_one(statement: &'static str, done: &sqlx::sqlite::SqliteQueryResult) -> Result<(), StorageError> {
    match done.rows_affected() {
        1 => Ok(()),
        rows => Err(StorageError::Affected { statement, rows }),
    }
}
