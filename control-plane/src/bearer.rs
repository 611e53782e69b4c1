//! The token that a request to the control plane presents: `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
//!
//! Operator and gateway tokens are looked up by their digest, so this says only whether there is exactly one
//! credential of the right scheme. Unlike a key's, an operator token's text is free: the environment may set any
//! visible ASCII.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use portcullis_core::digest::Digest;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 512;

/// Why a request presents no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No bearer credential.
    #[error("send a token in the Authorization header: Authorization: Bearer YOUR_TOKEN")]
    Missing,
    /// More than one `Authorization` header.
    #[error("send exactly one Authorization header")]
    Ambiguous,
    /// Longer than any token, or not visible ASCII.
    #[error("the token is unknown, or no longer valid")]
    Malformed,
}

/// The digest of the token that `headers` present. The token itself goes no further.
pub fn digest_of(headers: &HeaderMap) -> Result<Digest, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?.as_bytes();
    if values.next().is_some() {
        return Err(BearerError::Ambiguous);
    }
    let (scheme, rest) = value.split_at_checked(6).ok_or(BearerError::Missing)?;
    let token = rest.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() || token.len() == rest.len() {
        return Err(BearerError::Missing);
    }
    let well_formed = token.len() <= TOKEN_BYTES_MAX && token.iter().all(u8::is_ascii_graphic);
    well_formed.then(|| Digest::of(token)).ok_or(BearerError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(values: &[&[u8]]) -> Result<Digest, BearerError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        digest_of(&headers)
    }

    #[test]
    fn one_bearer_credential_is_taken() {
        for value in ["Bearer a,b", "bEaReR   a,b"] {
            assert_eq!(read(&[value.as_bytes()]), Ok(Digest::of(b"a,b")));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("Bearer {}", "x".repeat(513));
        let cases: [(&[&[u8]], BearerError); 9] = [
            (&[], BearerError::Missing),
            (&[b""], BearerError::Missing),
            (&[b"Basic dTpw"], BearerError::Missing),
            (&[b"Bearer "], BearerError::Missing),
            (&[b"Bearerx"], BearerError::Missing),
            (&[b"Bearer a", b"Bearer a"], BearerError::Ambiguous),
            (&[b"Bearer a b"], BearerError::Malformed),
            (&[b"Bearer \xff"], BearerError::Malformed),
            (&[long.as_bytes()], BearerError::Malformed),
        ];
        for (values, error) in cases {
            assert_eq!(read(values), Err(error));
        }
    }
}
