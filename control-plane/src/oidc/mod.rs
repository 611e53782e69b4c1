//! Signing in with an OpenID Connect provider: it says who somebody is, and here that person is a user already.
//!
//! It is the authorization code flow of OpenID Connect Core 1.0, section 3.1, with PKCE (RFC 7636):
//!
//! 1. [`Provider::begin`] draws a state, a nonce and a verifier, and makes the address to which the browser is sent. The
//!    three go with the browser, as a [`Pending`] in a cookie that scripts cannot read; nothing is kept here.
//! 2. The provider has the person sign in and sends the browser back, with a code.
//! 3. [`Provider::finish`] checks that the answer belongs to the browser (state) and to the provider (issuer, RFC 9207),
//!    exchanges the code, with the verifier, for an ID token, and verifies that: signature, issuer, audience, expiry, nonce.
//! 4. One claim of the token is the user's name here. What that user may do is not the provider's to say.
//!
//! | file | what it is |
//! |---|---|
//! | `settings` | which provider, and which claim |
//! | `pending` | what the browser keeps between the steps |
//! | `provider` | the steps |
//! | `directory` | what the provider says of itself: its addresses and keys |
//! | `verify`, `claims` | whether an ID token is one for us, and whose name it says |
//! | `http` | requests to the provider, bounded in time and size |
//!
//! It fails closed, with an [`OidcError`] for each cause: its text is for the person at the browser, and holds nothing that
//! came from the provider. What an operator needs to know besides goes to the log. A provider that is away keeps nobody from
//! starting the control plane, or from signing in with a password.

mod claims;
mod directory;
mod error;
mod http;
mod pending;
mod provider;
mod settings;
#[cfg(test)]
mod tests;
mod verify;

pub use claims::Identity;
pub use error::{OidcError, TokenFault};
pub use pending::Pending;
pub use provider::{Begun, CALLBACK, Provider};
pub use settings::{CLIENT_SECRET, Secret, Settings, SettingsError, Texts};
