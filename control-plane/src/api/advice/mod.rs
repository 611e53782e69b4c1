//! `/v1/advice`: which keys could do with less, each with the call that mends it.

pub mod list;

#[cfg(test)]
mod tests;

use portcullis_core::id::{KeyId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::keys::KindName;
use crate::domain::advice::{Advice, Mend, Reason};
use crate::domain::key::Key;
use crate::domain::timestamp::Timestamp;

/// Why there is advice on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonName {
    /// It was issued long ago, and has not been used for as long, or never.
    Unused,
    /// It ends soon.
    Expiring,
    /// It never ends.
    NeverExpires,
    /// It is confined to several APIs, and has called some of them only.
    UnusedScopes,
    /// It opens every API of its kind, and has called some of them only.
    Unscoped,
}

impl From<ReasonName> for Reason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::Unused => Self::Unused,
            ReasonName::Expiring => Self::Expiring,
            ReasonName::NeverExpires => Self::NeverExpires,
            ReasonName::UnusedScopes => Self::UnusedScopes,
            ReasonName::Unscoped => Self::Unscoped,
        }
    }
}

impl From<Reason> for ReasonName {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unused => Self::Unused,
            Reason::Expiring => Self::Expiring,
            Reason::NeverExpires => Self::NeverExpires,
            Reason::UnusedScopes => Self::UnusedScopes,
            Reason::Unscoped => Self::Unscoped,
        }
    }
}

/// A piece of advice on a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdviceItem {
    reason: ReasonName,
    key: AdvisedKey,
    /// The reason in a sentence about this key.
    #[schema(example = "It never ends.")]
    detail: String,
    mend: MendView,
}

/// A key, as far as advice speaks of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdvisedKey {
    #[schema(value_type = String, example = "key_0fq3s7m2k9x4b")]
    id: KeyId,
    #[schema(example = "batch jobs")]
    name: String,
    /// The first two characters of the secret and the last four of the key.
    #[schema(example = "pc_ded_Ab…wxyz")]
    masked: String,
    kind: KindName,
    /// Whose key it is.
    #[schema(value_type = String, example = "org_0fq3s7m2k9x4b")]
    organization: OrganizationId,
    /// The user who issued it.
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    created_by: UserId,
    /// What they are called.
    #[schema(example = "ada")]
    created_by_name: String,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    /// From this instant on it opens nothing; null if it never ends.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
}

/// The call after which there is no such advice any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct MendView {
    /// `DELETE` or `PATCH`.
    #[schema(example = "PATCH")]
    method: &'static str,
    #[schema(example = "/v1/keys/key_0fq3s7m2k9x4b")]
    path: String,
    /// What to send; null for nothing.
    #[schema(value_type = Option<Object>, required = true, example = json!({"expires_at": "2028-01-31T00:00:00Z"}))]
    body: Option<Value>,
}

impl AdviceItem {
    fn new(key: &Key, advice: Advice) -> Self {
        Self {
            reason: advice.reason.into(),
            key: AdvisedKey {
                id: key.id,
                name: key.name.to_string(),
                masked: key.masked.clone(),
                kind: key.kind.into(),
                organization: key.organization,
                created_by: key.created_by,
                created_by_name: key.creator.to_string(),
                last_used_at: key.last_used_at,
                expires_at: key.expires_at,
            },
            detail: advice.detail,
            mend: MendView::new(key.id, advice.mend),
        }
    }
}

impl MendView {
    fn new(key: KeyId, mend: Mend) -> Self {
        let (method, body) = match mend {
            Mend::Delete => ("DELETE", None),
            Mend::EndAt(end) => ("PATCH", Some(json!({"expires_at": end}))),
            Mend::Confine(apis) => ("PATCH", Some(json!({"apis": apis}))),
        };
        Self { method, path: format!("/v1/keys/{key}"), body }
    }
}
