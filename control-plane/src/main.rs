//! The program. It reads the settings, starts the log and serves; all else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use portcullis::config::{BOOTSTRAP_TOKEN, Cli, Settings};
use portcullis::{logging, serve};

/// The exit code for settings that are no good, as clap uses it for arguments.
const EXIT_SETTINGS: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match Settings::read(cli, std::env::var_os(BOOTSTRAP_TOKEN)) {
        Ok(settings) => settings,
        Err(error) => return end(&error, EXIT_SETTINGS),
    };
    logging::start(settings.log_format, &settings.log);
    match serve::serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error, 1),
    }
}

/// Says in one line why the program ends.
fn end(error: &dyn std::error::Error, code: u8) -> ExitCode {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "portcullis: {error}");
    ExitCode::from(code)
}
