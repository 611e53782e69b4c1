//! `portcullis backup`, `portcullis restore` and `portcullis epoch`: a database's lives.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::database::{DatabaseArgs, open_existing, options};
use super::failure::Failure;
use crate::storage::{Existing, Location, restore};

/// Where to write the backup.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write. It must not be there yet.
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Backup {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let store = open_existing(self.database.location()?).await?;
        store.back_up(&self.file).await?;
        store.close().await?;
        Ok(())
    }
}

/// What to restore, and over what.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `portcullis backup` has written.
    file: PathBuf,
    /// Replace the database that is there. What is in it is lost.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Restore {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let Location::Sqlite(target) = self.database.location()? else {
            let detail = "restore PostgreSQL with pg_restore, then run portcullis epoch new";
            return Err(Failure::Argument(detail.to_owned()));
        };
        let existing = if self.replace { Existing::Replace } else { Existing::Refuse };
        let epoch = restore(&self.file, &options(Location::Sqlite(target)), existing).await?;
        writeln!(io::stdout(), "{epoch}")?;
        Ok(())
    }
}

/// What to do with epochs.
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// Begin another life of the database, and print its epoch. Stop the server first.
    ///
    /// To be run after PostgreSQL was restored with pg_restore, before anything serves from it. Every filter then
    /// starts over from a snapshot. A server that runs meanwhile goes on in the old epoch until it is restarted.
    New(NewEpoch),
}

/// Of which database.
#[derive(Debug, Args)]
pub struct NewEpoch {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl EpochCommand {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::New(new) => {
                let store = open_existing(new.database.location()?).await?;
                let epoch = store.begin_epoch().await?;
                store.close().await?;
                writeln!(io::stdout(), "{epoch}")?;
                Ok(())
            }
        }
    }
}
