//! The two databases behind a [`Store`](super::Store): SQLite in a file of ours, PostgreSQL at an address.
//!
//! Either way one connection of this process writes and a few more read, so that writers queue here rather than
//! in the database; other processes on the same database are kept apart by its locks. A write takes the one
//! lock that there is as its first act: SQLite's by `BEGIN IMMEDIATE`, PostgreSQL's on the control row. So every
//! write sees what all the others before it did, and revisions follow the order of commits.
//!
//! Each wait is bounded; [`OpenError`] and [`StorageError`] say how it fails.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Postgres, Sqlite, Transaction};

use super::error::StorageError;
use super::sql::{Session, sql};

/// The oldest SQLite without the WAL corruption bug.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// The oldest PostgreSQL that still gets fixes.
const POSTGRES_VERSION_MIN: i32 = 140_000;
/// How many connections read.
const READERS: u32 = 4;
/// How long one of them lasts. SQLite's learn how values are spread when they begin, and not again.
const READER_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// Has SQLite look at all tables, whether or not this connection has asked about them, and at some hundred rows of each.
const OPTIMIZE: &str = "PRAGMA optimize = 0x10002";

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file. It is created with its directory if it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresAddress),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

/// The address of a PostgreSQL database. Neither its `Debug` nor its `Display` shows the password.
#[derive(Clone)]
pub struct PostgresAddress(Box<PgConnectOptions>);

/// Why a text is no such address. Never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct PostgresAddressError;

impl FromStr for PostgresAddress {
    type Err = PostgresAddressError;

    fn from_str(url: &str) -> Result<Self, PostgresAddressError> {
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options = PgConnectOptions::from_str(url).ok().filter(|_| scheme);
        options.map(|options| Self(Box::new(options))).ok_or(PostgresAddressError)
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(options) = self;
        let database = options.get_database().unwrap_or(options.get_username());
        write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for PostgresAddress {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for PostgresAddress {}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or the file cannot be created.
    #[error("cannot create {path}: {error}")]
    Create {
        /// What was to be created.
        path: PathBuf,
        /// Why it was not.
        error: io::Error,
    },
    /// There is no such file.
    #[error("no database at {path}: {error}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be found.
        error: io::Error,
    },
    /// The database's own version is not one that can be trusted.
    #[error("{product} {found} is too old: {required} or newer is required")]
    Version {
        /// Which database.
        product: &'static str,
        /// The version that is there.
        found: String,
        /// The oldest that will do.
        required: &'static str,
    },
    /// The tables cannot be brought up to date.
    #[error("cannot migrate {location}: {error}")]
    Migrate {
        /// The database.
        location: Location,
        /// What went wrong.
        error: sqlx::migrate::MigrateError,
    },
    /// The database does not answer.
    #[error("cannot open {location}: {error}")]
    Open {
        /// The database.
        location: Location,
        /// What went wrong.
        error: StorageError,
    },
}

/// The pools of one database.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite { writer: SqlitePool, reader: SqlitePool },
    Postgres { writer: PgPool, reader: PgPool },
}

/// A connection for questions.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    pub(super) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection),
        }
    }
}

/// A transaction. Dropped it is rolled back.
#[derive(Debug)]
pub(super) enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Open {
    pub(super) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(transaction) => Session::Sqlite(transaction),
            Self::Postgres(transaction) => Session::Postgres(transaction),
        }
    }

    pub(super) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}

impl Database {
    /// Opens the database and brings its tables up to date. Waits for locks and connections at most `patience`.
    pub(super) async fn open(location: &Location, patience: Duration) -> Result<Self, OpenError> {
        match location {
            Location::Sqlite(path) => open_sqlite(location, path, patience).await,
            Location::Postgres(address) => open_postgres(location, address, patience).await,
        }
    }

    pub(super) async fn read(&self) -> Result<Connection, StorageError> {
        Ok(match self {
            Self::Sqlite { reader, .. } => Connection::Sqlite(reader.acquire().await?),
            Self::Postgres { reader, .. } => Connection::Postgres(reader.acquire().await?),
        })
    }

