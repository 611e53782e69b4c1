//! The runner's words to the person at the terminal.
//!
//! A terminal that has gone away must not end the runner before it has stopped its children, so nothing here fails.

use std::io::{self, Write};

/// Writes a line, or several, to the standard output.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Writes a line, or several, to the standard error output.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
