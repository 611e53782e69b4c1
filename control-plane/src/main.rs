//! The program. It reads the command line and does what that says; all else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use portcullis::cli::failure::Failure;
use portcullis::cli::serve::{Secrets, Serve, Settings};
use portcullis::cli::{Cli, Command};
use portcullis::{logging, serve};

/// The exit code for settings that are no good, as clap uses it for arguments.
const EXIT_SETTINGS: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(arguments) => run_server(arguments).await,
        Command::Scan(arguments) => ExitCode::from(arguments.run()),
        Command::User(command) => finish(command.run().await),
        Command::Token(command) => finish(command.run().await),
        Command::Backup(arguments) => finish(arguments.run().await),
        Command::Restore(arguments) => finish(arguments.run().await),
        Command::Epoch(command) => finish(command.run().await),
    }
}

/// Reads the settings, starts the log and serves.
async fn run_server(arguments: Serve) -> ExitCode {
    let settings = match Settings::read(arguments, Secrets::from_environment()) {
        Ok(settings) => settings,
        Err(error) => return end(&error, EXIT_SETTINGS),
    };
    logging::start(settings.log_format, &settings.log);
    match serve::serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error, 1),
    }
}

/// The exit code of a subcommand that works on the database.
fn finish(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure, failure.exit_code()),
    }
}

/// Says in one line why the program ends.
fn end(error: &dyn std::error::Error, code: u8) -> ExitCode {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "portcullis: {error}");
    ExitCode::from(code)
}
