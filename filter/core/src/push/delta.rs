//! Deltas: what changed after a revision, as it stands now.
//!
//! The change log says which keys and APIs a revision touched. Whoever reads it hands each logged change, in the
//! order of the log, to a [`Gathering`], with what has become of its subject. Of a subject that changed often one
//! record is kept, so a delta grows with what changed and not with how often.
//!
//! - A page ends between revisions, never inside one: a worker at a revision has all of it. What it says of a subject
//!   may be newer than the page's `to`, never older, and whatever is newer is logged after `to` and told again.
//! - A page holds as much as it can: the further a worker is behind, the more changes of one subject come to one record.
//!   A worker reads a page by and by, and applies the five thousand records of a full one in a millisecond. A revision
//!   that fits into no page needs a snapshot.
//! - Deletions and budgets that are used up come first, so that a page that breaks off errs towards refusing.
//! - A gateway that serves some APIs only is told of the keys that open one of them. Of a key that does so no more it is
//!   told that it is gone, if any change after `from` says that it did before: the first is not enough, because a worker
//!   at `from` may hold something newer. Of all other keys it is told nothing. A gateway that serves everything is told
//!   of every deletion, because changes that an older version logged do not say what was before.

use std::collections::HashSet;
use std::sync::Arc;

use super::reach::{Reach, Scope};
use crate::digest::{DIGEST_BYTES, Digest};
use crate::id::{ApiId, OrganizationId};
use crate::wire::{ApiRecord, Body, KeyRecord, PAGE_BYTES_MAX, Record, Revision};

/// How many bytes records may take: a page, without its first and last line.
const RECORDS_BYTES_MAX: usize = PAGE_BYTES_MAX - 1024;

/// What a worker is missing.
#[derive(Debug, Clone)]
pub enum Delta {
    /// What changed up to `to`. Without records if nothing did.
    Page {
        /// The revision that the worker has once the page is applied.
        to: Revision,
        /// Whether there is more after `to`, which did not fit into this page.
        more: bool,
        /// The records: what closes, then APIs, then what opens.
        body: Arc<Body>,
    },
    /// The worker is too far behind: it needs a snapshot.
    TooFar,
}

/// One line of the change log, and what has become of its subject.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision that made the change.
    pub revision: Revision,
    /// What was changed.
    pub subject: Subject,
}

/// What was changed, as it stands now.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The secret with this digest.
    Key {
        /// The digest.
        digest: Digest,
        /// How far it reached before this change; `None` if there was no such secret.
        before: Option<Reach>,
        /// What workers are to know of it now; `None` if it opens nothing any more.
        now: Option<KeyRecord>,
    },
    /// The API with this id.
    Api {
        /// The id.
        id: ApiId,
        /// What workers are to know of it now; `None` if it is gone.
        now: Option<ApiRecord>,
    },
    /// The organization with this id, as far as workers know of organizations. Every gateway is told of all.
    Organization {
        /// The id.
        id: OrganizationId,
        /// Whether it has used up its budget.
        over_budget: bool,
    },
}

/// Whether a page takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Left,
    /// It does not: what follows in the log is for the next page.
    Full,
}

/// A page in the making.
#[derive(Debug)]
pub struct Gathering {
    from: Revision,
    head: Revision,
    scope: Scope,
    /// Every revision up to this one is whole in the first `whole` records.
    to: Revision,
    whole: usize,
    /// The revision whose changes are being added.
    current: Revision,
    records: Vec<Record>,
    bytes: usize,
    bytes_max: usize,
    room: Room,
    told_keys: HashSet<[u8; DIGEST_BYTES]>,
    told_apis: HashSet<ApiId>,
    told_organizations: HashSet<OrganizationId>,
}

