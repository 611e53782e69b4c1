//! Which provider signs people in, and by which of its claims they are known here.
//!
//! The settings come as texts, from flags and the environment, and are checked before anything is started. An error says
//! which variable is wrong and never what it holds: an address can have a password in it.

use std::ffi::OsString;
use std::fmt;

use openidconnect::IssuerUrl;
use openidconnect::url::{Host, Url};

use crate::domain::public_url::PublicUrl;

/// The variable with the client's secret. There is no such flag: every user of a machine can read a command line.
pub const CLIENT_SECRET: &str = "PORTCULLIS_OIDC_CLIENT_SECRET";
/// The claim that is no one's name unless the provider has verified it (OpenID Connect Core 1.0, section 5.1).
pub(super) const EMAIL: &str = "email";
/// The longest client id, secret or claim, in bytes.
const TEXT_BYTES_MAX: usize = 512;
/// The longest text of the button, in characters.
const LABEL_CHARACTERS_MAX: usize = 60;

/// What the command line and the environment say, unchecked.
#[derive(Debug, Default)]
pub struct Texts {
    /// `PORTCULLIS_OIDC_ISSUER`.
    pub issuer: Option<String>,
    /// `PORTCULLIS_OIDC_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `PORTCULLIS_OIDC_CLIENT_SECRET`.
    pub client_secret: Option<OsString>,
    /// `PORTCULLIS_OIDC_CLAIM`.
    pub claim: String,
    /// `PORTCULLIS_OIDC_LABEL`.
    pub label: String,
}

/// Settings that have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The provider, as it names itself (OpenID Connect Core 1.0, section 1.2, "Issuer Identifier").
    pub issuer: IssuerUrl,
    /// What the provider calls this deployment.
    pub client_id: String,
    /// How it knows that it is this deployment; none for a public client (RFC 6749, section 2.1).
    pub client_secret: Option<Secret>,
    /// Which claim of an ID token is a user's name here.
    pub claim: String,
    /// What the button says.
    pub label: String,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why the settings are no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// One of two that go together.
    #[error("PORTCULLIS_OIDC_ISSUER and PORTCULLIS_OIDC_CLIENT_ID: single sign-on needs both")]
    Incomplete,
    /// Nobody could come back from the provider.
    #[error("PORTCULLIS_PUBLIC_URL: single sign-on needs it, for the provider sends browsers back there")]
    PublicUrl,
    /// Not an address of a provider.
    #[error(
        "PORTCULLIS_OIDC_ISSUER: expected an address of the form https://accounts.example.com; http only for this machine"
    )]
    Issuer,
    /// Not a client's name.
    #[error("PORTCULLIS_OIDC_CLIENT_ID: expected 1 to {TEXT_BYTES_MAX} ASCII characters")]
    ClientId,
    /// Not a client's secret.
    #[error("{CLIENT_SECRET}: expected 1 to {TEXT_BYTES_MAX} ASCII characters")]
    ClientSecret,
    /// Not the name of a claim.
    #[error("PORTCULLIS_OIDC_CLAIM: expected the name of a claim, such as email or preferred_username")]
    Claim,
    /// Not a text for a button.
    #[error("PORTCULLIS_OIDC_LABEL: expected 1 to {LABEL_CHARACTERS_MAX} characters")]
    Label,
}

impl Settings {
    /// Checks what the command line and the environment say. `None`: nobody signs in this way.
    pub fn read(texts: Texts, public_url: Option<&PublicUrl>) -> Result<Option<Self>, SettingsError> {
        let (issuer, client_id) = match (texts.issuer, texts.client_id) {
            (Some(issuer), Some(client_id)) => (issuer, client_id),
            (None, None) if texts.client_secret.is_none() => return Ok(None),
            (Some(_), None) | (None, Some(_)) | (None, None) => return Err(SettingsError::Incomplete),
        };
        if public_url.is_none() {
            return Err(SettingsError::PublicUrl);
        }
        let client_secret = texts.client_secret.map(secret).transpose()?;
        let is_claim = is_text(&texts.claim) && !texts.claim.contains(' ');
        let characters = texts.label.trim().chars().count();
        let is_label = (1..=LABEL_CHARACTERS_MAX).contains(&characters) && !texts.label.chars().any(char::is_control);
        Ok(Some(Self {
            issuer: issuer_url(issuer).ok_or(SettingsError::Issuer)?,
            client_id: Some(client_id).filter(|id| is_text(id)).ok_or(SettingsError::ClientId)?,
            client_secret,
            claim: Some(texts.claim).filter(|_| is_claim).ok_or(SettingsError::Claim)?,
            label: Some(texts.label.trim().to_owned()).filter(|_| is_label).ok_or(SettingsError::Label)?,
        }))
    }
}

/// OpenID Connect Discovery 1.0, section 3: an issuer is a URL without query and fragment.
fn issuer_url(text: String) -> Option<IssuerUrl> {
    let issuer = IssuerUrl::new(text).ok()?;
    let url = issuer.url();
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    (is_protected(url) && is_plain && is_anonymous).then_some(issuer)
}

/// Whether nobody between here and there can read or change what is sent: by TLS, or because it stays on this machine.
pub(super) fn is_protected(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_loopback
}

/// What RFC 6749, appendix A, allows in a client's id and secret.
fn is_text(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

fn secret(text: OsString) -> Result<Secret, SettingsError> {
    let text = text.into_string().map_err(|_| SettingsError::ClientSecret)?;
    is_text(&text).then_some(Secret(text)).ok_or(SettingsError::ClientSecret)
}

#[cfg(test)]
mod tests;
