//! Everything that can go wrong with the database, as far as a caller can act on it.

use sqlx::postgres::PgDatabaseError;

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
    /// The database server is out of reach, or is starting or stopping.
    #[error("the database cannot be reached: {0}")]
    Unreachable(sqlx::Error),
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
            Self::Busy | Self::Full | Self::Disk(_) | Self::Unreachable(_) | Self::Closed | Self::Cut => true,
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
        if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed) {
            return Self::Unreachable(error);
        }
        let Some(reported) = error.as_database_error() else {
            return Self::Unknown(error);
        };
        let code = reported.code().unwrap_or_default();
        if reported.try_downcast_ref::<PgDatabaseError>().is_some() {
            let code = code.into_owned();
            return Self::from_sqlstate(&code, error);
        }
        // The low byte of an extended code is the primary one.
        match code.parse::<i32>().map(|extended| extended & 0xff) {
            Ok(SQLITE_BUSY | SQLITE_LOCKED) => Self::Busy,
            Ok(SQLITE_FULL) => Self::Full,
            Ok(SQLITE_IOERR) => Self::Disk(error),
            Ok(_) | Err(_) => Self::Unknown(error),
        }
    }
}

impl StorageError {
    /// Sorts by SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn from_sqlstate(code: &str, error: sqlx::Error) -> Self {
        match code {
            // Lock not available, a statement's time is over, serialization failure, deadlock, too many connections.
            "55P03" | "57014" | "40001" | "40P01" | "53300" => Self::Busy,
            "53100" => Self::Full,
            "58030" => Self::Disk(error),
            // The server is shutting down, has crashed, or is starting; or it is a replica that cannot write.
            "57P01" | "57P02" | "57P03" | "25006" => Self::Unreachable(error),
            _ if code.starts_with("08") => Self::Unreachable(error),
            _ => Self::Unknown(error),
        }
    }
}

/// Checks that a statement changed exactly one row.
pub(super) const fn exactly_one(statement: &'static str, rows: u64) -> Result<(), StorageError> {
    match rows {
        1 => Ok(()),
        rows => Err(StorageError::Affected { statement, rows }),
    }
}
