//! The key that a request presents: `Authorization: Bearer KEY` (RFC 6750, section 2.1; RFC 9110, section 11).
//!
//! There must be exactly one such header with exactly one value. A host may join repeated headers with commas
//! before a filter sees them, so a comma counts as a second credential: no key contains one. The scheme is
//! case-insensitive and followed by one or more spaces.

use crate::key::KEY_BYTES_MAX;
use crate::verdict::Refusal;

/// The key that the values of all `Authorization` headers of a request present, not yet checked.
///
/// Another scheme, or a scheme without a credential, presents no key: the caller did not try to authenticate
/// in the way that is asked for, and RFC 6750, section 3.1, wants no error code then.
pub fn bearer_of<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<&'a [u8], Refusal> {
    let value = values.next().ok_or(Refusal::MissingCredential)?;
    if values.next().is_some() || value.contains(&b',') {
        return Err(Refusal::AmbiguousCredential);
    }
    let scheme_end = value.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let (scheme, rest) = value.split_at_checked(scheme_end.unwrap_or(value.len())).ok_or(Refusal::MissingCredential)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refusal::MissingCredential);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let key = rest.get(spaces..).unwrap_or_default();
    if rest.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(Refusal::MissingCredential);
    }
    if spaces == 0 || key.len() > KEY_BYTES_MAX {
        return Err(Refusal::MalformedKey);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Refusal::{AmbiguousCredential, MalformedKey, MissingCredential};
    use proptest::prelude::*;

    fn of_one(value: &[u8]) -> Result<&[u8], Refusal> {
        bearer_of([value].into_iter())
    }

    #[test]
    fn a_bearer_credential_is_taken_whatever_the_case_of_its_scheme() {
        for value in ["Bearer k", "bearer k", "BEARER   k", "bEaReR k"] {
            assert_eq!(of_one(value.as_bytes()), Ok(b"k".as_slice()), "{value}");
        }
    }

    #[test]
    fn what_is_no_single_bearer_credential_is_refused() {
        let long = format!("Bearer {}", "k".repeat(65_536));
        let cases = [
            ("", MissingCredential),
            ("Bearer", MissingCredential),
            ("Bearer  ", MissingCredential),
            ("Bearer \t", MissingCredential),
            ("Basic dTpw", MissingCredential),
            ("Bearerk", MissingCredential),
            ("pc_sls_x", MissingCredential),
            ("Bearer\tk", MalformedKey),
            ("Bearer=k", MalformedKey),
            (long.as_str(), MalformedKey),
            ("Bearer a,Bearer b", AmbiguousCredential),
            ("Bearer a, Basic b", AmbiguousCredential),
            ("Bearer a,", AmbiguousCredential),
        ];
        for (value, refusal) in cases {
            assert_eq!(of_one(value.as_bytes()), Err(refusal), "{value:.40}");
        }
        assert_eq!(bearer_of([].into_iter()), Err(MissingCredential));
        let twice: [&[u8]; 2] = [b"Bearer a", b"Bearer a"];
        assert_eq!(bearer_of(twice.into_iter()), Err(AmbiguousCredential));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = of_one(&value);
        }
    }
}
