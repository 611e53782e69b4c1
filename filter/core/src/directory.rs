//! Everything that a worker needs to judge a request: the APIs and the keys, at one revision.

use std::collections::HashSet;

use crate::api::{ApiError, ApiTable};
use crate::id::OrganizationId;
use crate::intern::Full;
use crate::table::KeyTable;
use crate::wire::Record;

/// The APIs and the keys.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The APIs, found by host and path.
    pub apis: ApiTable,
    /// The keys, found by digest.
    pub keys: KeyTable,
    /// The organizations that have used up their budgets: their keys open nothing.
    pub over_budget: HashSet<OrganizationId>,
}

/// What a worker has to judge requests by.
#[derive(Debug, Clone, Copy)]
pub enum Serving<'a> {
    /// Nothing yet.
    Nothing,
    /// A directory that may have been out of date for longer than its gateway allows.
    Stale,
    /// A directory to go by.
    Current(&'a Directory),
}

/// Why a record cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It describes no API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The table cannot number one more value.
    #[error(transparent)]
    Full(#[from] Full),
}

impl Directory {
    /// An empty directory laid out for this many keys.
    pub fn with_capacity(keys: usize) -> Self {
        Self { apis: ApiTable::default(), keys: KeyTable::with_capacity(keys), over_budget: HashSet::new() }
    }

    /// Whether this organization has used up its budget.
    pub fn is_over_budget(&self, organization: OrganizationId) -> bool {
        // Almost always there is none, and then nothing need be hashed.
        !self.over_budget.is_empty() && self.over_budget.contains(&organization)
    }

    /// Applies one record. Applying it again changes nothing.
    pub fn apply(&mut self, record: Record) -> Result<(), ApplyError> {
        match record {
            Record::DeleteKey(digest) => self.keys.delete(&digest),
            Record::DeleteApi(id) => self.apis.delete(id),
            Record::OverBudget(organization) => _ = self.over_budget.insert(organization),
            Record::WithinBudget(organization) => _ = self.over_budget.remove(&organization),
            Record::Api(api) => self.apis.put(api)?,
            Record::Key(key) => self.keys.put(&key)?,
        }
        Ok(())
    }
}