impl Gathering {
    /// A page of what changed after `from` up to `head`, for a gateway of this scope.
    pub fn new(from: Revision, head: Revision, scope: Scope) -> Self {
        Self {
            from,
            head,
            scope,
            to: from,
            whole: 0,
            current: from,
            records: Vec::new(),
            bytes: 0,
            bytes_max: RECORDS_BYTES_MAX,
            room: Room::Left,
            told_keys: HashSet::new(),
            told_apis: HashSet::new(),
            told_organizations: HashSet::new(),
        }
    }

    /// Has the page end after so many bytes of records already, as a simulation wants it.
    #[must_use]
    pub const fn limited_to(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Adds the next change of the log. Changes that are not after `from`, or are after `head`, are none of this page's
    /// business. Once it is full nothing more is added.
    pub fn add(&mut self, change: Change) -> Result<Room, serde_json::Error> {
        if self.room == Room::Full || change.revision <= self.from || change.revision > self.head {
            return Ok(self.room);
        }
        if change.revision > self.current {
            self.to = self.current;
            self.whole = self.records.len();
            self.current = change.revision;
        }
        if let Some(record) = self.told(change.subject) {
            self.bytes = self.bytes.saturating_add(serde_json::to_vec(&record)?.len()).saturating_add(1);
            self.records.push(record);
        }
        // The first revision may take a whole page: there is no smaller step.
        let bytes_max = if self.to == self.from { RECORDS_BYTES_MAX } else { self.bytes_max };
        if self.bytes > bytes_max {
            self.room = Room::Full;
        }
        Ok(self.room)
    }

    /// The page: up to `head` if there was room for everything, else up to the last revision that is whole.
    pub fn finish(mut self) -> Result<Delta, serde_json::Error> {
        let more = match self.room {
            Room::Full if self.to == self.from => return Ok(Delta::TooFar),
            Room::Full => true,
            Room::Left => {
                self.to = self.head.max(self.from);
                self.whole = self.records.len();
                false
            }
        };
        self.records.truncate(self.whole);
        self.records.sort_by_key(place);
        let mut body = Body::default();
        for record in &self.records {
            if !body.push(record)? {
                return Ok(Delta::TooFar);
            }
        }
        Ok(Delta::Page { to: self.to, more, body: Arc::new(body) })
    }

    /// What a worker is told of a subject; `None` if the page says it already, or if it is none of the gateway's
    /// business.
    fn told(&mut self, subject: Subject) -> Option<Record> {
        match subject {
            Subject::Key { digest, .. } if self.told_keys.contains(digest.as_bytes()) => None,
            Subject::Key { digest, before, now } => {
                let told = self.told_of_key(digest, before.as_ref(), now)?;
                self.told_keys.insert(*digest.as_bytes());
                Some(told)
            }
            Subject::Api { id, now } => {
                let is_new = self.scope.has_api(id) && self.told_apis.insert(id);
                is_new.then(|| now.map_or(Record::DeleteApi(id), Record::Api))
            }
            Subject::Organization { id, over_budget } => {
                let is_new = self.told_organizations.insert(id);
                is_new.then_some(if over_budget { Record::OverBudget(id) } else { Record::WithinBudget(id) })
            }
        }
    }

    fn told_of_key(&self, digest: Digest, before: Option<&Reach>, now: Option<KeyRecord>) -> Option<Record> {
        if let Some(record) = now.filter(|record| self.scope.has_key(&Reach::from(record))) {
            return Some(Record::Key(record));
        }
        let held = self.scope == Scope::Everything || before.is_some_and(|before| self.scope.has_key(before));
        held.then_some(Record::DeleteKey(digest))
    }
}

/// The order of a page: what closes, then APIs, then what opens.
const fn place(record: &Record) -> u8 {
    match record {
        Record::DeleteKey(_) => 0,
        Record::OverBudget(_) => 1,
        Record::DeleteApi(_) => 2,
        Record::Api(_) => 3,
        Record::Key(_) => 4,
        Record::WithinBudget(_) => 5,
    }
}

#[cfg(test)]
mod tests;
