//! Organizations: whose keys and dedicated APIs are kept apart.

use portcullis_core::id::OrganizationId;

use super::budget::Budget;
use super::name::Name;
use super::timestamp::Timestamp;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, which no other has.
    pub name: Name,
    /// What may be used with all its keys together in a month, if that is limited.
    pub monthly_budget: Option<Budget>,
    /// When they were found to have used that up, if they have in this month.
    pub over_budget_since: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}
