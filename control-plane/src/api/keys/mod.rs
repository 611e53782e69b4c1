//! `/v1/keys`: issue, list, get, change, delete, reissue.

mod cursor;
pub mod delete;
pub mod get;
pub mod issue;
pub mod list;
pub mod patch;
pub mod reissue;
mod scopes;

use axum::response::Response;
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::{ApiKind, PlainKey};
use portcullis_core::table::EXPIRY_SECONDS_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::extract::Field;
use crate::api::propagation::{PropagationView, Written};
use crate::api::refusals::OneError;
use crate::api::{created, reveal};
use crate::domain::actor::Actor;
use crate::domain::budget::Budget;
use crate::domain::key::{Key, KeyStatus};
use crate::domain::timestamp::{Timestamp, TimestampError};
use crate::storage::View;

/// The two kinds of API, and of the keys that open them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    /// Shared by all organizations. `sls` for short.
    #[serde(alias = "sls")]
    Serverless,
    /// Owned by one organization. `ded` for short.
    #[serde(alias = "ded")]
    Dedicated,
}

impl From<KindName> for ApiKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Serverless => Self::Serverless,
            KindName::Dedicated => Self::Dedicated,
        }
    }
}

impl From<ApiKind> for KindName {
    fn from(kind: ApiKind) -> Self {
        match kind {
            ApiKind::Serverless => Self::Serverless,
            ApiKind::Dedicated => Self::Dedicated,
        }
    }
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusName {
    /// It does.
    Active,
    /// Its expiry has come.
    Expired,
    /// It was deleted, for good.
    Revoked,
}

impl From<KeyStatus> for StatusName {
    fn from(status: KeyStatus) -> Self {
        match status {
            KeyStatus::Active => Self::Active,
            KeyStatus::Expired => Self::Expired,
            KeyStatus::Revoked => Self::Revoked,
        }
    }
}

impl From<StatusName> for KeyStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Expired => Self::Expired,
            StatusName::Revoked => Self::Revoked,
        }
    }
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    #[schema(value_type = String, example = "key_0fq3s7m2k9x4b")]
    id: KeyId,
    /// The first two characters of the secret and the last four of the key.
    #[schema(example = "pc_ded_Ab…wxyz")]
    masked: String,
    kind: KindName,
    #[schema(value_type = String, example = "batch jobs")]
    name: String,
    /// Whose key it is.
    #[schema(value_type = String, example = "org_0fq3s7m2k9x4b")]
    organization: OrganizationId,
    /// The user who issued it.
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    created_by: UserId,
    /// What they are called.
    #[schema(example = "ada")]
    created_by_name: String,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    /// From this instant on it opens nothing; null if it never ends.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
    /// The ids of the APIs to which it is confined; null if it opens all of its kind and organization.
    #[schema(value_type = Option<Vec<String>>, required = true)]
    apis: Option<Vec<ApiId>>,
    /// Whether it is held to the rate limits of the dedicated APIs that it calls.
    rate_limit_enabled: bool,
    /// What may be used with it in a calendar month (UTC); null if that is not limited.
    #[schema(required = true)]
    monthly_budget: Option<Budget>,
    /// Whether that is used up: then it opens nothing until the month ends or the budget is raised.
    over_budget: bool,
    status: StatusName,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    /// Until then the secret that it had before its last reissue works as well; null if only one works.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    overlap_ends_at: Option<Timestamp>,
}

impl KeyView {
    /// The key as it is at `now`.
    pub fn new(key: Key, now: Timestamp) -> Self {
        Self {
            id: key.id,
            status: key.status(now).into(),
            overlap_ends_at: key.former.as_ref().map(|former| former.ends_at).filter(|end| *end > now),
            masked: key.masked,
            kind: key.kind.into(),
            name: key.name.to_string(),
            organization: key.organization,
            created_by: key.created_by,
            created_by_name: key.creator.to_string(),
            issued_at: key.issued_at,
            expires_at: key.expires_at,
            apis: key.apis,
            rate_limit_enabled: key.rate_limit_enabled,
            monthly_budget: key.monthly_budget,
            over_budget: key.over_budget_since.is_some(),
            last_used_at: key.last_used_at,
        }
    }
}

/// A key with its secret: the only answer that ever holds one.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedKey {
    /// The secret. It is shown here and never again.
    #[serde(serialize_with = "reveal")]
    #[schema(value_type = String, example = "pc_ded_Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwxyz12")]
    key: PlainKey,
    #[serde(flatten)]
    view: KeyView,
}

/// 201, with the secret, and with the place where the key is found from now on.
fn issued(key: PlainKey, view: KeyView, propagation: Option<PropagationView>) -> Response {
    created(format!("/v1/keys/{}", view.id), Written::new(IssuedKey { key, view }, propagation))
}

/// Why a text is no expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum ExpiryError {
    /// Not an instant.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// Later than filters can tell from never.
    #[error("the expiry must lie before 2106-02-07; leave it out for a key that never ends")]
    TooLate,
}

/// Reads an expiry, cutting off fractions: keys end at whole seconds, here as in the filters.
fn parse_expiry(text: &str) -> Result<Timestamp, ExpiryError> {
    let seconds = Timestamp::parse(text)?.unix_ms() / 1_000;
    if seconds > u64::from(EXPIRY_SECONDS_MAX) {
        return Err(ExpiryError::TooLate);
    }
    Ok(Timestamp::from_unix_ms(seconds * 1_000))
}

/// What is wrong with an expiry that has come already.
const EXPIRY_PAST: &str = "the expiry must lie in the future";
/// What is wrong with rate limiting on a serverless key.
const RATE_LIMIT_KIND: &str = "only a dedicated key has this option: the limit of a serverless API holds for every key";
/// Why nothing can be done with a revoked key.
const REVOKED: &str = "This key is revoked, for good. Issue a new one.";

/// Whether `actor` may say this of a key's budget: a member says nothing of it.
fn budget_allowed(budget: &Field<Budget>, actor: Actor) -> Result<(), OneError> {
    match budget {
        Field::Absent => Ok(()),
        Field::Null | Field::Value(_) => actor.administers().map_err(|denied| OneError::Denied(denied, "key")),
    }
}

/// The key with this id, if `actor` may see and change it.
pub async fn handled(view: &mut View<'_>, id: KeyId, actor: Actor) -> Result<Key, OneError> {
    let key = view.key(id).await?.ok_or(OneError::Unknown("key"))?;
    actor.handles_key(&key).map_err(|denied| OneError::Denied(denied, "key"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_whole_second_that_filters_can_hold() {
        let expiry = |text| parse_expiry(text).map(|expiry| expiry.to_string());
        assert_eq!(expiry("2030-01-01T01:00:00.999+01:00"), Ok("2030-01-01T00:00:00Z".to_owned()));
        assert_eq!(expiry("2106-02-07T06:28:14Z"), Ok("2106-02-07T06:28:14Z".to_owned()));
        assert_eq!(expiry("2106-02-07T06:28:15Z"), Err(ExpiryError::TooLate));
        assert_eq!(expiry("tomorrow"), Err(ExpiryError::Timestamp(TimestampError)));
    }
}
