//! What a worker knows of a key and of an API, and how it learns of changes.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{ApiId, KeyId, OrganizationId, UserId};
use crate::key::ApiKind;
use crate::limit::Policy;
use crate::wire::is_default;

/// One line between a page's header and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// No key has this digest any more.
    DeleteKey(Digest),
    /// This API is no more.
    DeleteApi(ApiId),
    /// The keys of this organization open nothing, because it has used up its budget.
    OverBudget(OrganizationId),
    /// They open again what they did.
    WithinBudget(OrganizationId),
    /// This API is new or has changed.
    Api(ApiRecord),
    /// The key with this digest is new or has changed.
    Key(KeyRecord),
}

/// All that a worker knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The key's id, which a reissue keeps.
    pub id: KeyId,
    /// The digest of its secret.
    pub digest: Digest,
    /// Which kind of API it opens.
    pub kind: ApiKind,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// Who issued it.
    pub user: UserId,
    /// The first millisecond since the Unix epoch at which it is no longer valid; absent if it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// The APIs to which it is confined; absent if it opens every API of its kind and organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<ApiId>>,
    /// Whether a dedicated key is held to the policies of the APIs that it calls. A serverless key always is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_limited: bool,
    /// Whether it opens nothing, because it has used up its budget.
    #[serde(default, skip_serializing_if = "is_default")]
    pub over_budget: bool,
}

/// All that a worker knows of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// The API's id.
    pub id: ApiId,
    /// Which keys open it.
    pub kind: ApiKind,
    /// The owner of a dedicated API; absent for a serverless one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The hosts for which it answers, lower case and without port; empty for every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The path prefix under which it answers, see [`crate::path::Prefix`].
    pub path_prefix: String,
    /// Whether the upstream is shown the caller's `Authorization` header.
    #[serde(default)]
    pub forward_credential: bool,
    /// What it holds its callers to; absent if to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Policy>,
    /// Which of its prices holds now: what is used is reported with it.
    #[serde(default = "price_version_first", skip_serializing_if = "is_first")]
    pub price_version: u32,
    /// Whether the tokens of responses are counted, so that the upstream is asked for what can be read.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub count_tokens: bool,
}

/// The version of an API's first price.
pub const PRICE_VERSION_FIRST: u32 = 1;

const fn price_version_first() -> u32 {
    PRICE_VERSION_FIRST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first(version: &u32) -> bool {
    *version == PRICE_VERSION_FIRST
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}
