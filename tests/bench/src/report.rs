//! What was measured: a table in Markdown for people, JSON for programs. Each section is printed as soon as it is there.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use portcullis_tests::measure::Distribution;
use serde_json::{Map, Value, json};

use crate::distribution;

/// Everything that one run measures.
#[derive(Debug, Default)]
pub struct Report(Map<String, Value>);

/// What one phase measures.
#[derive(Debug)]
pub struct Section {
    key: String,
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    figures: Map<String, Value>,
}

impl Report {
    /// Takes what was found out about the machine.
    pub fn note(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Takes a section and prints it.
    pub fn add(&mut self, section: Section) {
        println!(
            "\n## {}\n\n| {} |\n{}|",
            section.title,
            section.columns.join(" | "),
            "|---".repeat(section.columns.len())
        );
        for cells in &section.rows {
            println!("| {} |", cells.join(" | "));
        }
        self.0.insert(section.key, Value::Object(section.figures));
    }

    /// Writes all of it to a file, in a directory that is made if there is none.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write(path, &format!("{:#}\n", Value::Object(self.0.clone())))
    }
}

/// Writes a text to a file, in a directory that is made if there is none.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)
}

impl Section {
    /// A section without rows, of which each will say one thing.
    pub fn new(key: impl Into<String>, title: impl Into<String>) -> Self {
        Self::with_columns(key, title, ["what", "measured"])
    }

    /// A section without rows, of which each will have these columns.
    pub fn with_columns<const COLUMNS: usize>(
        key: impl Into<String>,
        title: impl Into<String>,
        columns: [&'static str; COLUMNS],
    ) -> Self {
        let (key, title, columns) = (key.into(), title.into(), columns.to_vec());
        Self { key, title, columns, rows: Vec::new(), figures: Map::new() }
    }

    /// A row that says `text`, and `value` in JSON.
    pub fn row(&mut self, key: &str, label: impl Into<String>, text: impl Into<String>, value: Value) {
        self.cells(key, [label.into(), text.into()], value);
    }

    /// A row with these cells, one for each column, and `value` in JSON.
    pub fn cells<const COLUMNS: usize>(&mut self, key: &str, cells: [String; COLUMNS], value: Value) {
        self.rows.push(cells.to_vec());
        self.figures.insert(key.to_owned(), value);
    }

    /// A row of many times.
    pub fn times(&mut self, key: &str, label: &str, times: &Distribution) {
        self.row(
            key,
            format!("{label} ({} times)", grouped(times.count())),
            distribution::text(times),
            distribution::json(times),
        );
    }

    /// A row of one time.
    pub fn time(&mut self, key: &str, label: &str, time: Duration) {
        let ms = time.as_secs_f64() * 1000.0;
        let text = if ms < 10_000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) };
        self.row(key, label, text, json!({"ms": ms}));
    }

    /// A row of processor time spent in `wall`.
    pub fn cpu(&mut self, key: &str, label: &str, cpu: Duration, wall: Duration) {
        let cores = cpu.as_secs_f64() / wall.as_secs_f64();
        let text = format!("{:.2} s, {cores:.2} cores", cpu.as_secs_f64());
        self.row(key, label, text, json!({"seconds": cpu.as_secs_f64(), "cores": cores}));
    }

    /// A row of a count.
    pub fn count(&mut self, key: &str, label: &str, count: impl TryInto<u64>) {
        let count = count.try_into().unwrap_or(u64::MAX);
        self.row(key, label, grouped(usize::try_from(count).unwrap_or(usize::MAX)), json!(count));
    }

    /// A row of amounts of memory or traffic, each with what it is.
    pub fn bytes(&mut self, key: &str, label: &str, amounts: &[(&str, u64)]) {
        let mebibytes = |bytes: u64| format!("{:.1} MiB", to_f64(bytes) / f64::from(1 << 20));
        let words = amounts.iter().map(|(what, bytes)| format!("{what} {}", mebibytes(*bytes)).trim_start().to_owned());
        let figures = amounts.iter().map(|(what, bytes)| ((*what).to_owned(), json!(bytes))).collect::<Map<_, _>>();
        self.row(key, label, words.collect::<Vec<_>>().join(", "), Value::Object(figures));
    }
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count as a number that can be divided; exact up to 2 to the power of 53.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub const fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_apart() {
        let texts = [0, 999, 1000, 10_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "10,000", "1,234,567"]);
    }
}
