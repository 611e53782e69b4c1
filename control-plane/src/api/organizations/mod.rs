//! `/v1/organizations`: create, list, get, change, delete.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use portcullis_core::id::OrganizationId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::refusals::OneError;
use crate::domain::actor::Actor;
use crate::domain::budget::Budget;
use crate::domain::organization::Organization;
use crate::domain::timestamp::Timestamp;
use crate::storage::{StorageError, View};

/// Why an organization cannot be called so.
const TAKEN: &str = "There is an organization with this name already.";

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationView {
    #[schema(value_type = String, example = "org_0fq3s7m2k9x4b")]
    id: OrganizationId,
    #[schema(example = "acme")]
    name: String,
    /// What may be used with all its keys together in a calendar month (UTC); null if that is not limited.
    #[schema(required = true)]
    monthly_budget: Option<Budget>,
    /// Whether that is used up: then its keys open nothing until the month ends or the budget is raised.
    over_budget: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name.to_string(),
            monthly_budget: organization.monthly_budget,
            over_budget: organization.over_budget_since.is_some(),
            created_at: organization.created_at,
        }
    }
}

/// The organization that `reference` names, or why `actor` does not get to see it.
pub async fn named(view: &mut View<'_>, actor: Actor, reference: &str) -> Result<OrganizationId, OneError> {
    let found = view.organization_named(reference).await?.ok_or(OneError::Unknown("organization"))?;
    actor.sees_organization(found.id).map_err(|denied| OneError::Denied(denied, "organization"))?;
    Ok(found.id)
}

/// The organization that `reference` names, if `actor` may see it.
pub async fn seen_named(
    view: &mut View<'_>,
    actor: Actor,
    reference: &str,
) -> Result<Option<OrganizationId>, StorageError> {
    let found = view.organization_named(reference).await?.map(|organization| organization.id);
    Ok(found.filter(|organization| actor.sees_organization(*organization).is_ok()))
}
