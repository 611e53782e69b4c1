//! `portcullis scan`: finds keys and tokens of this deployment where they should not be.
//!
//! A key says itself that it is one: it starts with the brand and its kind, and ends in a check code
//! ([`portcullis_core::key`]). So whatever stands around it does not matter, and is not asked: a key within a word,
//! a URL or a binary is found as well. Of all texts that look like a key and are none, the check code lets one in
//! four billion pass.
//!
//! ```text
//! paths ── walk ──▶ files ── scanner ──▶ findings ── report ──▶ lines
//! ```
//!
//! Each file is read once, in bounded memory. What cannot be read is said and counted, and the rest is scanned
//! all the same. A finding holds the secret masked, and a path that contains one is masked before it is
//! printed; only [`Scanner::keys`] hands out keys, as a type that does not show them. Keys that are encoded are not found: UTF-16, base64, compressed.

mod report;
mod scanner;
mod walk;

pub use report::ReportFormat;
pub use scanner::{Finding, Findings, Scanner};
pub use walk::IgnoreFiles;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use portcullis_core::key::Brand;

use report::Report;

/// What to scan, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Files and directories; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// The deployment's brand.
    pub brand: Brand,
    /// What findings look like.
    pub format: ReportFormat,
    /// Whether files that git ignores are left out of directories.
    pub ignore_files: IgnoreFiles,
}

/// Where standard input is read from, and where lines go.
#[derive(Debug)]
pub struct Streams<I, O, L> {
    /// What `-` stands for.
    pub input: I,
    /// Takes the findings.
    pub out: O,
    /// Takes what could not be read, and the advice at the end.
    pub log: L,
}

/// What a scan came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many keys were found. One that stands in two places counts twice.
    pub found: u64,
    /// How many paths could not be read, or not to their end.
    pub unread: u64,
}

/// Why a path was not scanned.
#[derive(Debug, thiserror::Error)]
enum PathError {
    /// The operating system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Only the path was named, and whoever named it should know that nothing of it was scanned.
    #[error("neither a file nor a directory; symbolic links are not followed")]
    Special,
}

/// Scans all that is asked for. Fails only if a finding cannot be written.
pub fn scan<I: Read, O: Write, L: Write>(request: Request, streams: Streams<I, O, L>) -> io::Result<Outcome> {
    let scanner = Scanner::new(request.brand);
    let Streams { mut input, out, log } = streams;
    let mut report = Report::new(&scanner, request.format, out, log);
    for path in &request.paths {
        if path == Path::new("-") {
            scan_source(&scanner, path, &mut input, &mut report)?;
            continue;
        }
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {
                for entry in walk::files(path, request.ignore_files) {
                    match entry {
                        Ok(file) => scan_file(&scanner, &file, &mut report)?,
                        Err(error) => report.unread_entry(&error),
                    }
                }
            }
            Ok(metadata) if metadata.is_file() => scan_file(&scanner, path, &mut report)?,
            Ok(_) => report.unread(path, &PathError::Special),
            Err(error) => report.unread(path, &PathError::Io(error)),
        }
    }
    Ok(report.finish())
}

fn scan_file<O: Write, L: Write>(scanner: &Scanner, path: &Path, report: &mut Report<'_, O, L>) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => scan_source(scanner, path, file, report),
        Err(error) => {
            report.unread(path, &PathError::Io(error));
            Ok(())
        }
    }
}

fn scan_source<O: Write, L: Write>(
    scanner: &Scanner,
    path: &Path,
    source: impl Read,
    report: &mut Report<'_, O, L>,
) -> io::Result<()> {
    for finding in scanner.scan(source) {
        match finding {
            Ok(finding) => report.found(path, &finding)?,
            Err(error) => report.unread(path, &PathError::Io(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
