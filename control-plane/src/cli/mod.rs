//! The program's subcommands: one file each, with its arguments, the checks on them, and what it exits with.
//!
//! A new one is a file here, a line in [`Command`] and an arm in `main`. What it does is in a module of its own,
//! which knows nothing of command lines. Exit codes: 0 is success, 2 is an argument or a setting that is no good,
//! and the rest is up to the subcommand.

pub mod scan;
pub mod serve;

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
}
