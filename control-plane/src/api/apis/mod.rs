//! `/v1/apis`: create, list, get, change, delete.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use portcullis_core::api::Access;
use portcullis_core::id::{ApiId, OrganizationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::KindName;
use crate::domain::api::{Api, Price, Route};
use crate::domain::rate_limit::RateLimit;
use crate::domain::timestamp::Timestamp;

/// Where an API answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Host names without port; every host if this is null or left out.
    #[schema(min_items = 1, max_items = 50, example = json!(["models.example.com"]))]
    hosts: Option<Vec<String>>,
    /// Whole path segments: `/v1` covers `/v1` and `/v1/models`, not `/v10`.
    #[schema(max_length = 1024, pattern = r"^/[^?#;\\]*$", example = "/v1")]
    path_prefix: String,
}

impl From<Route> for Match {
    fn from(route: Route) -> Self {
        Self {
            path_prefix: route.path_prefix.as_str().to_owned(),
            hosts: Some(route.hosts).filter(|hosts| !hosts.is_empty()),
        }
    }
}

/// An API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiView {
    #[schema(value_type = String, example = "api_0fq3s7m2k9x4b")]
    id: ApiId,
    #[schema(example = "echo")]
    name: String,
    kind: KindName,
    /// The owner of a dedicated API; null for a serverless one.
    #[schema(value_type = Option<String>, required = true)]
    organization: Option<OrganizationId>,
    #[serde(rename = "match")]
    route: Match,
    #[schema(required = true)]
    rate_limit: Option<RateLimit>,
    #[schema(required = true)]
    price: Option<Price>,
    /// Whether the tokens of its responses are counted. Its upstream is asked not to compress them then.
    count_tokens: bool,
    /// Whether its upstream is shown the caller's `Authorization` header.
    forward_credential: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Api> for ApiView {
    fn from(api: Api) -> Self {
        Self {
            id: api.id,
            name: api.name.to_string(),
            kind: api.access.kind().into(),
            organization: match api.access {
                Access::Serverless => None,
                Access::Dedicated(owner) => Some(owner),
            },
            route: api.route.into(),
            rate_limit: api.rate_limit,
            price: api.price,
            count_tokens: api.count_tokens,
            forward_credential: api.forward_credential,
            created_at: api.created_at,
        }
    }
}
