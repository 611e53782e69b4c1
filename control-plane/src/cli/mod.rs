//! The program's subcommands: one file each, with its arguments, the checks on them, and what it exits with.
//!
//! A new one is a file here, a line in [`Command`] and an arm in `main`. What it does is in a module of its own,
//! which knows nothing of command lines. Exit codes: 0 is success, 2 is an argument or a setting that is no good,
//! and the rest is up to the subcommand.

pub mod backup;
pub mod database;
pub mod failure;
pub mod scan;
pub mod serve;
pub mod token;
pub mod user;

use clap::{Parser, Subcommand};

/// The Portcullis control plane.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the admin API and the sync port.
    ///
    /// The first operator token is PORTCULLIS_BOOTSTRAP_TOKEN (32 to 512 visible ASCII characters). Without it
    /// the first start generates one and prints it once.
    Serve(serve::Serve),
    /// Find keys and tokens of this deployment in files.
    ///
    /// Exits with 0 if there is none, 1 if there is one, and 2 if something could not be read and nothing was
    /// found. What it prints never contains a secret.
    Scan(scan::Scan),
    /// Create users.
    #[command(subcommand)]
    User(user::User),
    /// Create access tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Write all that is in the database into a new file. May run beside a server. SQLite only.
    Backup(backup::Backup),
    /// Make a backup the database, and print its new epoch. Stop the server first. SQLite only.
    ///
    /// Every filter then starts over from a snapshot. What came after the backup is forgotten: keys that were
    /// deleted since open again.
    Restore(backup::Restore),
    /// Begin another life of a restored database. Stop the server first.
    #[command(subcommand)]
    Epoch(backup::EpochCommand),
}
