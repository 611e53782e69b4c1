//! Where the database is: settings that every subcommand has which works on it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::domain::environment::{Clock, Entropy};
use crate::storage::{Location, OpenError, Store, StoreOptions};

/// How long a lock of the database is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the command line and the environment say of the database, unchecked.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// Directory of the database. Created for its owner alone.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// The database: sqlite://PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, which is better set in the
    /// environment: every user of a machine can read a command line. By default sqlite://DATA_DIR/portcullis.db.
    #[arg(long, env = "PORTCULLIS_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Not a database that can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("PORTCULLIS_DATABASE_URL: expected sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct DatabaseUrlError;

impl DatabaseArgs {
    /// Where the database is.
    pub fn location(&self) -> Result<Location, DatabaseUrlError> {
        match &self.database_url {
            Some(url) => location(url),
            None => Ok(Location::Sqlite(self.data_dir.join("portcullis.db"))),
        }
    }
}

/// How the program opens the database at `location`.
pub fn options(location: Location) -> StoreOptions {
    StoreOptions { location, busy_timeout: BUSY_TIMEOUT, clock: Clock::system(), entropy: Entropy::system() }
}

/// Opens the database at `location`, which must be there: a wrong path is no reason to make a new one.
pub async fn open_existing(location: Location) -> Result<Store, OpenError> {
    if let Location::Sqlite(path) = &location {
        check_existing(path)?;
    }
    Store::open(&options(location)).await
}

fn check_existing(path: &Path) -> Result<(), OpenError> {
    let missing = |error: io::Error| OpenError::Missing { path: path.to_owned(), error };
    std::fs::metadata(path).map(|_| ()).map_err(missing)
}

/// `sqlite:///absolute/path` or `sqlite://relative/path`, without parameters: the settings that matter are ours. Or
/// the address of a PostgreSQL database.
fn location(url: &str) -> Result<Location, DatabaseUrlError> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        return url.parse().map(Location::Postgres).map_err(|_| DatabaseUrlError);
    };
    let is_file = !path.is_empty() && !path.contains(['?', '#', '\0']) && path != ":memory:";
    is_file.then(|| Location::Sqlite(path.into())).ok_or(DatabaseUrlError)
}
