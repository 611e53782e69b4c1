//! Where the next byte is that matters, eight bytes at a time.
//!
//! The filter is built for WebAssembly without vector instructions, where `memchr` goes four bytes at a time. Words of
//! eight are native there. That a byte of a word is zero shows in its highest bit after the usual subtraction; the
//! lowest such bit is exact, and no other one is looked at.

const ONES: u64 = u64::MAX / 0xff;
const HIGHEST: u64 = ONES << 7;

/// Where a string's contents end, or an escape begins: a quotation mark or a backslash.
pub(super) fn to_string_end(bytes: &[u8]) -> usize {
    let in_word = |word| zeros(word ^ every(b'"')) | zeros(word ^ every(b'\\'));
    find(bytes, in_word, |byte| matches!(byte, b'"' | b'\\'))
}

/// Where something begins or ends: a quotation mark, bracket or brace. Outside strings JSON has no other byte that
/// differs from `0x7f` in the bits of `0x26` alone than the four brackets; for what is not JSON this may be any byte.
pub(super) fn to_structure(bytes: &[u8]) -> usize {
    let in_word = |word| zeros(word ^ every(b'"')) | zeros((word | every(0x26)) ^ every(0x7f));
    find(bytes, in_word, |byte| byte == b'"' || byte | 0x26 == 0x7f)
}

/// Where a line ends: a carriage return or a line feed.
pub(super) fn to_line_end(bytes: &[u8]) -> usize {
    let in_word = |word| zeros(word ^ every(b'\r')) | zeros(word ^ every(b'\n'));
    find(bytes, in_word, |byte| matches!(byte, b'\r' | b'\n'))
}

/// The first place that both tests agree on, or the length if there is none.
fn find(bytes: &[u8], in_word: impl Fn(u64) -> u64, in_byte: impl Fn(u8) -> bool) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words {
        let hits = in_word(u64::from_le_bytes(*word));
        if hits != 0 {
            return at.saturating_add(hits.trailing_zeros() as usize / 8);
        }
        at = at.saturating_add(8);
    }
    let in_tail = tail.iter().position(|byte| in_byte(*byte)).unwrap_or(tail.len());
    at.saturating_add(in_tail)
}

const fn every(byte: u8) -> u64 {
    (byte as u64).wrapping_mul(ONES)
}

/// The highest bit of the lowest byte that is zero is set, and no bit below it.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_byte_that_matters_is_found_wherever_it_is(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'!'), Just(b'#'), Just(b'[')], 0..40),
        ) {
            let first = |set: &[u8]| bytes.iter().position(|byte| set.contains(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(to_string_end(&bytes), first(b"\"\\"));
            prop_assert_eq!(to_structure(&bytes), first(b"\"[]{}Y_y\x7f"));
            prop_assert_eq!(to_line_end(&bytes), first(b"\r\n"));
        }
    }
}
