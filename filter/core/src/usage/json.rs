//! The usage in one JSON document, read byte by byte.
//!
//! The reader knows the way to usage and nothing beside it: the document's object, `response` and `message` in it,
//! `usage` in any of the three. Of these objects it reads the names; every other value is skipped, by counting
//! the brackets that are open. That costs one number for any depth, and bears that brackets which do not match each
//! other are taken for such that do. In an object that is read, what is not JSON ends the reading: what was found by
//! then stays found.

use super::counts::{Counts, Fields, Name};
use super::skip;

/// One document, as far as it has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Document {
    state: State,
    is_object: bool,
    /// The object that is read, and whether it is its usage.
    holder: Holder,
    in_usage: bool,
    key: Key,
    member: Member,
    /// How many objects and arrays are open that are skipped.
    depth: u64,
    fields: Fields,
    own: Option<Counts>,
    response: Option<Counts>,
    message: Option<Counts>,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing has come but white space.
    #[default]
    Start,
    /// A member's name, or the end of the object.
    Member,
    Key,
    KeyEscape,
    /// The four digits of an escape in a key: how many are to come, and what those before them came to.
    KeyDigits(u8, u32),
    Colon,
    Value,
    /// A number, `true`, `false` or `null`.
    Scalar,
    Text,
    TextEscape,
    /// The inside of an object or array that is skipped.
    Inside,
    /// A value has ended.
    Next,
    /// There is nothing more to learn.
    Over,
}

/// An object that may have usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Holder {
    #[default]
    Document,
    Response,
    Message,
}

/// What a member is to the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Usage,
    Holder(Holder),
    Count(Name),
}

