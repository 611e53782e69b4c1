//! The text of a key: `<brand>_<kind>_<secret><check>`, for example `pc_ded_` and 38 characters.
//!
//! - *brand*: 1 to 10 characters of `[a-z0-9]`, one per deployment, so that a scanner can tell whose key it found;
//! - *kind*: what the key is for, see [`Kind`];
//! - *secret*: 32 base 62 characters from the operating system's generator, 190 bits;
//! - *check*: the CRC-32 (ISO-HDLC, as in ISO 3309 and zlib) of all that stands before it, as 6 base 62
//!   characters. It catches typing errors and truncation, and refuses a guess before anything is hashed. It is
//!   no protection: anyone can compute it.
//!
//! A CRC of 32 bits detects every change within 32 successive bits, so every change of one character is refused.
//! The whole is at most 55 bytes, which SHA-256 takes in one block.
//!
//! [`PlainKey`] is the secret itself. It has no `Display`, its `Debug` is masked, and nothing but
//! [`PlainKey::reveal`] lets the text out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Base 62 characters in the secret part of a key.
pub const SECRET_CHARACTERS: usize = 32;
/// Base 62 characters in the check part of a key.
pub const CHECK_CHARACTERS: usize = 6;
/// The longest key there can be, in bytes.
pub const KEY_BYTES_MAX: usize = 10 + 1 + 3 + 1 + SECRET_CHARACTERS + CHECK_CHARACTERS;

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key opens. The three letters of [`Kind::tag`] stand in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// APIs of one kind, see [`ApiKind`].
    Api(ApiKind),
    /// The admin API: an access token.
    Access,
    /// The sync port: a gateway's token.
    Gateway,
}

/// The two kinds of API, and of the keys that open them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKind {
    /// Shared by all organizations.
    Serverless,
    /// Owned by one organization, and open to its keys only.
    Dedicated,
}

impl ApiKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Serverless, Self::Dedicated];

    /// The kind's name in the API, in storage and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serverless => "serverless",
            Self::Dedicated => "dedicated",
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::Api(ApiKind::Serverless), Self::Api(ApiKind::Dedicated), Self::Access, Self::Gateway];

    /// The three letters that stand for the kind in a key.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Api(ApiKind::Serverless) => "sls",
            Self::Api(ApiKind::Dedicated) => "ded",
            Self::Access => "adm",
            Self::Gateway => "gwt",
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// A deployment's brand: 1 to 10 characters of `[a-z0-9]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Brand(String);

/// Why a text is no brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a brand is 1 to 10 characters of a-z and 0-9")]
pub struct BrandError;

impl Brand {
    /// The brand's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self("pc".to_owned())
    }
}

impl FromStr for Brand {
    type Err = BrandError;

    fn from_str(text: &str) -> Result<Self, BrandError> {
        let fits = (1..=10).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (fits && plain).then(|| Self(text.to_owned())).ok_or(BrandError)
    }
}

impl TryFrom<String> for Brand {
    type Error = BrandError;

    fn try_from(text: String) -> Result<Self, BrandError> {
        text.parse()
    }
}

impl From<Brand> for String {
    fn from(brand: Brand) -> Self {
        brand.0
    }
}

/// A key in the clear. It lives from generation to the one answer that shows it.
pub struct PlainKey(String);

/// Why a text is no key of this deployment. Which rule it broke is nobody's business but a test's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer or shorter than any key.
    #[error("wrong length")]
    Length,
    /// Not `<brand>_<kind>_` of this deployment.
    #[error("wrong prefix")]
    Prefix,
    /// A character outside base 62, or the wrong number of them.
    #[error("wrong alphabet")]
    Alphabet,
    /// The check code is not that of the text before it.
    #[error("wrong check code")]
    Check,
}

impl PlainKey {
    /// Generates a key from `random` bytes of the operating system's generator.
    ///
    /// `fill` is asked for more until enough characters are drawn: bytes from 248 up are thrown away, so that
    /// each of the 62 characters is equally likely. Its error is passed on.
    pub fn generate<E>(brand: &Brand, kind: Kind, mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut text = format!("{}_{}_", brand.as_str(), kind.tag());
        let mut drawn = 0_usize;
        while drawn < SECRET_CHARACTERS {
            let mut random = [0_u8; 2 * SECRET_CHARACTERS];
            fill(&mut random)?;
            let fair = random.iter().filter(|byte| **byte < 248);
            for byte in fair.take(SECRET_CHARACTERS.saturating_sub(drawn)) {
                text.push(base_62(u32::from(*byte)));
                drawn = drawn.saturating_add(1);
            }
        }
        for character in check_of(text.as_bytes()) {
            text.push(char::from(character));
        }
        Ok(Self(text))
    }

    /// Takes over a key that was found somewhere, and says its kind. Anything else is refused as by [`parse`].
    pub fn read(brand: &Brand, text: &[u8]) -> Result<(Kind, Self), KeyError> {
        let kind = parse(brand, text)?;
        let text = str::from_utf8(text).map_err(|_| KeyError::Alphabet)?;
        Ok((kind, Self(text.to_owned())))
    }

    /// The digest under which the key is stored.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The text by which people recognise a key: the first two characters of its secret and its last four.
    pub fn masked(&self) -> String {
        let secret = self.0.rsplit('_').next().unwrap_or_default();
        let prefix = self.0.strip_suffix(secret).unwrap_or_default();
        let first = secret.get(..2).unwrap_or_default();
        let last = secret.get(secret.len().saturating_sub(4)..).unwrap_or_default();
        format!("{prefix}{first}…{last}")
    }

