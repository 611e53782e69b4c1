//! Workers as the database stores them, put together from what several control planes say.

use std::cmp::Ordering;

use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::Cursor;

/// A stored worker.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is known of it.
    pub worker: Worker,
    /// The process that stored it last.
    pub saved_by: u64,
    /// The latest of its polls that the row knows of, as the simulation sees it: nobody else looks at this.
    pub heard: u64,
}

impl Row {
    /// What is stored after `other` has been written over this, by the rules of `control-plane/src/storage/workers.rs`.
    pub fn overwritten_by(&self, other: &Self) -> Self {
        let (before, after) = (&self.worker, &other.worker);
        let longer = before.bound_ms.zip(after.bound_ms).map(|(before, after)| before.max(after));
        let applied = later(before.applied, after.applied);
        let worker = match before.polls.cmp(&after.polls) {
            Ordering::Less => Worker { applied, ..after.clone() },
            Ordering::Equal => Worker { applied, bound_ms: longer, ..after.clone() },
            Ordering::Greater => Worker { applied, ..before.clone() },
        };
        Self { worker, saved_by: other.saved_by, heard: self.heard.max(other.heard) }
    }
}

fn later(before: Option<Cursor>, after: Option<Cursor>) -> Option<Cursor> {
    match (before, after) {
        (Some(before), Some(after)) if before.epoch == after.epoch && before.revision > after.revision => Some(before),
        (_, Some(after)) => Some(after),
        (before, None) => before,
    }
}