impl Document {
    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::Text => self.text(bytes),
                State::Key => self.key(bytes),
                State::Inside => self.inside(bytes),
                State::Over => return,
                State::Start
                | State::Member
                | State::KeyEscape
                | State::KeyDigits(..)
                | State::Colon
                | State::Value
                | State::Scalar
                | State::TextEscape
                | State::Next => {
                    self.step(*byte);
                    rest
                }
            };
        }
    }

    /// Whether the document is an object, or begins as one.
    pub(super) fn is_object(&self) -> bool {
        self.is_object
    }

    /// The document's own usage; if it has none, that of its response.
    pub(super) fn usage(&self) -> Option<Counts> {
        self.own.or(self.response)
    }

    /// The usage of the message in the document: what Anthropic's streams say at their start.
    pub(super) fn usage_of_message(&self) -> Option<Counts> {
        self.message
    }

    /// The contents of a string that is no name.
    fn text<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (_, end, rest) = cut(bytes, skip::to_string_end(bytes));
        match end {
            Some(b'"') if self.depth == 0 => self.state = State::Next,
            Some(b'"') => self.state = State::Inside,
            Some(_) => self.state = State::TextEscape,
            None => {}
        }
        rest
    }

    /// A name.
    fn key<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (part, end, rest) = cut(bytes, skip::to_string_end(bytes));
        self.key.extend(part);
        match end {
            Some(b'"') => {
                self.member = self.member();
                self.state = State::Colon;
            }
            Some(_) => self.state = State::KeyEscape,
            None => {}
        }
        rest
    }

    /// The inside of an object or array that is skipped. Most of a body passes here, so strings are skipped on the way.
    fn inside<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        let mut depth = self.depth;
        while depth > 0 {
            let (_, byte, rest) = cut(bytes, skip::to_structure(bytes));
            bytes = rest;
            match byte {
                Some(b'{' | b'[') => depth = depth.saturating_add(1),
                Some(b'}' | b']') => depth = depth.saturating_sub(1),
                Some(b'"') => {
                    let (_, end, rest) = cut(bytes, skip::to_string_end(bytes));
                    bytes = rest;
                    if end != Some(b'"') {
                        self.depth = depth;
                        self.state = if end.is_none() { State::Text } else { State::TextEscape };
                        return bytes;
                    }
                }
                Some(_) => {}
                None => {
                    self.depth = depth;
                    return bytes;
                }
            }
        }
        self.depth = 0;
        self.state = State::Next;
        bytes
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Scalar => self.scalar(byte),
            State::KeyEscape => self.key_escape(byte),
            State::KeyDigits(missing, code) => self.key_digit(missing, code, byte),
            // Of an escape in text only the first byte could end the string; digits are like any text.
            State::TextEscape => self.state = State::Text,
            State::Start | State::Member | State::Colon | State::Value | State::Next if is_space(byte) => {}
            State::Start => self.start(byte),
            State::Member => self.open_member(byte),
            State::Colon if byte == b':' => self.state = State::Value,
            State::Value => self.value(byte),
            State::Next => self.next(byte),
            State::Colon | State::Key | State::Text | State::Inside | State::Over => self.state = State::Over,
        }
    }

    fn start(&mut self, byte: u8) {
        self.is_object = byte == b'{';
        self.state = if self.is_object { State::Member } else { State::Over };
    }

    fn open_member(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.key = Key::default();
                self.state = State::Key;
            }
            b'}' => self.close(),
            _ => self.state = State::Over,
        }
    }

    /// The value of `member` begins. What an earlier member of that name had said no longer holds.
    fn value(&mut self, byte: u8) {
        match self.member {
            Member::Other => {}
            Member::Usage => *self.found(self.holder) = None,
            Member::Holder(holder) => *self.found(holder) = None,
            Member::Count(name) => self.fields.begin(name, byte),
        }
        match (byte, self.member) {
            (b'{', Member::Usage) => {
                self.fields = Fields::default();
                self.in_usage = true;
                self.state = State::Member;
            }
            (b'{', Member::Holder(holder)) => {
                self.holder = holder;
                self.state = State::Member;
            }
            (b'{' | b'[', _) => {
                self.depth = 1;
                self.state = State::Inside;
            }
            (b'"', _) => self.state = State::Text,
            (b',' | b':' | b']' | b'}', _) => self.state = State::Over,
            (_, _) => self.state = State::Scalar,
        }
    }

    fn scalar(&mut self, byte: u8) {
        match (byte, self.member) {
            (b',' | b'}', _) => self.next(byte),
            (_, _) if is_space(byte) => self.state = State::Next,
            (_, Member::Count(name)) => self.fields.go_on(name, byte),
            (_, Member::Other | Member::Usage | Member::Holder(_)) => {}
        }
    }

    /// After a value.
    fn next(&mut self, byte: u8) {
        match byte {
            b',' => self.state = State::Member,
            b'}' => self.close(),
            _ => self.state = State::Over,
        }
    }

    /// The object that is read has ended.
    fn close(&mut self) {
        self.state = State::Next;
        if self.in_usage {
            self.in_usage = false;
            *self.found(self.holder) = self.fields.counts();
        } else if self.holder == Holder::Document {
            self.state = State::Over;
        } else {
            self.holder = Holder::Document;
        }
    }

    fn found(&mut self, holder: Holder) -> &mut Option<Counts> {
        match holder {
            Holder::Document => &mut self.own,
            Holder::Response => &mut self.response,
            Holder::Message => &mut self.message,
        }
    }

    /// What the member is whose name has been read.
    fn member(&self) -> Member {
        let key = self.key.as_bytes();
        if self.in_usage {
            return Name::of(key).map_or(Member::Other, Member::Count);
        }
        match (key, self.holder) {
            (b"usage", _) => Member::Usage,
            (b"response", Holder::Document) => Member::Holder(Holder::Response),
            (b"message", Holder::Document) => Member::Holder(Holder::Message),
            (_, _) => Member::Other,
        }
    }

    fn key_escape(&mut self, byte: u8) {
        if byte == b'u' {
            self.state = State::KeyDigits(4, 0);
        } else {
            // What the other escapes stand for is in no name that is looked for.
            self.key.extend(&[STRANGE]);
            self.state = State::Key;
        }
    }

    fn key_digit(&mut self, missing: u8, code: u32, byte: u8) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Over;
            return;
        };
        let code = (code << 4) | digit;
        self.state = State::KeyDigits(missing.saturating_sub(1), code);
        if missing <= 1 {
            self.key.extend(&[u8::try_from(code).unwrap_or(STRANGE)]);
            self.state = State::Key;
        }
    }
}

/// A byte that is in no name that is looked for.
const STRANGE: u8 = b'"';

/// A name, as far as it has been read. No name that is looked for is longer than it holds.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    bytes: [u8; 32],
    length: usize,
}

impl Key {
    fn extend(&mut self, part: &[u8]) {
        for (free, byte) in self.bytes.iter_mut().skip(self.length).zip(part) {
            *free = *byte;
        }
        self.length = self.length.saturating_add(part.len());
    }

    /// The name; nothing if it is too long to be one that is looked for.
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What is before the byte at `at`, that byte, and what follows it.
fn cut(bytes: &[u8], at: usize) -> (&[u8], Option<u8>, &[u8]) {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    match rest.split_first() {
        Some((byte, after)) => (before, Some(*byte), after),
        None => (before, None, &[]),
    }
}
