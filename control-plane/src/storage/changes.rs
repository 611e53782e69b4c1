//! Deltas: what changed after a revision, as it stands now.
//!
//! The change log says which keys and APIs a revision touched; what has become of them is read from their
//! tables in the same transaction. So however often a key changed, a delta holds one record of it, and what it
//! says is never older than the delta's `to`. A delta that does not fit into one page ends at an earlier
//! revision, never inside one; the worker's next poll gets the rest. Deletions come first in a page.
//!
//! Whoever is too far behind, so that a snapshot costs less, is told so.

use std::collections::HashSet;
use std::sync::Arc;

use portcullis_core::wire::{Body, PAGE_BYTES_MAX, Record, Revision};
use sqlx::SqliteConnection;

use super::error::StorageError;
use super::rows::{Columns, to_id};
use super::{Store, View, control, keys};

const CHANGES: Columns = Columns("changes");
/// The most logged changes that one delta looks at.
const CHANGES_MAX: i64 = 50_000;
/// How many logged changes are read at once.
const BATCH: i64 = 2_000;
/// What records may take of a page: room is left for its first and last line.
const RECORD_BYTES_MAX: usize = PAGE_BYTES_MAX - 4_096;

/// What a worker is missing.
#[derive(Debug, Clone)]
pub enum Delta {
    /// What changed up to `to`. Without records if nothing did.
    Page {
        /// The revision that the worker has once the page is applied.
        to: Revision,
        /// Whether there is more after `to`, which did not fit into this page.
        more: bool,
        /// The records: deletions, then APIs, then keys.
        body: Arc<Body>,
    },
    /// The worker is too far behind: it needs a snapshot.
    TooFar,
}

impl Store {
    /// What changed after `from`, which must not lie ahead of this database.
    pub async fn delta(&self, from: Revision) -> Result<Delta, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let position = control::position(&mut transaction).await?;
        let head = position.head.revision;
        let delta = if from < position.pruned || is_far(&mut transaction, from).await? {
            Delta::TooFar
        } else {
            gather(&mut transaction, from, head).await?
        };
        transaction.commit().await?;
        Ok(delta)
    }
}

/// Whether more changed after `from` than one delta looks at.
async fn is_far(connection: &mut SqliteConnection, from: Revision) -> Result<bool, StorageError> {
    let changes: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM changes WHERE revision > ? LIMIT ?)")
        .bind(from.cast_signed())
        .bind(CHANGES_MAX + 1)
        .fetch_one(connection)
        .await?;
    Ok(changes > CHANGES_MAX)
}

#[derive(sqlx::FromRow)]
struct Logged {
    sequence: i64,
    revision: i64,
    key_digest: Option<Vec<u8>>,
    api_id: Option<i64>,
}

/// Collects whole revisions until the page is full or the log ends.
async fn gather(connection: &mut SqliteConnection, from: Revision, head: Revision) -> Result<Delta, StorageError> {
    let mut page = Gathered::new(from);
    let mut after = (from.cast_signed(), i64::MAX);
    loop {
        // Sequences grow with revisions, so the pair is a place in the log.
        let rows: Vec<Logged> = sqlx::query_as(
            "SELECT sequence, revision, key_digest, api_id FROM changes
             WHERE revision >= ?1 AND (revision > ?1 OR sequence > ?2)
             ORDER BY revision, sequence LIMIT ?3",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(BATCH)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else {
            page.finish_revision(head);
            return page.render(false);
        };
        after = (last.revision, last.sequence);
        for row in rows {
            let revision = CHANGES.count(row.revision)?;
            let size = page.size;
            if let Some(record) = page.look_up(connection, row).await? {
                page.add(revision, record)?;
            }
            if page.size > RECORD_BYTES_MAX && size <= RECORD_BYTES_MAX {
                return page.render(true);
            }
        }
    }
}

/// The records of a page in the making.
struct Gathered {
    /// Every revision up to this one is in `records` up to `whole`.
    to: Revision,
    whole: usize,
    /// The revision whose changes are being added.
    current: Revision,
    records: Vec<Record>,
    size: usize,
    from: Revision,
    seen_keys: HashSet<Vec<u8>>,
    seen_apis: HashSet<i64>,
}

impl Gathered {
    fn new(from: Revision) -> Self {
        Self {
            to: from,
            whole: 0,
            current: from,
            records: Vec::new(),
            size: 0,
            from,
            seen_keys: HashSet::new(),
            seen_apis: HashSet::new(),
        }
    }

    /// What has become of the subject of a logged change; `None` if the page says it already.
    async fn look_up(
        &mut self,
        connection: &mut SqliteConnection,
        row: Logged,
    ) -> Result<Option<Record>, StorageError> {
        let mut view = View(connection);
        match (row.key_digest, row.api_id) {
            (Some(digest), None) => {
                if self.seen_keys.contains(&digest) {
                    return Ok(None);
                }
                let record = match view.live_key(&digest).await? {
                    Some(key) => Record::Key(key.record()),
                    None => Record::DeleteKey(keys::logged_digest(&digest)?),
                };
                self.seen_keys.insert(digest);
                Ok(Some(record))
            }
            (None, Some(api)) => {
                if !self.seen_apis.insert(api) {
                    return Ok(None);
                }
                Ok(Some(match view.api(to_id(api)).await? {
                    Some(api) => Record::Api(api.record()),
                    None => Record::DeleteApi(to_id(api)),
                }))
            }
            (Some(_), Some(_)) | (None, None) => Err(CHANGES.corrupt("a change without one subject")),
        }
    }

    fn add(&mut self, revision: Revision, record: Record) -> Result<(), StorageError> {
        if revision > self.current {
            self.finish_revision(self.current);
            self.current = revision;
        }
        self.size += serde_json::to_vec(&record)?.len() + 1;
        self.records.push(record);
        Ok(())
    }

    /// Counts what has been added so far as complete up to `revision`.
    fn finish_revision(&mut self, revision: Revision) {
        self.to = revision;
        self.whole = self.records.len();
    }

    fn render(mut self, more: bool) -> Result<Delta, StorageError> {
        if self.to == self.from && !self.records.is_empty() {
            // Not even the first revision fits into a page.
            return Ok(Delta::TooFar);
        }
        self.records.truncate(self.whole);
        self.records.sort_by_key(|record| match record {
            Record::DeleteKey(_) => 0,
            Record::DeleteApi(_) => 1,
            Record::Api(_) => 2,
            Record::Key(_) => 3,
        });
        let mut body = Body::default();
        for record in &self.records {
            if !body.push(record)? {
                return Ok(Delta::TooFar);
            }
        }
        Ok(Delta::Page { to: self.to, more, body: Arc::new(body) })
    }
}
