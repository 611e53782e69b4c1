//! Whether an ID token is the provider's, for us, and for this sign-in (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! The crate does the work; here it is told what to accept. Signatures are by public keys only: with a shared secret
//! whoever has the client's secret could write tokens. Tokens for several audiences are refused, because each of them could
//! use the token here in its person's name.

use std::time::{Duration, UNIX_EPOCH};

use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm};
use openidconnect::{ClaimsVerificationError, ClientId, Nonce};

use super::directory::Metadata;
use super::error::{OidcError, TokenFault};
use crate::domain::environment::Clock;

/// Verifies a token; says nothing of what is claimed in it.
pub fn verify(
    token: &CoreIdToken,
    metadata: &Metadata,
    client_id: &str,
    nonce: &str,
    clock: &Clock,
) -> Result<(), OidcError> {
    let client_id = ClientId::new(client_id.to_owned());
    let now = UNIX_EPOCH + Duration::from_millis(clock.now().unix_ms());
    let verifier =
        CoreIdTokenVerifier::new_public_client(client_id.clone(), metadata.issuer().clone(), metadata.jwks().clone());
    let verifier = verifier.set_allowed_algs(algorithms(metadata)).set_time_fn(move || now.into());
    let claims = token.claims(&verifier, &Nonce::new(nonce.to_owned())).map_err(|error| {
        let fault = fault(&error);
        tracing::warn!(%fault, "an ID token was refused");
        OidcError::Token(fault)
    })?;
    if claims.authorized_party().is_some_and(|party| *party != client_id) {
        return Err(OidcError::Token(TokenFault::Audience));
    }
    Ok(())
}

/// Those by which the provider signs, as far as they are by a public key.
fn algorithms(metadata: &Metadata) -> impl Iterator<Item = CoreJwsSigningAlgorithm> {
    let named = metadata.id_token_signing_alg_values_supported().iter().cloned();
    named.filter(|algorithm| match algorithm {
        CoreJwsSigningAlgorithm::HmacSha256
        | CoreJwsSigningAlgorithm::HmacSha384
        | CoreJwsSigningAlgorithm::HmacSha512
        | CoreJwsSigningAlgorithm::None => false,
        // Closed by a wildcard because the crate may add more: all others are by a public key.
        _ => true,
    })
}

fn fault(error: &ClaimsVerificationError) -> TokenFault {
    match error {
        ClaimsVerificationError::SignatureVerification(_) => TokenFault::Signature,
        ClaimsVerificationError::InvalidIssuer(_) => TokenFault::Issuer,
        ClaimsVerificationError::InvalidAudience(_) => TokenFault::Audience,
        ClaimsVerificationError::Expired(_) => TokenFault::Expired,
        ClaimsVerificationError::InvalidNonce(_) => TokenFault::Nonce,
        // Closed by a wildcard because the crate may add more: none of them is a token that could be used.
        _ => TokenFault::Kind,
    }
}
