//! API keys, as the control plane knows them: everything but the secret.

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
pub use portcullis_core::push::reach::Reach;
use portcullis_core::wire::KeyRecord;

use super::budget::Budget;
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
    /// The secret that it had before, while a planned rotation lets both work.
    pub former: Option<FormerSecret>,
    /// Who issued it.
    pub created_by: UserId,
    /// What they are called.
    pub creator: Name,
    /// When it was first issued.
    pub issued_at: Timestamp,
    /// The first instant at which it is no longer valid, if there is one.
    pub expires_at: Option<Timestamp>,
    /// The APIs to which it is confined; `None` opens every API of its kind and organization, and an empty list
    /// would open nothing.
    pub apis: Option<Vec<ApiId>>,
    /// Whether it is held to the rate limits of the dedicated APIs that it calls.
    pub rate_limit_enabled: bool,
    /// What may be used with it in a month, if that is limited.
    pub monthly_budget: Option<Budget>,
    /// When it was found to have used that up, if it has in this month.
    pub over_budget_since: Option<Timestamp>,
    /// When it was last used, as far as is known.
    pub last_used_at: Option<Timestamp>,
    /// When it was deleted.
    pub revoked_at: Option<Timestamp>,
}

/// A secret that goes on working for a while beside the one that took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSecret {
    /// Its digest.
    pub digest: Digest,
    /// The first instant at which it is no longer valid.
    pub ends_at: Timestamp,
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

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        Reach { kind: self.kind, organization: self.organization, apis: self.apis.clone() }
    }

    /// What workers know of its secret.
    pub fn record(&self) -> KeyRecord {
        self.record_of(self.digest, self.expires_at)
    }

    /// What workers know of the secret that it had before: the same key, which ends with the overlap.
    pub fn former_record(&self) -> Option<KeyRecord> {
        let former = self.former.as_ref()?;
        let ends_at = self.expires_at.map_or(former.ends_at, |end| end.min(former.ends_at));
        Some(self.record_of(former.digest, Some(ends_at)))
    }

    fn record_of(&self, digest: Digest, expires_at: Option<Timestamp>) -> KeyRecord {
        KeyRecord {
            id: self.id,
            digest,
            kind: self.kind,
            organization: self.organization,
            user: self.created_by,
            expires_at_ms: expires_at.map(Timestamp::unix_ms),
            apis: self.apis.clone(),
            rate_limited: self.rate_limit_enabled,
            over_budget: self.over_budget_since.is_some(),
        }
    }

    /// What a search looks through. A name has no line break, so nothing matches across the two.
    pub fn search_text(&self) -> String {
        format!("{}\n{}", self.name, self.masked).to_lowercase()
    }
}
