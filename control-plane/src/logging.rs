//! Log lines, on standard error. Secrets have types that cannot be logged; digests are never logged either.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines that pass `filter` to standard error. Returns false if something else took the log already.
pub fn start(format: LogFormat, filter: &str) -> bool {
    // These write down the headers of requests at finer levels, tokens included.
    let filter = EnvFilter::new(format!("{filter},h2=info,hyper=info,hyper_util=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(false).try_init().is_ok(),
        LogFormat::Json => builder.json().flatten_event(true).try_init().is_ok(),
    }
}
