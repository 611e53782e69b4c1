//! Finds keys in a stream of bytes, each once and with its place, whatever the stream is and however it is cut.
//!
//! All keys of one brand are equally long. The buffer is searched for `<brand>_`, and where it occurs the text of
//! that length is put to [`PlainKey::read`]. Before the buffer is filled again, its last bytes, one fewer than a
//! key has, move to the front: no key that is still incomplete starts before them, and none that was complete
//! starts in them.

use std::io::{self, Read};

use memchr::{memchr_iter, memmem, memrchr};
use portcullis_core::key::{Brand, CHECK_CHARACTERS, Kind, PlainKey, SECRET_CHARACTERS};

/// How much of a source is held in memory.
const BUFFER_BYTES: usize = 64 * 1024;

/// Finds keys of one brand.
#[derive(Debug)]
pub struct Scanner {
    brand: Brand,
    prefix: memmem::Finder<'static>,
    key_bytes: usize,
}

/// A key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which line, counted from 1. Lines end in a line feed.
    pub line: u64,
    /// At which byte of the line, counted from 1.
    pub column: u64,
    /// What the key is for.
    pub kind: Kind,
    /// The key, masked.
    pub masked: String,
}

/// A key within a text, and where it starts.
struct Hit {
    at: usize,
    kind: Kind,
    key: PlainKey,
}

impl Scanner {
    /// A scanner for the keys of `brand`.
    pub fn new(brand: Brand) -> Self {
        let prefix = format!("{}_", brand.as_str());
        let tag_bytes = Kind::Access.tag().len() + 1;
        let key_bytes = prefix.len() + tag_bytes + SECRET_CHARACTERS + CHECK_CHARACTERS;
        Self { brand, prefix: memmem::Finder::new(&prefix).into_owned(), key_bytes }
    }

    /// The keys in `source`, in their order. It is read to its end, or to its first error, which comes last.
    pub fn scan<R: Read>(&self, source: R) -> Findings<'_, R> {
        self.scan_by(BUFFER_BYTES, source)
    }

    fn scan_by<R: Read>(&self, buffer_bytes: usize, source: R) -> Findings<'_, R> {
        let buffer = vec![0; buffer_bytes.max(self.key_bytes)];
        Findings { scanner: self, source: Some(source), buffer, filled: 0, searched: 0, place: Place::default() }
    }

    /// `text` with every key in it masked.
    pub fn redact(&self, text: &str) -> String {
        let mut shown = String::new();
        let (mut from, mut copied) = (0, 0);
        while let Some(hit) = self.first(text.as_bytes(), from) {
            // There is nothing in between if this key starts within the one before.
            shown.push_str(text.get(copied..hit.at).unwrap_or_default());
            shown.push_str(&hit.key.masked());
            (from, copied) = (hit.at + 1, hit.at + self.key_bytes);
        }
        shown.push_str(text.get(copied..).unwrap_or_default());
        shown
    }

    /// The keys in `text` themselves, in their order, one that occurs twice included twice.
    pub fn keys<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Kind, PlainKey)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let hit = self.first(text.as_bytes(), from)?;
            from = hit.at + 1;
            Some((hit.kind, hit.key))
        })
    }

    /// The first key in `text` that starts at `from` or later.
    fn first(&self, text: &[u8], mut from: usize) -> Option<Hit> {
        loop {
            let at = from + self.prefix.find(text.get(from..)?)?;
            let candidate = text.get(at..at + self.key_bytes)?;
            if let Ok((kind, key)) = PlainKey::read(&self.brand, candidate) {
                return Some(Hit { at, kind, key });
            }
            from = at + 1;
        }
    }
}

/// The keys in a source, read as they are asked for. See [`Scanner::scan`].
#[derive(Debug)]
pub struct Findings<'a, R> {
    scanner: &'a Scanner,
    /// None once it has ended or failed.
    source: Option<R>,
    buffer: Vec<u8>,
    /// How many bytes of the buffer are the source's.
    filled: usize,
    /// Where in the buffer the search goes on. The place is that of this byte.
    searched: usize,
    place: Place,
}

impl<R: Read> Findings<'_, R> {
    /// Reads on. False once the source has ended.
    fn refill(&mut self) -> io::Result<bool> {
        let Some(source) = &mut self.source else { return Ok(false) };
        let decided = self.filled.saturating_sub(self.scanner.key_bytes - 1).max(self.searched);
        self.place.pass(self.buffer.get(self.searched..decided).unwrap_or_default());
        self.buffer.copy_within(decided..self.filled, 0);
        (self.filled, self.searched) = (self.filled - decided, 0);
        let read = loop {
            match source.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        if !matches!(read, Ok(1..)) {
            self.source = None;
        }
        self.filled += read.as_ref().map_or(0, |bytes| *bytes);
        read.map(|bytes| bytes > 0)
    }
}

impl<R: Read> Iterator for Findings<'_, R> {
    type Item = io::Result<Finding>;

    fn next(&mut self) -> Option<io::Result<Finding>> {
        loop {
            let text = self.buffer.get(..self.filled).unwrap_or_default();
            if let Some(Hit { at, kind, key }) = self.scanner.first(text, self.searched) {
                self.place.pass(text.get(self.searched..at).unwrap_or_default());
                let Place { line, column } = self.place;
                // The first byte of a key ends no line.
                self.place.column += 1;
                self.searched = at + 1;
                return Some(Ok(Finding { line: line + 1, column: column + 1, kind, masked: key.masked() }));
            }
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The place of a byte: how many lines end before it, and how many bytes of its own line.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    /// Moves past `bytes`.
    fn pass(&mut self, bytes: &[u8]) {
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        match memrchr(b'\n', bytes) {
            Some(last) => {
                self.line += count(memchr_iter(b'\n', bytes).count());
                self.column = count(bytes.len() - last - 1);
            }
            None => self.column += count(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests;
