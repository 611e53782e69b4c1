//! How many tokens a response used, read while it passes.
//!
//! An OpenAI-style API says in each response what it used: a JSON document has a member `usage`, and a stream of
//! Server-Sent Events has it in one of its last events. A [`Reader`] is shown each chunk of the body once, keeps a few
//! numbers of it and nothing else, and in the end says what it has learned. It owns no memory beyond itself, whatever
//! the body does: `json` skips over what it need not understand by counting brackets, and `events` cuts a stream
//! into documents.
//!
//! What counts as usage depends on where it stands, never on text: the member `usage` of a document's object, or of
//! the object `response` within it, as in events of the Responses API. What callers and models write stands in strings
//! or deeper down, so they can neither forge usage nor hide it. Where JSON leaves a choice, the reader reads as
//! `serde_json` does: escapes in names are decoded, and of members with one name the last one holds.
//!
//! A caller must not escape a limit by not asking for usage or by hanging up. So a stream without it is estimated:
//! models send about one token in each event. A document without it is unknown.
//!
//! The upstream is trusted to write JSON, but the reader does not fail if it does not: there is no bad input, only
//! input without usage. Usage counts from the brace that ends it, so that what comes after, or does not come, is no
//! matter.

mod counts;
mod events;
mod json;
mod skip;

use events::Events;
use json::Document;

/// What a response used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// The response says so.
    Read(Tokens),
    /// The response is a stream that does not say so, or was cut off before it did.
    Estimated {
        /// What the stream said of the prompt; zero if it did not.
        prompt: u64,
        /// One for each event that is a JSON object.
        completion: u64,
    },
    /// The response is a document that says nothing of usage, or could not be read.
    Unknown,
}

/// Numbers of tokens as a response states them, each at most [`TOKENS_MAX`] unless it is a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Those of the caller's input; zero if the response does not say.
    pub prompt: u64,
    /// Those that the model wrote; zero if the response does not say, as for embeddings.
    pub completion: u64,
    /// All: what the response states as such, otherwise the sum.
    pub total: u64,
}

impl Usage {
    /// Tokens of the prompt and of the completion, as far as they are known. A total of which nothing is known but that
    /// is one of prompts.
    pub const fn parts(self) -> (u64, u64) {
        match self {
            Self::Read(Tokens { prompt: 0, completion: 0, total }) => (total, 0),
            Self::Read(Tokens { prompt, completion, .. }) | Self::Estimated { prompt, completion } => {
                (prompt, completion)
            }
            Self::Unknown => (0, 0),
        }
    }
}

/// The largest number that is taken for one of tokens.
pub const TOKENS_MAX: u64 = 1_000_000_000_000;

/// Reads the usage of one response.
#[derive(Debug, Clone)]
pub struct Reader(Body);

#[derive(Debug, Clone)]
enum Body {
    Json(Document),
    Events(Events),
    /// One of the two, compressed.
    Compressed,
}

impl Reader {
    /// A reader for a response with these headers, if it is JSON or a stream of events. One that is compressed has usage
    /// as well, which nobody will know.
    pub fn for_content_type(content_type: &[u8], content_encoding: Option<&[u8]>) -> Option<Self> {
        let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_stream = media_type.eq_ignore_ascii_case(b"text/event-stream");
        if !is_stream && !is_json(media_type) {
            return None;
        }
        let encoding = content_encoding.unwrap_or_default().trim_ascii();
        let is_plain = encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
        Some(Self(match (is_plain, is_stream) {
            (true, true) => Body::Events(Events::default()),
            (true, false) => Body::Json(Document::default()),
            (false, _) => Body::Compressed,
        }))
    }

    /// Whether there is anything to be read.
    pub const fn can_read(&self) -> bool {
        match self.0 {
            Body::Json(_) | Body::Events(_) => true,
            Body::Compressed => false,
        }
    }

    /// Reads on. Where one chunk ends and the next begins makes no difference.
    pub fn feed(&mut self, chunk: &[u8]) {
        match &mut self.0 {
            Body::Json(document) => document.feed(chunk),
            Body::Events(events) => events.feed(chunk),
            Body::Compressed => {}
        }
    }

    /// What the response used, as far as it came.
    pub fn finish(self) -> Usage {
        match self.0 {
            Body::Json(document) => document.usage().map_or(Usage::Unknown, |counts| Usage::Read(counts.tokens())),
            Body::Events(events) => events.finish(),
            Body::Compressed => Usage::Unknown,
        }
    }
}

/// `application/json`, or a type that says with its suffix that it is JSON (RFC 6839, section 3.1).
fn is_json(media_type: &[u8]) -> bool {
    let Some((application, subtype)) = media_type.split_at_checked(b"application/".len()) else { return false };
    if !application.eq_ignore_ascii_case(b"application/") {
        return false;
    }
    let suffix = subtype.last_chunk::<5>().is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"));
    suffix || subtype.eq_ignore_ascii_case(b"json")
}

#[cfg(test)]
mod tests;
