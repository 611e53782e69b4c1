//! What the provider says of itself (OpenID Connect Discovery 1.0): where to send browsers, where codes are exchanged, and
//! the keys with which it signs.
//!
//! It is read when it is needed first, so the control plane starts without the provider, and again when it is an hour old
//! or when a token is signed with a key that is not in it: providers change their keys. One request at a time reads it and
//! the others wait for that, each no longer than an HTTP request may take, so that a provider that hangs makes no queue.
//! A reading that fails is not kept, and neither is what was there before used on: keys may have been withdrawn.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, IssuerUrl, ProviderMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::error::OidcError;
use super::http::{Http, HttpError, TIME};
use super::settings::is_protected;
use crate::domain::environment::Clock;
use crate::domain::timestamp::Timestamp;

/// For how long it is good.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// The members of RFC 9207, section 3.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rfc9207 {
    /// Whether each answer names its issuer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Rfc9207 {}

/// What a provider says of itself, with its keys.
pub type Metadata = ProviderMetadata<
    Rfc9207,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What was read last, and when.
#[derive(Debug, Clone)]
struct Entry {
    metadata: Arc<Metadata>,
    read_at: Timestamp,
}

impl Entry {
    /// Whether it can be used. A clock that was set back says nothing about its age.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.read_at <= now && now < self.read_at.after(AGE_MAX)
    }
}

/// Where it is kept.
#[derive(Debug)]
pub struct Directory {
    issuer: IssuerUrl,
    http: Http,
    clock: Clock,
    last: Mutex<Option<Entry>>,
}

impl Directory {
    /// Knows nothing yet.
    pub fn new(issuer: IssuerUrl, http: Http, clock: Clock) -> Self {
        Self { issuer, http, clock, last: Mutex::new(None) }
    }

    /// What the provider says of itself.
    pub async fn get(&self) -> Result<Arc<Metadata>, OidcError> {
        self.other_than(None).await
    }

    /// What it says now, where `old` turned out not to do.
    pub async fn renewed(&self, old: &Arc<Metadata>) -> Result<Arc<Metadata>, OidcError> {
        self.other_than(Some(old)).await
    }

    async fn other_than(&self, old: Option<&Arc<Metadata>>) -> Result<Arc<Metadata>, OidcError> {
        let reading = async {
            let mut last = self.last.lock().await;
            let now = self.clock.now();
            let usable = last.as_ref().filter(|entry| entry.is_fresh(now));
            let usable = usable.filter(|entry| old.is_none_or(|old| !Arc::ptr_eq(old, &entry.metadata)));
            if let Some(entry) = usable {
                return Ok(Arc::clone(&entry.metadata));
            }
            *last = None;
            let metadata = Arc::new(self.read().await?);
            *last = Some(Entry { metadata: Arc::clone(&metadata), read_at: now });
            Ok(metadata)
        };
        tokio::time::timeout(TIME, reading).await.unwrap_or_else(|_| {
            tracing::warn!("the OpenID Connect provider takes too long to say what it is");
            Err(OidcError::Away)
        })
    }

    async fn read(&self) -> Result<Metadata, OidcError> {
        let metadata =
            Metadata::discover_async(self.issuer.clone(), &self.http).await.map_err(|error| refused(&error))?;
        let is_usable = is_protected(metadata.authorization_endpoint().url())
            && metadata.token_endpoint().is_some_and(|token| is_protected(token.url()));
        if !is_usable {
            tracing::warn!("the OpenID Connect provider names no endpoints that are reached by TLS");
            return Err(OidcError::Unusable);
        }
        Ok(metadata)
    }
}

/// What went wrong, for the log and for a person.
fn refused(error: &DiscoveryError<HttpError>) -> OidcError {
    match error {
        DiscoveryError::Request(cause) => {
            tracing::warn!(%cause, "the OpenID Connect provider cannot be reached");
            OidcError::Away
        }
        DiscoveryError::Response(status, _, _) => {
            tracing::warn!(status = status.as_u16(), "the OpenID Connect provider does not say what it is");
            if status.is_server_error() { OidcError::Away } else { OidcError::Unusable }
        }
        DiscoveryError::Other(_)
        | DiscoveryError::Parse(_)
        | DiscoveryError::UrlParse(_)
        | DiscoveryError::Validation(_)
        // The crate may add more, and none of them will be an answer that can be used.
        | _ => {
            tracing::warn!(cause = %error, "the OpenID Connect provider does not say what it is");
            OidcError::Unusable
        }
    }
}
