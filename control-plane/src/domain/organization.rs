//! Organizations: whose keys and dedicated APIs are kept apart.

use portcullis_core::id::OrganizationId;

use super::name::Name;
use super::timestamp::Timestamp;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, which no other has.
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
}
