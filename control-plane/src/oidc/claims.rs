//! Whose name an ID token says. The token has been verified before.
//!
//! The name must be a name as it stands. One that would have to be trimmed, or that is no text, is refused and not mended:
//! it could become somebody else's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::CoreIdToken;
use serde_json::{Map, Value};

use super::error::OidcError;
use super::settings::EMAIL;
use crate::domain::name::Name;

/// Who has signed in, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the user is called here, if there is one.
    pub name: Name,
    /// What the provider calls them, for good (OpenID Connect Core 1.0, section 2, `sub`).
    pub subject: String,
}

/// Reads it from a verified token, where `claim` is the name.
pub fn identity(token: &CoreIdToken, claim: &str) -> Result<Identity, OidcError> {
    let claims = payload(token).ok_or(OidcError::Unusable)?;
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let subject = text("sub").ok_or(OidcError::Unusable)?.to_owned();
    let value = text(claim).ok_or(OidcError::Claim)?;
    let name = Name::parse(value).map_err(|_| OidcError::Claim)?;
    if name.as_str() != value {
        return Err(OidcError::Claim);
    }
    // Section 5.7: an address that is not verified may be anybody's, for many providers let people enter what they like.
    if claim == EMAIL && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(OidcError::EmailUnverified);
    }
    Ok(Identity { name, subject })
}

/// The claims as they were signed (RFC 7515, section 7.1): the crate keeps only those that it knows.
fn payload(token: &CoreIdToken) -> Option<Map<String, Value>> {
    let token = token.to_string();
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}
