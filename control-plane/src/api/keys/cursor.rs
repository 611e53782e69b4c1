//! The cursor of a list of keys: a place in it, as an opaque text.
//!
//! It is the base64url (RFC 4648, section 5) of a JSON list of the order, the sorted value and the key's number. It
//! gives access to nothing, so it need not be signed: whoever makes one up gets a page of what they may see.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::id::KeyId;
use serde::{Deserialize, Serialize};

use crate::storage::{KeyPlace, KeySort};

/// The longest text that can be a cursor: a name and a masked value, with room to spare.
const CURSOR_BYTES_MAX: usize = 2_048;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Place {
    #[serde(rename = "i")]
    Issued(u64),
    #[serde(rename = "n")]
    Name(String, u64),
    #[serde(rename = "e")]
    Expiry(i64, u64),
    #[serde(rename = "u")]
    LastUse(i64, u64),
}

/// The cursor of this place in a list with this order.
pub fn write(sort: KeySort, place: &KeyPlace) -> String {
    let place = match place {
        KeyPlace::Issued(id) => Place::Issued(id.number()),
        KeyPlace::Name(name, id) => Place::Name(name.clone(), id.number()),
        KeyPlace::Instant(instant, id) if sort == KeySort::LastUse => Place::LastUse(*instant, id.number()),
        KeyPlace::Instant(instant, id) => Place::Expiry(*instant, id.number()),
    };
    // Strings and numbers always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
}

/// The place that a cursor stands for, if it is one of a list with this order.
pub fn read(sort: KeySort, cursor: &str) -> Option<KeyPlace> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let id = KeyId::from_number;
    match (sort, serde_json::from_slice(&json).ok()?) {
        (KeySort::Issued, Place::Issued(key)) => Some(KeyPlace::Issued(id(key))),
        // PostgreSQL takes no NUL in a text.
        (KeySort::Name, Place::Name(name, key)) if !name.contains('\0') => Some(KeyPlace::Name(name, id(key))),
        (KeySort::Expiry, Place::Expiry(instant, key)) | (KeySort::LastUse, Place::LastUse(instant, key)) => {
            Some(KeyPlace::Instant(instant, id(key)))
        }
        (KeySort::Issued | KeySort::Name | KeySort::Expiry | KeySort::LastUse, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_read_in_its_own_order_only() {
        let (key, sorts) = (KeyId::from_number(7), [KeySort::Issued, KeySort::Name, KeySort::Expiry, KeySort::LastUse]);
        let places = [
            KeyPlace::Issued(key),
            KeyPlace::Name("ü\npc_…".to_owned(), key),
            KeyPlace::Instant(i64::MAX, key),
            KeyPlace::Instant(-1, key),
        ];
        for (at, (sort, place)) in sorts.into_iter().zip(&places).enumerate() {
            let cursor = write(sort, place);
            for (other, sort) in sorts.into_iter().enumerate() {
                assert_eq!(read(sort, &cursor), (at == other).then(|| place.clone()));
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_cursor_or_a_place(text in ".{0,60}") {
            for sort in [KeySort::Issued, KeySort::Name, KeySort::Expiry, KeySort::LastUse] {
                let _ = read(sort, &text);
            }
        }
    }
}
