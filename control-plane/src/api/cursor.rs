//! The cursor of a list in the order of numbers: the place of a page's last item, as an opaque text.
//!
//! It is the base64url (RFC 4648, section 5) of the item's number in eight bytes. It gives access to nothing, so
//! it need not be signed. Every text of the right shape is a place; 64 bits in eleven characters leave two bits of the
//! last one zero.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The cursor of this place.
pub fn write(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(number.to_be_bytes())
}

/// The place that a cursor stands for. One behind the last that can be is the last that can be.
pub fn read(cursor: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let number = u64::from_be_bytes(bytes.try_into().ok()?);
    Some(number.min(i64::MAX.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_comes_back(number in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(read(&write(number)), Some(number));
        }

        #[test]
        fn every_text_of_its_shape_is_a_place(cursor in "[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]") {
            prop_assert!(read(&cursor).is_some());
        }

        #[test]
        fn arbitrary_text_is_no_cursor_or_a_place(text in ".{0,20}") {
            let _ = read(&text);
        }
    }
}
