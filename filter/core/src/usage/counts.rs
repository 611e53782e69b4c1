//! The members of a usage object, and what they come to.
//!
//! OpenAI's older APIs have `prompt_tokens` and `completion_tokens`, its newer ones and Anthropic's `input_tokens` and
//! `output_tokens`; some servers write both. Anthropic's has no total, and does not count what came from a cache, or
//! went into one, as input.

use super::{TOKENS_MAX, Tokens};

/// The names of the members that count, in the order of [`Fields`].
const NAMES: [&[u8]; 7] = [
    b"prompt_tokens",
    b"completion_tokens",
    b"input_tokens",
    b"output_tokens",
    b"total_tokens",
    b"cache_creation_input_tokens",
    b"cache_read_input_tokens",
];

/// The members of a usage object while it is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields([Field; NAMES.len()]);

/// Which member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(usize);

/// The value of a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Field {
    /// There is none, or it is null.
    #[default]
    Absent,
    Number(u64),
    /// Not a number of tokens. The whole object is not usage then.
    Other,
}

impl Field {
    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Absent | Self::Other => None,
        }
    }
}

impl Name {
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        NAMES.iter().position(|name| *name == key).map(Self)
    }
}

impl Fields {
    /// A member's value begins with this byte; whatever the member was before is forgotten.
    pub(super) fn begin(&mut self, name: Name, byte: u8) {
        self.set(name, |_| match byte {
            b'0'..=b'9' => Field::Number(digit(byte)),
            b'n' => Field::Absent,
            _ => Field::Other,
        });
    }

    /// The value goes on with this byte. Nothing else than the digits of a number makes a difference.
    pub(super) fn go_on(&mut self, name: Name, byte: u8) {
        self.set(name, |before| match before {
            Field::Number(number) => with_digit(number, byte).map_or(Field::Other, Field::Number),
            Field::Absent | Field::Other => before,
        });
    }

    fn set(&mut self, name: Name, value: impl FnOnce(Field) -> Field) {
        if let Some(field) = self.0.get_mut(name.0) {
            *field = value(*field);
        }
    }

    /// What the members say, if they are those of usage.
    pub(super) fn counts(&self) -> Option<Counts> {
        if self.0.contains(&Field::Other) {
            return None;
        }
        let [prompt, completion, input, output, total, to_cache, from_cache] = self.0.map(Field::number);
        // Who gives a total is no Anthropic: what was cached is part of the input.
        let cached = total.map_or_else(|| sum(to_cache, from_cache), |_| 0);
        let prompt = prompt.or_else(|| input.map(|input| input.saturating_add(cached)));
        let counts = Counts { prompt, completion: completion.or(output), total };
        (counts != Counts::default()).then_some(counts)
    }
}

fn with_digit(number: u64, byte: u8) -> Option<u64> {
    let longer = number.checked_mul(10)?.checked_add(digit(byte))?;
    (byte.is_ascii_digit() && longer <= TOKENS_MAX).then_some(longer)
}

fn digit(byte: u8) -> u64 {
    u64::from(byte.wrapping_sub(b'0'))
}

fn sum(one: Option<u64>, other: Option<u64>) -> u64 {
    one.unwrap_or_default().saturating_add(other.unwrap_or_default())
}

/// What a usage object states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) prompt: Option<u64>,
    pub(super) completion: Option<u64>,
    pub(super) total: Option<u64>,
}

impl Counts {
    pub(super) fn tokens(self) -> Tokens {
        Tokens {
            prompt: self.prompt.unwrap_or_default(),
            completion: self.completion.unwrap_or_default(),
            total: self.total.unwrap_or_else(|| sum(self.prompt, self.completion)),
        }
    }
}
