//! What a browser keeps while its person is at the provider: the state, the nonce and the PKCE verifier.
//!
//! Each is 256 random bits in base64url, 43 characters, which is the least that RFC 7636, section 4.1, allows for a verifier.
//! Together they are one cookie value, separated by dots. A value of another form is none: whoever has an old or a
//! garbled one begins again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::error::OidcError;
use crate::domain::environment::Entropy;

/// How many random bytes each part is made of.
const RANDOM_BYTES: usize = 32;

/// A sign-in that has begun. Whoever knows it can finish the sign-in, so it is a secret of the browser that began.
#[derive(Clone, PartialEq, Eq)]
pub struct Pending {
    state: String,
    nonce: String,
    verifier: String,
}

impl Pending {
    /// Draws a new one.
    pub(super) fn draw(entropy: &Entropy) -> Result<Self, OidcError> {
        let part = || {
            let random = entropy.bytes::<RANDOM_BYTES>().map_err(|_| OidcError::Entropy)?;
            Ok(URL_SAFE_NO_PAD.encode(random))
        };
        Ok(Self { state: part()?, nonce: part()?, verifier: part()? })
    }

    /// As the value of a cookie: letters, digits, `-`, `_` and `.`.
    pub fn to_cookie(&self) -> String {
        format!("{}.{}.{}", self.state, self.nonce, self.verifier)
    }

    /// Reads what [`Self::to_cookie`] wrote.
    pub fn from_cookie(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let mut part = || parts.next().filter(|part| is_random(part)).map(str::to_owned);
        let pending = Self { state: part()?, nonce: part()?, verifier: part()? };
        parts.next().is_none().then_some(pending)
    }

    /// What the provider sends back with the browser.
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// What the ID token names.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What the code is exchanged with.
    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Whether an answer with this state is to this sign-in. It takes the same time however much of it is right.
    pub(super) fn is_answered_by(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }
}

fn is_random(part: &str) -> bool {
    URL_SAFE_NO_PAD.decode(part).is_ok_and(|bytes| bytes.len() == RANDOM_BYTES)
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_survives_a_cookie() {
        let pending = Pending::draw(&Entropy::system()).unwrap();
        let cookie = pending.to_cookie();
        assert_eq!(Pending::from_cookie(&cookie).unwrap(), pending);
        assert!(cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
        assert_eq!(format!("{pending:?}"), "Pending");
        let parts = [pending.state(), pending.nonce(), pending.verifier()];
        assert!(parts[0] != parts[1] && parts[1] != parts[2]);
    }

    #[test]
    fn a_garbled_cookie_is_none() {
        let cookie = Pending::draw(&Entropy::system()).unwrap().to_cookie();
        let part = "A".repeat(43);
        for value in [
            "",
            "..",
            &part,
            &cookie[1..],
            &format!("{cookie}.{part}"),
            &format!("{part}.{part}.{}", "A".repeat(44)),
            &format!("{part}.{part}.{}", "+".repeat(43)),
        ] {
            assert_eq!(Pending::from_cookie(value), None, "{value:?}");
        }
    }
}
