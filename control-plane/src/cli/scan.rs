//! The arguments of `portcullis scan`, and its exit code.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use portcullis_core::key::Brand;

use crate::scan::{self, IgnoreFiles, Outcome, ReportFormat, Request, Streams};

/// What to scan, and how.
#[derive(Debug, Args)]
pub struct Scan {
    /// Files, and directories with all that is in them; - is standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// First part of every key: 1 to 10 characters of a-z and 0-9.
    #[arg(long, env = "PORTCULLIS_BRAND", default_value = "pc")]
    brand: Brand,
    /// What findings look like: PATH:LINE:COLUMN, or one JSON object a line.
    #[arg(long, default_value = "text")]
    format: ReportFormat,
    /// Scan what .gitignore hides, too.
    #[arg(long)]
    no_ignore: bool,
}

impl Scan {
    /// Scans, and returns the exit code: 1 for a finding, even if something else could not be read.
    pub fn run(self) -> u8 {
        let request = Request {
            paths: self.paths,
            brand: self.brand,
            format: self.format,
            ignore_files: if self.no_ignore { IgnoreFiles::Disregard } else { IgnoreFiles::Honour },
        };
        let streams = Streams { input: io::stdin().lock(), out: io::stdout().lock(), log: io::stderr().lock() };
        match scan::scan(request, streams) {
            Ok(Outcome { found: 0, unread: 0 }) => 0,
            Ok(Outcome { found: 0, unread: _ }) => 2,
            Ok(Outcome { found: _, unread: _ }) => 1,
            Err(error) => {
                // With standard error closed there is nobody left to tell.
                let _ = writeln!(io::stderr(), "portcullis: standard output: {error}");
                2
            }
        }
    }
}