    /// The secret. To be called where it is shown to its owner, and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainKey({})", self.masked())
    }
}

/// Checks that `text` is a key of this `brand` and returns its kind. Nothing is hashed and nothing allocated.
pub fn parse(brand: &Brand, text: &[u8]) -> Result<Kind, KeyError> {
    if text.len() > KEY_BYTES_MAX {
        return Err(KeyError::Length);
    }
    let rest = text
        .strip_prefix(brand.as_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b"_"))
        .ok_or(KeyError::Prefix)?;
    let (tag, rest) = rest.split_at_checked(3).ok_or(KeyError::Length)?;
    let kind = str::from_utf8(tag).ok().and_then(Kind::from_tag).ok_or(KeyError::Prefix)?;
    let body = rest.strip_prefix(b"_").ok_or(KeyError::Prefix)?;
    if body.len() != SECRET_CHARACTERS + CHECK_CHARACTERS {
        return Err(KeyError::Length);
    }
    if !body.iter().all(u8::is_ascii_alphanumeric) {
        return Err(KeyError::Alphabet);
    }
    let (head, check) = text.split_last_chunk::<CHECK_CHARACTERS>().ok_or(KeyError::Length)?;
    (check_of(head) == *check).then_some(kind).ok_or(KeyError::Check)
}

/// The check characters of `head`: its CRC-32, most significant base 62 digit first.
fn check_of(head: &[u8]) -> [u8; CHECK_CHARACTERS] {
    let mut rest = crc32fast::hash(head);
    let mut check = [b'0'; CHECK_CHARACTERS];
    for place in check.iter_mut().rev() {
        *place = u8::try_from(base_62(rest)).unwrap_or(b'0');
        rest /= 62;
    }
    check
}

/// The base 62 character of `value` modulo 62.
fn base_62(value: u32) -> char {
    let position = usize::try_from(value % 62).unwrap_or(0);
    char::from(BASE_62.get(position).copied().unwrap_or(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn arbitrary_key() -> impl Strategy<Value = (Brand, Kind, PlainKey)> {
        let brand = "[a-z0-9]{1,10}".prop_map(|text| text.parse::<Brand>().unwrap());
        let kind = prop::sample::select(Kind::ALL.to_vec());
        (brand, kind, prop::collection::vec(any::<u8>(), 1..300)).prop_map(|(brand, kind, seed)| {
            // The generator repeats its seed with a drift, so that even a seed of rejected bytes ends.
            let mut drift = 0_u8;
            let key = PlainKey::generate(&brand, kind, |random| {
                for (byte, seed) in random.iter_mut().zip(seed.iter().cycle()) {
                    drift = drift.wrapping_add(1);
                    *byte = seed.wrapping_add(drift);
                }
                Ok::<_, Infallible>(())
            });
            (brand, kind, key.unwrap())
        })
    }

    proptest! {
        #[test]
        fn every_generated_key_parses((brand, kind, key) in arbitrary_key()) {
            prop_assert_eq!(parse(&brand, key.reveal().as_bytes()), Ok(kind));
            prop_assert!(key.reveal().len() <= KEY_BYTES_MAX);
            let (read_kind, read) = PlainKey::read(&brand, key.reveal().as_bytes()).unwrap();
            prop_assert_eq!((read_kind, read.reveal()), (kind, key.reveal()));
        }

        #[test]
        fn every_change_of_one_byte_is_refused(
            (brand, _, key) in arbitrary_key(),
            place in any::<prop::sample::Index>(),
            flip in 1_u8..=255,
        ) {
            let mut changed = key.reveal().as_bytes().to_vec();
            let place = place.index(changed.len());
            changed[place] ^= flip;
            prop_assert!(parse(&brand, &changed).is_err());
        }

        #[test]
        fn every_truncation_and_extension_is_refused(
            (brand, _, key) in arbitrary_key(),
            length in 0_usize..55,
            more in "[0-9a-zA-Z_ ]{1,3}",
        ) {
            let text = key.reveal();
            prop_assume!(length < text.len());
            prop_assert!(parse(&brand, &text.as_bytes()[..length]).is_err());
            let longer = format!("{text}{more}");
            prop_assert!(parse(&brand, longer.as_bytes()).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&Brand::default(), &bytes);
        }

        #[test]
        fn the_masked_value_and_debug_keep_the_secret((_, _, key) in arbitrary_key()) {
            let shown = format!("{} {key:?}", key.masked());
            let secret = key.reveal().rsplit('_').next().unwrap();
            for window in secret.as_bytes().windows(5) {
                prop_assert!(!shown.contains(str::from_utf8(window).unwrap()));
            }
        }
    }

    #[test]
    fn the_check_code_is_crc_32_iso_hdlc_in_base_62() {
        // The check value of CRC-32/ISO-HDLC is 0xCBF43926 for "123456789"; in base 62 that is 3jbv9Y.
        let mut value = 0_u64;
        for character in check_of(b"123456789") {
            let digit = BASE_62.iter().position(|c| *c == character).unwrap();
            value = value * 62 + digit as u64;
        }
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn a_key_of_another_brand_is_refused() {
        let brand = "other".parse().unwrap();
        let key = PlainKey::generate(&brand, Kind::Access, |random| {
            random.fill(7);
            Ok::<_, Infallible>(())
        });
        let text = key.unwrap();
        assert_eq!(parse(&Brand::default(), text.reveal().as_bytes()), Err(KeyError::Prefix));
    }
}
