//! Load generators, and the figures that `make bench` prints.
//!
//! | module | what it is |
//! |---|---|
//! | [`push`](mod@push) | the phases of `portcullis-bench push` |
//! | [`requests`](mod@requests) | `portcullis-bench requests`: Envoys, and requests through them |
//! | [`usage`](mod@usage) | `portcullis-bench usage`: a month of usage, asked about |
//! | [`console`](mod@console) | `portcullis-bench console`: pages of the console with few keys and with many |
//! | [`worker`] | a worker that speaks the sync protocol, without an Envoy |
//! | [`real`] | one with a directory to look at |
//! | [`fleet`] | many of them, and when each acknowledged what |
//! | [`estate`] | the control plane that is measured, its database, its admin |
//! | [`process`], [`distribution`], [`machine`], [`report`] | figures and what they were measured on |
//!
//! Generator and control plane share the machine, so times include what the generator itself needs: they are no better
//! than what a worker on a machine of its own would see. Everything listens on loopback. It panics when something cannot
//! be done at all, such as a control plane that does not start; what is slow or lost is a figure.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a report to whoever runs it")]

mod console;
mod distribution;
mod estate;
mod fleet;
mod machine;
mod process;
mod push;
mod real;
mod report;
mod requests;
mod usage;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use portcullis_tests::database::Database;
use portcullis_tests::house::program;

use machine::Machine;
use push::flood::Flood;
use push::{Settings, deletes, flood, newcomers, restart};
use report::Report;

#[derive(Debug, Parser)]
#[command(about = "Measures Portcullis. Run it with `make bench`, which builds and sets what it needs.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How soon a change is with many workers, and what that costs.
    Push(PushArgs),
    /// What a request costs in a real Envoy.
    Requests(RequestsArgs),
    /// How long it takes to ask what was used in a month, and to count more.
    Usage(UsageArgs),
    /// How long the list of keys takes in the console, with few keys and with many.
    Console(ConsoleArgs),
}

#[derive(Debug, Args)]
struct PushArgs {
    /// Which phases, rather than all.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Phase::value_variants().to_vec())]
    phases: Vec<Phase>,
    /// How many workers.
    #[arg(long, default_value_t = 1_000)]
    workers: usize,
    /// How many of them hold all keys and are compared with the database.
    #[arg(long, default_value_t = 8)]
    real: usize,
    /// How many seconds the deletes and each flood go on.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many seconds anything is waited for.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Over how many keys the flood goes, once for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [250, 2_500])]
    hot: Vec<u32>,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RequestsArgs {
    /// Which variants besides the bare Envoy, rather than all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Another build of the filter to measure beside, as NAME=MODULE.wasm; more than one by saying it again.
    #[arg(long)]
    beside: Vec<requests::Build>,
    /// How often each variant is measured.
    #[arg(long, default_value_t = 14)]
    rounds: usize,
    /// How many milliseconds each time, at full load.
    #[arg(long, default_value_t = 250)]
    millis: u64,
    /// How many connections there are to each variant.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How many requests there are in a second where their times are measured.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the costs are drawn as SVG.
    #[arg(long)]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct UsageArgs {
    /// On which databases, rather than both.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = On::value_variants().to_vec())]
    on: Vec<On>,
    /// How many keys there are: a multiple of 500.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ConsoleArgs {
    /// How many keys are many.
    #[arg(long, default_value_t = 100_000)]
    keys: u32,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    Sqlite,
    Postgres,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    Deletes,
    FloodSqlite,
    FloodPostgres,
    Restart,
    Newcomers,
}

#[tokio::main]
async fn main() {
    let command = Cli::parse().command;
    let (title, json) = match &command {
        Command::Push(arguments) => ("push", &arguments.json),
        Command::Requests(arguments) => ("requests", &arguments.json),
        Command::Usage(arguments) => ("usage", &arguments.json),
        Command::Console(arguments) => ("console", &arguments.json),
    };
    let machine = Machine::describe(&program("PORTCULLIS_BIN"));
    println!("# {title}\n");
    machine.print();
    let mut report = Report::default();
    report.note("machine", machine.json());
    match &command {
        Command::Push(arguments) => push(arguments, &mut report).await,
        Command::Requests(arguments) => requests(arguments, &machine, &mut report).await,
        Command::Usage(arguments) => usage(arguments, &mut report).await,
        Command::Console(arguments) => {
            let settings = console::Settings { keys: arguments.keys, rounds: arguments.rounds };
            console::run(settings).await.into_iter().for_each(|section| report.add(section));
        }
    }
    if let Some(path) = json {
        report.write(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("\nThe same as JSON: {}", path.display());
    }
}

async fn requests(arguments: &RequestsArgs, machine: &Machine, report: &mut Report) {
    let settings = requests::Settings {
        rounds: arguments.rounds,
        duration: Duration::from_millis(arguments.millis),
        connections: arguments.connections,
        rate: arguments.rate,
        only: arguments.only.clone(),
        beside: arguments.beside.clone(),
    };
    let (sections, chart) = requests::run(settings).await;
    sections.into_iter().for_each(|section| report.add(section));
    if let Some(path) = &arguments.svg {
        report::write(path, &chart.svg(&machine.line())).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("\nThe costs as a picture: {}", path.display());
    }
}

async fn usage(arguments: &UsageArgs, report: &mut Report) {
    let settings = usage::Settings { keys: arguments.keys, rounds: arguments.rounds };
    for on in &arguments.on {
        report.add(match on {
            On::Sqlite => usage::run(settings, "SQLite", Database::Sqlite).await,
            On::Postgres => usage::run(settings, "PostgreSQL", Database::postgres().await).await,
        });
    }
}

async fn push(arguments: &PushArgs, report: &mut Report) {
    let settings = Settings {
        workers: arguments.workers,
        real: arguments.real.min(arguments.workers),
        duration: Duration::from_secs(arguments.seconds),
        patience: Duration::from_secs(arguments.patience),
    };
    for phase in &arguments.phases {
        match phase {
            Phase::Deletes => report.add(deletes::run(settings).await),
            Phase::FloodSqlite => {
                for hot in &arguments.hot {
                    let flood = Flood { name: "SQLite", database: Database::Sqlite, hot: *hot };
                    report.add(flood::run(settings, flood).await);
                }
            }
            Phase::FloodPostgres => {
                for hot in &arguments.hot {
                    let flood = Flood { name: "PostgreSQL", database: Database::postgres().await, hot: *hot };
                    report.add(flood::run(settings, flood).await);
                }
            }
            Phase::Restart => report.add(restart::run(settings).await),
            Phase::Newcomers => report.add(newcomers::run(settings).await),
        }
    }
}
