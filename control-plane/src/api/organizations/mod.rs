//! `/v1/organizations`: create, list, get.

pub mod create;
pub mod get;
pub mod list;

use portcullis_core::id::OrganizationId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::organization::Organization;
use crate::domain::timestamp::Timestamp;

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationView {
    #[schema(value_type = String, example = "org_0fq3s7m2k9x4b")]
    id: OrganizationId,
    #[schema(example = "acme")]
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        Self { id: organization.id, name: organization.name.to_string(), created_at: organization.created_at }
    }
}
