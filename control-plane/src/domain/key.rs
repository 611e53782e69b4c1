//! API keys, as the control plane knows them: everything but the secret.

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::wire::KeyRecord;

use super::name::Name;
use super::timestamp::Timestamp;

/// The most APIs to which one key can be confined.
pub const SCOPES_MAX: usize = 100;

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which a reissue keeps.
    pub id: KeyId,
    /// Which kind of API it opens.
    pub kind: ApiKind,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// What its creator calls it.
    pub name: Name,
    /// The digest of its secret.
    pub digest: Digest,
    /// Its secret, masked.
    pub masked: String,
    /// Who issued it.
    pub created_by: UserId,
    /// When it was first issued.
    pub issued_at: Timestamp,
    /// The first instant at which it is no longer valid, if there is one.
    pub expires_at: Option<Timestamp>,
    /// The APIs to which it is confined; `None` opens every API of its kind and organization, and an empty list
    /// would open nothing.
    pub apis: Option<Vec<ApiId>>,
    /// Whether it is held to the rate limits of the dedicated APIs that it calls.
    pub rate_limit_enabled: bool,
    /// When it was last used, as far as is known.
    pub last_used_at: Option<Timestamp>,
    /// When it was deleted.
    pub revoked_at: Option<Timestamp>,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It does.
    Active,
    /// Its expiry has come.
    Expired,
    /// It was deleted, for good.
    Revoked,
}

impl Key {
    /// The key's status at `now`. Revoked counts more than expired.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }

    /// What workers know of it.
    pub fn record(&self) -> KeyRecord {
        KeyRecord {
            id: self.id,
            digest: self.digest,
            kind: self.kind,
            organization: self.organization,
            user: self.created_by,
            expires_at_ms: self.expires_at.map(Timestamp::unix_ms),
            apis: self.apis.clone(),
        }
    }

    /// What a search looks through. A name has no line break, so nothing matches across the two.
    pub fn search_text(&self) -> String {
        format!("{}\n{}", self.name, self.masked).to_lowercase()
    }
}
