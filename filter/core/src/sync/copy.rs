//! Directories, and the points in history at which they stand.

use crate::directory::Directory;
use crate::wire::{Ask, Cursor, Record};

use super::Rejection;

/// A directory and the point in history at which it stands.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) at: Cursor,
    pub(super) directory: Directory,
}

/// A snapshot that does not serve yet.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) copy: Copy,
    next_part: u32,
    parts: u32,
}

impl Copy {
    /// Applies a delta that must begin exactly here.
    pub(super) fn advance(&mut self, from: Cursor, to: u64, records: Vec<Record>) -> Result<(), Rejection> {
        if !self.precedes(from, to) {
            return Err(Rejection::Unasked);
        }
        // Deletions stand first, so a delta that breaks off errs towards refusing.
        for (index, record) in records.into_iter().enumerate() {
            self.directory.apply(record).map_err(|_| Rejection::Record(index))?;
        }
        self.at.revision = to;
        Ok(())
    }

    /// Whether a delta begins exactly here.
    pub(super) fn precedes(&self, from: Cursor, to: u64) -> bool {
        from == self.at && to >= from.revision
    }
}

impl Staging {
    /// An empty one for a snapshot at `at` of so many parts and keys. There is none without parts.
    pub(super) fn new(at: Cursor, parts: u32, keys: u32) -> Option<Self> {
        let keys = usize::try_from(keys).unwrap_or(0);
        let copy = || Copy { at, directory: Directory::with_capacity(keys) };
        (parts > 0).then(|| Self { copy: copy(), next_part: 0, parts })
    }

    /// What is missing next.
    pub(super) const fn next_ask(&self) -> Ask {
        let at = self.copy.at;
        if self.next_part < self.parts { Ask::Part { at, part: self.next_part } } else { Ask::CatchUp { at } }
    }

    /// Whether this part of the snapshot at `at` is what is missing next.
    pub(super) fn wants(&self, at: Cursor, part: u32, parts: u32) -> bool {
        part < parts && (self.copy.at, self.next_part, self.parts) == (at, part, parts)
    }

    /// Takes note that the next part is in.
    pub(super) const fn complete_part(&mut self) {
        self.next_part = self.next_part.saturating_add(1);
    }
}
