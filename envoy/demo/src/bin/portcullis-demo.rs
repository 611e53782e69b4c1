//! The runner behind `make run`, and the guard of its children. See `portcullis_demo::runner`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis_demo::{guard, runner, terminal};

/// Portcullis on one machine: control plane, Envoy with the filter, sample upstream
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything and wait for Ctrl-C
    Run(runner::Arguments),
    /// Become another program that ends with this one's parent
    #[command(hide = true)]
    Guard {
        /// The parent's process id
        #[arg(long)]
        parent: u32,
        /// The program
        program: OsString,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Guard { parent, program, arguments } => {
            let error = guard::become_program(parent, &program, &arguments);
            terminal::complain(&format!("cannot start {}: {error}", program.display()));
            ExitCode::FAILURE
        }
        Command::Run(arguments) => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(runner::run(&arguments)),
            Err(error) => {
                terminal::complain(&format!("portcullis-demo: cannot start: {error}"));
                ExitCode::FAILURE
            }
        },
    }
}
