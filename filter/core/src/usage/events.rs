//! The usage in a stream of Server-Sent Events (WHATWG HTML, section 9.2), cut into its events' data.
//!
//! Of the format only what leads to data is read: a leading byte order mark, the three kinds of line ends, fields whose
//! name is `data`, and the blank line that ends an event. The data of an event is one JSON document; lines of it are
//! joined with a line feed. Two liberties are taken. The space that may follow the colon is left to the document, where
//! white space means nothing. And an event that the stream breaks off in is read as far as it came, where a browser
//! would drop it: the model has worked for it.
//!
//! Usage is cumulative wherever a stream states it more than once, so that the last statement holds. Anthropic's
//! streams state the prompt's at the start, in a message, and may leave it out at the end; it is kept until then. By
//! itself it does not count as the usage of the stream, since what the model will write is not in it.

use super::Usage;
use super::counts::Counts;
use super::json::Document;
use super::skip;

/// A stream, as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    line: Line,
    /// The last byte was a carriage return, so that a line feed would belong to it.
    after_return: bool,
    /// The data of the event that is read.
    data: Document,
    has_data: bool,
    /// How many events had an object for data.
    objects: u64,
    prompt: Option<u64>,
    usage: Option<Counts>,
}

/// Where in a line the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At the start of the stream, after so many bytes of a byte order mark.
    Mark(usize),
    /// After so many bytes of `data`, and nothing else.
    Name(usize),
    Data,
    /// In a comment or another field.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Mark(0)
    }
}

const MARK: &[u8] = "\u{feff}".as_bytes();
const DATA: &[u8] = b"data";

impl Events {
    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_return) && *byte == b'\n' {
                bytes = rest;
                continue;
            }
            bytes = match self.line {
                Line::Mark(matched) if MARK.get(matched) == Some(byte) => {
                    let matched = matched.saturating_add(1);
                    self.line = if matched == MARK.len() { Line::Name(0) } else { Line::Mark(matched) };
                    rest
                }
                // No mark, or a part of one, which would begin a field of that name.
                Line::Mark(matched) => {
                    self.line = if matched == 0 { Line::Name(0) } else { Line::Other };
                    bytes
                }
                Line::Name(matched) => {
                    self.name(matched, *byte);
                    rest
                }
                Line::Data | Line::Other => self.rest_of_line(bytes),
            };
        }
    }

    /// What the stream used.
    pub(super) fn finish(mut self) -> Usage {
        self.end_event();
        match self.usage {
            Some(usage) => Usage::Read(Counts { prompt: usage.prompt.or(self.prompt), ..usage }.tokens()),
            None => Usage::Estimated { prompt: self.prompt.unwrap_or_default(), completion: self.objects },
        }
    }

    fn name(&mut self, matched: usize, byte: u8) {
        match byte {
            b'\r' | b'\n' => {
                // `data` without a colon would add an empty line, which means nothing to a document.
                if matched == 0 {
                    self.end_event();
                }
                self.end_line(byte);
            }
            b':' if matched == DATA.len() => self.begin_data(),
            _ if DATA.get(matched) == Some(&byte) => self.line = Line::Name(matched.saturating_add(1)),
            _ => self.line = Line::Other,
        }
    }

    fn rest_of_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (part, rest) = bytes.split_at_checked(skip::to_line_end(bytes)).unwrap_or((bytes, &[]));
        if self.line == Line::Data {
            self.data.feed(part);
        }
        let Some((end, rest)) = rest.split_first() else { return &[] };
        self.end_line(*end);
        rest
    }

    fn end_line(&mut self, byte: u8) {
        self.after_return = byte == b'\r';
        self.line = Line::Name(0);
    }

    fn begin_data(&mut self) {
        if self.has_data {
            self.data.feed(b"\n");
        }
        self.has_data = true;
        self.line = Line::Data;
    }

    fn end_event(&mut self) {
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        self.objects = self.objects.saturating_add(u64::from(self.data.is_object()));
        self.usage = self.data.usage().or(self.usage);
        self.prompt = self.data.usage_of_message().and_then(|counts| counts.prompt).or(self.prompt);
        self.data = Document::default();
    }
}
