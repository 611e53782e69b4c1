//! The two steps of a sign-in: out to the provider, and back.

use std::io;
use std::sync::Arc;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _,
};

use super::claims::{Identity, identity};
use super::directory::{Directory, Metadata};
use super::error::{OidcError, TokenFault};
use super::http::Http;
use super::pending::Pending;
use super::settings::{Secret, Settings};
use super::verify::verify;
use crate::domain::environment::{Clock, Entropy};
use crate::domain::public_url::PublicUrl;

/// The path to which the provider sends browsers back. It has to be registered there, after the console's address.
pub const CALLBACK: &str = "/sign-in/oidc/callback";

/// A client that knows where to send browsers, and perhaps where to exchange codes.
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The provider that signs people in. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    redirect: RedirectUrl,
    http: Http,
    directory: Directory,
    clock: Clock,
    entropy: Entropy,
}

/// A sign-in that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser is to go.
    pub url: String,
    /// What it is to bring back, ten minutes later at most.
    pub pending: Pending,
}

impl Provider {
    /// Knows nothing of the provider yet but its address. Fails if that is reached by TLS and the operating system has no
    /// certificates by which to trust it.
    pub fn new(settings: Settings, public_url: &PublicUrl, clock: Clock, entropy: Entropy) -> io::Result<Self> {
        let http = Http::new(settings.issuer.url())?;
        let redirect = RedirectUrl::new(format!("{}{CALLBACK}", public_url.origin())).map_err(io::Error::other)?;
        let directory = Directory::new(settings.issuer.clone(), http.clone(), clock.clone());
        Ok(Self(Arc::new(Inner { settings, redirect, http, directory, clock, entropy })))
    }

    /// What the button says.
    pub fn label(&self) -> &str {
        &self.0.settings.label
    }

    /// Begins: the request of OpenID Connect Core 1.0, section 3.1.2.1, with the challenge of RFC 7636, section 4.3.
    pub async fn begin(&self) -> Result<Begun, OidcError> {
        let metadata = self.0.directory.get().await?;
        let pending = Pending::draw(&self.0.entropy)?;
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pending.verifier().to_owned()));
        let state = CsrfToken::new(pending.state().to_owned());
        let nonce = Nonce::new(pending.nonce().to_owned());
        let client = self.0.client(&metadata);
        let request = client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce);
        let scopes = ["email", "profile"].map(|scope| Scope::new(scope.to_owned()));
        let (url, _, _) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Ok(Begun { url: url.into(), pending })
    }

    /// Finishes, with the query that the browser brought back. Each `pending` is for one answer: forget it either way.
    pub async fn finish(&self, pending: Pending, query: &[(String, String)]) -> Result<Identity, OidcError> {
        let state = single(query, "state")?.ok_or(OidcError::State)?;
        if !pending.is_answered_by(state) {
            return Err(OidcError::State);
        }
        let metadata = self.0.directory.get().await?;
        check_issuer(&metadata, single(query, "iss")?)?;
        if let Some(error) = single(query, "error")? {
            tracing::info!(error = code_for_log(error), "the OpenID Connect provider has signed nobody in");
            return Err(OidcError::Declined);
        }
        let code = single(query, "code")?.ok_or(OidcError::Unusable)?;
        let token = self.0.exchange(&metadata, code, &pending).await?;
        match self.0.verify(&token, &metadata, &pending) {
            Err(OidcError::Token(TokenFault::Signature)) => {
                let renewed = self.0.directory.renewed(&metadata).await?;
                self.0.verify(&token, &renewed, &pending)?;
            }
            verified => verified?,
        }
        identity(&token, &self.0.settings.claim)
    }
}

impl Inner {
    fn client(&self, metadata: &Metadata) -> Client {
        let settings = &self.settings;
        let secret = settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.reveal().to_owned()));
        CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(settings.client_id.clone()), secret)
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(auth_type(metadata, settings.client_secret.as_ref()))
    }

    /// OpenID Connect Core 1.0, section 3.1.3: the code for an ID token. The access token beside it is not used.
    async fn exchange(&self, metadata: &Metadata, code: &str, pending: &Pending) -> Result<CoreIdToken, OidcError> {
        let client = self.client(metadata);
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(|_| OidcError::Unusable)?;
        let verifier = PkceCodeVerifier::new(pending.verifier().to_owned());
        let answer = request.set_pkce_verifier(verifier).request_async(&self.http).await;
        let answer = answer.map_err(|error| match error {
            RequestTokenError::Request(cause) => {
                tracing::warn!(%cause, "the OpenID Connect provider cannot be reached");
                OidcError::Away
            }
            RequestTokenError::ServerResponse(refusal) => {
                let error = refusal.error();
                tracing::warn!(error = code_for_log(error.as_ref()), "the OpenID Connect provider takes no code");
                if *error == CoreErrorResponseType::InvalidGrant { OidcError::Code } else { OidcError::Client }
            }
            // The text of either could hold a part of a token.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                tracing::warn!("the OpenID Connect provider answers an exchange with something else than tokens");
                OidcError::Unusable
            }
        })?;
        answer.id_token().cloned().ok_or(OidcError::Unusable)
    }

    fn verify(&self, token: &CoreIdToken, metadata: &Metadata, pending: &Pending) -> Result<(), OidcError> {
        verify(token, metadata, &self.settings.client_id, pending.nonce(), &self.clock)
    }
}

/// How the client says who it is (OpenID Connect Core 1.0, section 9): in the header, unless the provider reads only bodies.
fn auth_type(metadata: &Metadata, secret: Option<&Secret>) -> AuthType {
    let supported = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| supported.is_none_or(|methods| methods.contains(&method));
    let takes_header = takes(CoreClientAuthMethod::ClientSecretBasic);
    let takes_body = takes(CoreClientAuthMethod::ClientSecretPost);
    if secret.is_none() || takes_body && !takes_header { AuthType::RequestBody } else { AuthType::BasicAuth }
}

/// RFC 9207, section 2.4: the issuer of an answer is the one that was asked, and is named if the provider always does so.
fn check_issuer(metadata: &Metadata, named: Option<&str>) -> Result<(), OidcError> {
    let is_right = match named {
        Some(issuer) => issuer == metadata.issuer().as_str(),
        None => !metadata.additional_metadata().authorization_response_iss_parameter_supported,
    };
    is_right.then_some(()).ok_or(OidcError::Issuer)
}

/// RFC 6749, section 3.1: a parameter comes once at most. Which of two counts would be a guess.
fn single<'q>(query: &'q [(String, String)], name: &str) -> Result<Option<&'q str>, OidcError> {
    let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() { Err(OidcError::State) } else { Ok(first) }
}

/// A code of RFC 6749, section 4.1.2.1, if it looks like one: whoever writes the address could write anything.
fn code_for_log(code: &str) -> &str {
    let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { code } else { "another" }
}
