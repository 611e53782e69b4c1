//! Ids: a typed prefix and 13 characters that sort by time of creation, `key_0fq3s7m2k9x4b`.
//!
//! The number behind an id is 64 bits, a *time-sorted unique identifier* (TSID): 42 bits of milliseconds since
//! 2020-01-01T00:00:00Z, then 22 random bits. Sixty-four bits rather than the usual 128 because a worker holds
//! one id per key in memory. Two ids of the same millisecond collide once in four million; the database's
//! primary key notices, and the caller draws again. The top bit stays clear until 2089, so that an id is also a
//! positive signed 64-bit integer.
//!
//! The text is the number in Crockford's base 32, lower case, most significant digit first, so that text order,
//! number order and time order agree. Parsing is strict: one text per number, or [`IdError`].

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds between the Unix epoch and 2020-01-01T00:00:00Z, where ids begin to count.
const ORIGIN_UNIX_MS: u64 = 1_577_836_800_000;
const RANDOM_BITS: u32 = 22;
const DIGITS: usize = 13;
/// Three letters, an underscore and the digits.
const TEXT_BYTES: usize = 4 + DIGITS;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an id names: the type that keeps a user's id from being taken for an API's.
pub trait Named {
    /// The three letters before the underscore.
    const PREFIX: &'static str;
}

macro_rules! named {
    ($($marker:ident, $alias:ident, $prefix:literal, $what:literal;)*) => {$(
        #[doc = concat!("Marks the ids of ", $what, ".")]
        #[derive(Debug)]
        pub enum $marker {}
        impl Named for $marker {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = concat!("The id of ", $what, ", `", $prefix, "_` and 13 characters.")]
        pub type $alias = Id<$marker>;
    )*};
}

named! {
    Key, KeyId, "key", "an API key, the same before and after a reissue";
    Api, ApiId, "api", "an API";
    Organization, OrganizationId, "org", "an organization";
    User, UserId, "usr", "a user";
    Token, TokenId, "tok", "an access token of the admin API";
    Gateway, GatewayId, "gtw", "a gateway, which is a fleet of Envoys";
}

/// A time-sorted 64-bit id of a `K`.
pub struct Id<K> {
    number: u64,
    kind: PhantomData<fn() -> K>,
}

/// Why a text is no id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ and 13 characters of 0-9 a-z without i l o u")]
pub struct IdError {
    prefix: &'static str,
}

impl<K> Id<K> {
    /// The id created at `unix_ms` with 22 bits of `random`; higher bits of it are ignored.
    ///
    /// Instants before 2020 count as 2020.
    pub fn new(unix_ms: u64, random: u32) -> Self {
        let since_origin = unix_ms.saturating_sub(ORIGIN_UNIX_MS);
        let low = u64::from(random) & ((1 << RANDOM_BITS) - 1);
        Self::from_number((since_origin << RANDOM_BITS) | low)
    }

    /// The id with this number, as a database or a table stores it.
    pub const fn from_number(number: u64) -> Self {
        Self { number, kind: PhantomData }
    }

    /// The number behind the text.
    pub const fn number(self) -> u64 {
        self.number
    }
}

impl<K: Named> Id<K> {
    /// The id's text.
    pub fn text(self) -> IdText {
        let mut text = [b'_'; TEXT_BYTES];
        for (place, byte) in text.iter_mut().zip(K::PREFIX.bytes()) {
            *place = byte;
        }
        let mut rest = self.number;
        for place in text.iter_mut().rev().take(DIGITS) {
            let value = usize::try_from(rest & 31).unwrap_or(0);
            *place = ALPHABET.get(value).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        IdText(text)
    }
}

impl<K: Named> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { prefix: K::PREFIX };
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or_else(|| error.clone())?
            .as_bytes();
        // Thirteen digits carry 65 bits: the first may use only four of its five.
        if digits.len() != DIGITS || digits.first().is_some_and(|first| *first > b'f') {
            return Err(error);
        }
        let mut number = 0_u64;
        for digit in digits {
            let value = digit_value(*digit).ok_or_else(|| error.clone())?;
            number = (number << 5) | value;
        }
        Ok(Self::from_number(number))
    }
}

/// The value of one base 32 digit, or `None` for a byte outside the alphabet.
fn digit_value(digit: u8) -> Option<u64> {
    let position = ALPHABET.iter().position(|candidate| *candidate == digit)?;
    u64::try_from(position).ok()
}

/// The text of an id, without memory of its own: a filter writes four of them for each request.
#[derive(Debug, Clone, Copy)]
pub struct IdText([u8; TEXT_BYTES]);

impl AsRef<[u8]> for IdText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<K: Named> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text().0).map_err(|_| fmt::Error)?)
    }
}

impl<K: Named> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Derives would ask the same of the marker type, which has no values.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<K: Named> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Named> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<K>(PhantomData<K>);
        impl<K: Named> Visitor<'_> for Text<K> {
            type Value = Id<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an id that begins with {}_", K::PREFIX)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<K>, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_survives_its_text(number in any::<u64>()) {
            let id = KeyId::from_number(number);
            prop_assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        }

        #[test]
        fn text_order_is_number_order(a in any::<u64>(), b in any::<u64>()) {
            let (x, y) = (KeyId::from_number(a), KeyId::from_number(b));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
        }

        #[test]
        fn a_text_that_parses_is_the_only_text_of_its_id(text in "key_[0-9a-zA-Z]{12,14}") {
            if let Ok(id) = text.parse::<KeyId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let user = UserId::new(1_700_000_000_000, 7).to_string();
        assert!(user.parse::<KeyId>().is_err());
        assert!(user.parse::<UserId>().is_ok());
    }
}
