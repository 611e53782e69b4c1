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

/// Every algorithm of RFC 7518, section 3.1, and RFC 8037 by which only the provider can sign.
const BY_PUBLIC_KEY: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

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
    named.filter(|algorithm| BY_PUBLIC_KEY.contains(algorithm))
}

fn fault(error: &ClaimsVerificationError) -> TokenFault {
    match error {
        ClaimsVerificationError::SignatureVerification(_) => TokenFault::Signature,
        ClaimsVerificationError::InvalidIssuer(_) => TokenFault::Issuer,
        ClaimsVerificationError::InvalidAudience(_) => TokenFault::Audience,
        ClaimsVerificationError::Expired(_) => TokenFault::Expired,
        ClaimsVerificationError::InvalidNonce(_) => TokenFault::Nonce,
        ClaimsVerificationError::InvalidAuthContext(_)
        | ClaimsVerificationError::InvalidAuthTime(_)
        | ClaimsVerificationError::InvalidSubject(_)
        | ClaimsVerificationError::Other(_)
        | ClaimsVerificationError::Unsupported(_)
        // The crate may add more, and none of them will be a token that can be used.
        | _ => TokenFault::Kind,
    }
}
