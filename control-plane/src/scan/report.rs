//! What a scan says: findings to one stream, for programs, and all else to another, for people.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use portcullis_core::key::{ApiKind, Kind};
use serde::Serialize;

use super::{Outcome, PathError, Scanner};
use crate::scan::scanner::Finding;

/// What findings look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// `PATH:LINE:COLUMN: MASKED (KIND)`, as compilers do it and editors read it.
    Text,
    /// One JSON object a line.
    Json,
}

/// A finding in JSON.
#[derive(Serialize)]
struct FindingView<'a> {
    path: &'a str,
    line: u64,
    column: u64,
    kind: &'a str,
    masked: &'a str,
}

/// Writes down what was found, and counts.
pub struct Report<'a, O, L> {
    scanner: &'a Scanner,
    format: ReportFormat,
    out: O,
    log: L,
    outcome: Outcome,
}

impl<'a, O: Write, L: Write> Report<'a, O, L> {
    /// An empty report.
    pub fn new(scanner: &'a Scanner, format: ReportFormat, out: O, log: L) -> Self {
        Self { scanner, format, out, log, outcome: Outcome::default() }
    }

    /// A key was found.
    pub fn found(&mut self, path: &Path, finding: &Finding) -> io::Result<()> {
        self.outcome.found += 1;
        let Finding { line, column, kind, masked } = finding;
        let path = self.scanner.redact(&path.to_string_lossy());
        match self.format {
            ReportFormat::Text => {
                let path = printable(&path);
                writeln!(self.out, "{path}:{line}:{column}: {masked} ({})", description(*kind))
            }
            ReportFormat::Json => {
                let view = FindingView { path: &path, line: *line, column: *column, kind: kind_name(*kind), masked };
                writeln!(self.out, "{}", serde_json::to_string(&view)?)
            }
        }
    }

    /// A path was not read, or not to its end.
    pub fn unread(&mut self, path: &Path, error: &PathError) {
        self.count_unread(&format_args!("{}: {error}", path.to_string_lossy()));
    }

    /// Something below a directory was not read. The error says what.
    pub fn unread_entry(&mut self, error: &ignore::Error) {
        self.count_unread(error);
    }

    /// Ends with what to do about the findings.
    pub fn finish(mut self) -> Outcome {
        let count = self.outcome.found;
        if count > 0 {
            let keys = if count == 1 { "key or token" } else { "keys or tokens" };
            self.tell(&format!(
                "{count} {keys} found. Taking one out of a file does not take it back: whoever has read it can use it. \
                 Report it with POST /v1/leaks, or reissue it."
            ));
        }
        self.outcome
    }

    fn count_unread(&mut self, what: &dyn Display) {
        self.outcome.unread += 1;
        let line = printable(&self.scanner.redact(&what.to_string()));
        self.tell(&line);
    }

    fn tell(&mut self, line: &str) {
        // With standard error closed there is nobody left to tell.
        let _ = writeln!(self.log, "portcullis: {line}");
    }
}

/// A file can be called anything: its name must not forge a line, nor command a terminal.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Api(kind) => kind.name(),
        Kind::Access => "access",
        Kind::Gateway => "gateway",
    }
}

const fn description(kind: Kind) -> &'static str {
    match kind {
        Kind::Api(ApiKind::Serverless) => "serverless key",
        Kind::Api(ApiKind::Dedicated) => "dedicated key",
        Kind::Access => "access token",
        Kind::Gateway => "gateway token",
    }
}
