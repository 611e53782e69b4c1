//! The database: the only place with SQL in it.
//!
//! One contract on two databases: a SQLite file in WAL mode, or PostgreSQL. `database` opens either and holds its
//! connections, `sql` runs a statement on whichever it is, and all the rest is written once for both.
//!
//! - A [`View`] answers questions, inside a [`Read`] or a [`Write`].
//! - A [`Write`] changes things. What filters must learn of goes through the change log: the first such change
//!   of a transaction counts the revision up. Each write leaves its audit entry in the same transaction.
//! - [`Write::commit`] runs to its end even if the caller goes away, then publishes to the [`Feed`]. What other
//!   processes commit on the same database reaches the feed through [`Store::keep_current`].
//!
//! It fails as [`StorageError`] says: a lock or a connection is waited for a bounded time, a full disk refuses
//! writes while reads go on, and nothing is ever half written.

mod advice;
mod apis;
mod audit;
mod backup;
mod budgets;
mod changes;
mod control;
mod database;
mod error;
mod gateways;
mod idempotency;
mod keys;
mod keys_list;
mod news;
mod organizations;
mod prices;
mod restore;
mod rows;
mod secrets;
mod snapshot;
mod sql;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;
mod usage_query;
mod users;
mod workers;
mod write;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::wire::Epoch;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use advice::{AdviceFilter, AdvicePage};
pub use apis::{ApiConflict, NewApi};
pub use audit::{AuditFilter, AuditPage};
pub use backup::BackupError;
pub use budgets::Stopped;
pub use changes::Delta;
pub use database::{Location, OpenError, PostgresAddress, PostgresAddressError};
pub use error::StorageError;
pub use gateways::NewGateway;
pub use idempotency::Earlier;
pub use keys::{Handover, NewKey};
pub use keys_list::{KeyFilter, KeyOrder, KeyPage, KeyPlace, KeySort};
pub use restore::{Existing, RestoreError, restore};
pub use secrets::Found;
pub use snapshot::Snapshot;
#[cfg(test)]
pub(crate) use tests::Used;
pub use tokens::{Bearer, Bootstrap, NewToken};
pub use usage::Counted;
pub use usage_query::{ApiName, SubjectName, UsagePage, UsageQuery, UsageRow, UsageScope};
pub use users::NewUser;
pub use write::Write;

use crate::domain::environment::{Clock, Entropy};
use crate::domain::feed::Feed;
use database::{Connection, Database, Open};
use sql::Session;

/// Where the database is, and what it takes time and randomness from.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where it is.
    pub location: Location,
    /// How long a lock or a connection is waited for.
    pub busy_timeout: Duration,
    /// The clock that dates what is written.
    pub clock: Clock,
    /// What ids are drawn from.
    pub entropy: Entropy,
}

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    epoch: Epoch,
    /// This process, told apart from others on the same database.
    process: i64,
    feed: Feed,
    /// Another process has stored what it heard of workers.
    workers_told: Notify,
    clock: Clock,
    entropy: Entropy,
}

/// A connection for questions.
#[derive(Debug)]
pub struct Read(Connection);

impl Read {
    /// What can be asked.
    pub fn view(&mut self) -> View<'_> {
        View(self.0.session())
    }
}

/// Questions to the database. Those inside a [`Write`] see what it has written so far.
#[derive(Debug)]
pub struct View<'c>(Session<'c>);

impl View<'_> {
    /// The connection, for one statement.
    const fn session(&mut self) -> Session<'_> {
        self.0.reborrow()
    }
}

impl Store {
    /// Opens the database, creating or migrating it as needed.
    pub async fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let failed = |error: StorageError| OpenError::Open { location: options.location.clone(), error };
        let database = Database::open(&options.location, options.busy_timeout).await?;
        let (clock, entropy) = (options.clock.clone(), options.entropy.clone());
        let epoch = entropy.id(clock.now()).map_err(|error| failed(error.into()))?;
        let process = i64::from_ne_bytes(entropy.bytes().map_err(|error| failed(error.into()))?);
        let looked_at = Instant::now();
        let position = control::initialize(&database, epoch).await.map_err(failed)?;
        let (epoch, feed) = (position.head.epoch, Feed::new(position.news(), looked_at));
        let workers_told = Notify::new();
        Ok(Self(Arc::new(Inner { database, epoch, process, feed, workers_told, clock, entropy })))
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
        Ok(Read(self.0.database.read().await?))
    }

    /// A transaction in which every question sees the same state.
    async fn read_consistently(&self) -> Result<Open, StorageError> {
        self.0.database.read_consistently().await
    }

    /// Has the database see again how its values are spread. Without it some lists of many keys take longer.
    pub async fn refresh_statistics(&self) -> Result<(), StorageError> {
        self.0.database.refresh_statistics().await
    }

    /// Waits for what is under way and closes the database.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.0.database.close().await
    }
}