    /// A transaction in which every question sees the same state.
    pub(super) async fn read_consistently(&self) -> Result<Open, StorageError> {
        Ok(match self {
            Self::Sqlite { reader, .. } => Open::Sqlite(reader.begin().await?),
            Self::Postgres { reader, .. } => {
                Open::Postgres(reader.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// A transaction for what is written before there is a row to lock.
    pub(super) async fn begin(&self) -> Result<Open, StorageError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Open::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres { writer, .. } => Open::Postgres(writer.begin().await?),
        })
    }

    /// A transaction that holds the one lock for writing.
    pub(super) async fn write(&self) -> Result<Open, StorageError> {
        let mut transaction = self.begin().await?;
        if let Open::Postgres(_) = transaction {
            let (_,): (i64,) = sql("SELECT epoch FROM control FOR UPDATE").one(transaction.session()).await?;
        }
        Ok(transaction)
    }

    /// Has the database see again how its values are spread, by which it chooses between indexes. PostgreSQL does so
    /// by itself; SQLite wants to be [asked](https://www.sqlite.org/lang_analyze.html#periodically_run_pragma_optimize_).
    pub(super) async fn refresh_statistics(&self) -> Result<(), StorageError> {
        if let Self::Sqlite { writer, .. } = self {
            sqlx::query(OPTIMIZE).execute(writer).await?;
        }
        Ok(())
    }

    /// Waits for what is under way and closes the database. SQLite's log is moved into its file.
    pub(super) async fn close(&self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite { writer, reader } => {
                reader.close().await;
                // Another process may be reading: then the log stays, and the next start moves it.
                let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await;
                writer.close().await;
                checkpoint.map(|_| ()).map_err(StorageError::from)
            }
            Self::Postgres { writer, reader } => {
                reader.close().await;
                writer.close().await;
                Ok(())
            }
        }
    }
}

/// How a SQLite file is opened for writing. `synchronous = FULL`: a write that was acknowledged is on the disk.
pub(super) fn sqlite_options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(patience)
}

async fn open_sqlite(location: &Location, path: &Path, patience: Duration) -> Result<Database, OpenError> {
    create_private(path)?;
    let failed = |error: sqlx::Error| OpenError::Open { location: location.clone(), error: StorageError::from(error) };
    let options = sqlite_options(path, patience);
    let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(patience);
    let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&writer).await.map_err(failed)?;
    if !is_recent(&found) {
        return Err(OpenError::Version { product: "SQLite", found, required: "3.51.3" });
    }
    migrate_sqlite(location, &options).await?;
    // Before anyone reads: the file may have been filled by something else since it was last looked at.
    sqlx::query(OPTIMIZE).execute(&writer).await.map_err(failed)?;
    let reader = pool(READERS).max_lifetime(READER_AGE_MAX);
    let reader = reader.connect_with(options.pragma("query_only", "ON")).await.map_err(failed)?;
    Ok(Database::Sqlite { writer, reader })
}

/// Migrates with foreign keys off, as <https://www.sqlite.org/lang_altertable.html#otheralter> wants it for tables
/// that are built anew, and checks them afterwards.
async fn migrate_sqlite(location: &Location, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let failed = |error: sqlx::migrate::MigrateError| OpenError::Migrate { location: location.clone(), error };
    let mut connection = options.clone().foreign_keys(false).connect().await.map_err(|error| failed(error.into()))?;
    sqlx::migrate!("migrations/sqlite").run(&mut connection).await.map_err(failed)?;
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut connection).await;
    if dangling.map_err(|error| failed(error.into()))?.is_some() {
        let error = StorageError::Corrupt { table: "database", reason: "a reference leads nowhere".to_owned() };
        return Err(OpenError::Open { location: location.clone(), error });
    }
    connection.close().await.map_err(|error| failed(error.into()))
}

async fn open_postgres(
    location: &Location,
    address: &PostgresAddress,
    patience: Duration,
) -> Result<Database, OpenError> {
    let failed = |error: sqlx::Error| OpenError::Open { location: location.clone(), error: StorageError::from(error) };
    let wait = format!("{}ms", patience.as_millis());
    let bounded =
        [("lock_timeout", wait.as_str()), ("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")];
    let options = (*address.0).clone().application_name("portcullis").options(bounded);
    let pool = |connections| PgPoolOptions::new().max_connections(connections).acquire_timeout(patience);
    let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let (version, found): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::int4, current_setting('server_version')")
            .fetch_one(&writer)
            .await
            .map_err(failed)?;
    if version < POSTGRES_VERSION_MIN {
        return Err(OpenError::Version { product: "PostgreSQL", found, required: "14" });
    }
    sqlx::migrate!("migrations/postgres")
        .run(&writer)
        .await
        .map_err(|error| OpenError::Migrate { location: location.clone(), error })?;
    let reader = pool(READERS).connect_with(options).await.map_err(failed)?;
    Ok(Database::Postgres { writer, reader })
}

/// Creates the directory for its owner alone, and the file likewise. SQLite gives its side files the same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |error| OpenError::Create { path, error }
    };
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed(path))?;
    Ok(())
}

pub(super) fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let mut next = || parts.next().and_then(Result::ok);
    match (next(), next(), next()) {
        (Some(major), Some(minor), Some(patch)) => (major, minor, patch) >= SQLITE_VERSION_MIN,
        (Some(_) | None, Some(_) | None, Some(_) | None) => false,
    }
}
