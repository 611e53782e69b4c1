//! The database: the only place with SQL in it.
//!
//! One SQLite file in WAL mode. A single connection writes, each transaction from `BEGIN IMMEDIATE` on, so that
//! writes queue here instead of failing on each other; a few more connections read, each seeing one consistent
//! state, and are never blocked by the writer. `synchronous = FULL`: a write that was acknowledged is on the
//! disk. Another process on the same file is kept apart by SQLite's own locks.
//!
//! - A [`View`] answers questions, inside a [`Read`] or a [`Write`].
//! - A [`Write`] changes things. What filters must learn of goes through the change log: the first such change
//!   of a transaction counts the revision up. Each write leaves its audit row in the same transaction.
//! - [`Write::commit`] runs to its end even if the caller goes away, then publishes to the [`Feed`].
//!
//! It fails as [`StorageError`] says: a lock or a connection is waited for a bounded time, a full disk refuses
//! writes while reads go on, and nothing is ever half written.

mod access;
mod apis;
mod audit;
mod changes;
mod control;
mod error;
mod gateways;
mod idempotency;
mod keys;
mod keys_list;
mod organizations;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::wire::Epoch;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};

pub use access::Bootstrap;
pub use apis::{ApiConflict, NewApi};
pub use changes::Delta;
pub use error::StorageError;
pub use idempotency::Earlier;
pub use keys::NewKey;
pub use keys_list::{KeyFilter, KeyPage};
pub use snapshot::Snapshot;
pub use write::Write;

use crate::domain::environment::{Clock, Entropy};
use crate::domain::feed::Feed;

/// The oldest SQLite without the WAL corruption bug.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// How many connections read.
const READERS: u32 = 4;

/// Where the database is, and what it takes time and randomness from.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database file. It is created with its directory if it is not there.
    pub path: PathBuf,
    /// How long a lock or a connection is waited for.
    pub busy_timeout: Duration,
    /// The clock that dates what is written.
    pub clock: Clock,
    /// What ids are drawn from.
    pub entropy: Entropy,
}

/// Why the database cannot be opened.
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
    /// This SQLite can corrupt a database in WAL mode.
    #[error("SQLite {found} is too old: 3.51.3 or newer is required")]
    Version {
        /// The version that is linked.
        found: String,
    },
    /// The tables cannot be brought up to date.
    #[error("cannot migrate {path}: {error}")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        error: sqlx::migrate::MigrateError,
    },
    /// The database does not answer.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        error: StorageError,
    },
}

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    reader: SqlitePool,
    epoch: Epoch,
    feed: Feed,
    clock: Clock,
    entropy: Entropy,
}

/// A connection for questions.
#[derive(Debug)]
pub struct Read(PoolConnection<Sqlite>);

impl Read {
    /// What can be asked.
    pub fn view(&mut self) -> View<'_> {
        View(&mut self.0)
    }
}

/// Questions to the database. Those inside a [`Write`] see what it has written so far.
#[derive(Debug)]
pub struct View<'c>(&'c mut SqliteConnection);

impl Store {
    /// Opens the database, creating or migrating it as needed.
    pub async fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let path = &options.path;
        create_private(path)?;
        let failed = |error: StorageError| OpenError::Open { path: path.clone(), error };
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout);
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(options.busy_timeout);
        let writer = pool(1).connect_with(connect.clone()).await.map_err(|error| failed(error.into()))?;
        check_version(&writer).await.map_err(failed)??;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|error| OpenError::Migrate { path: path.clone(), error })?;
        let reader = pool(READERS)
            .connect_with(connect.pragma("query_only", "ON"))
            .await
            .map_err(|error| failed(error.into()))?;
        let (clock, entropy) = (options.clock.clone(), options.entropy.clone());
        let epoch = entropy.id(clock.now()).map_err(|error| failed(error.into()))?;
        let head = control::initialize(&writer, epoch).await.map_err(failed)?;
        Ok(Self(Arc::new(Inner { writer, reader, epoch: head.epoch, feed: Feed::new(head.revision), clock, entropy })))
    }

    /// The life of this database.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// Where commits are announced.
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// The clock that dates what is written.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What ids and secrets are drawn from.
    pub fn entropy(&self) -> &Entropy {
        &self.0.entropy
    }

    /// A connection for questions.
    pub async fn read(&self) -> Result<Read, StorageError> {
        Ok(Read(self.0.reader.acquire().await?))
    }

    /// A transaction in which every question sees the same state.
    async fn read_consistently(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        Ok(self.0.reader.begin().await?)
    }

    /// Waits for what is under way, moves the log into the database file and closes it.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.0.reader.close().await;
        // A second process may be reading: then the log stays, and the next start moves it.
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.0.writer).await;
        self.0.writer.close().await;
        checkpoint.map(|_| ()).map_err(StorageError::from)
    }
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

async fn check_version(pool: &SqlitePool) -> Result<Result<(), OpenError>, StorageError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await?;
    if is_recent(&found) { Ok(Ok(())) } else { Ok(Err(OpenError::Version { found })) }
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let mut next = || parts.next().and_then(Result::ok);
    match (next(), next(), next()) {
        (Some(major), Some(minor), Some(patch)) => (major, minor, patch) >= SQLITE_VERSION_MIN,
        (Some(_) | None, Some(_) | None, Some(_) | None) => false,
    }
}
