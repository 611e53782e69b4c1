//! Deltas: what changed after a revision, as it stands now.
//!
//! The change log says which keys and APIs a revision touched; what has become of them is read from their
//! tables in the same transaction. So however often a key changed, a delta holds one record of it, and what it
//! says is never older than the delta's `to`. A delta that does not fit into one page ends at an earlier
//! revision, never inside one; the worker's next poll gets the rest. Deletions come first in a page.
//!
//! A gateway that serves some APIs only is told of the keys that open one of them. Of a key that opened one when the
//! worker last heard of it, and does no more, it is told that it is gone; of all others nothing.
//!
//! Whoever is too far behind, so that a snapshot costs less, is told so.

use std::collections::HashSet;
use std::sync::Arc;

use portcullis_core::wire::{Body, PAGE_BYTES_MAX, Record, Revision};

use super::error::StorageError;
use super::rows::{Columns, to_id};
use super::sql::{Session, sql};
use super::{Store, View, control, keys};
use crate::domain::gateway::{Scope, Serves};
use crate::domain::key::Reach;

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
    /// What changed after `from` and up to `head` at least for a gateway that `serves` this. Neither must lie
    /// ahead of this database.
    pub async fn delta(&self, from: Revision, head: Revision, serves: &Serves) -> Result<Delta, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let position = control::position(transaction.session()).await?;
        let delta = if from < position.pruned || is_far(transaction.session(), from).await? {
            Delta::TooFar
        } else {
            let scope = View(transaction.session()).scope(serves).await?;
            gather(transaction.session(), from, head, scope).await?
        };
        transaction.commit().await?;
        Ok(delta)
    }
}

/// Whether more changed after `from` than one delta looks at.
async fn is_far(session: Session<'_>, from: Revision) -> Result<bool, StorageError> {
    let (changes,): (i64,) =
        sql("SELECT count(*) FROM (SELECT revision FROM changes WHERE revision > $1 LIMIT $2) AS later")
            .bind(from.cast_signed())
            .bind(CHANGES_MAX + 1)
            .one(session)
            .await?;
    Ok(changes > CHANGES_MAX)
}

#[derive(sqlx::FromRow)]
struct Logged {
    sequence: i64,
    revision: i64,
    key_digest: Option<Vec<u8>>,
    api_id: Option<i64>,
    reach_before: Option<String>,
}

/// Collects whole revisions up to `head`, until the page is full.
async fn gather(mut session: Session<'_>, from: Revision, head: Revision, scope: Scope) -> Result<Delta, StorageError> {
    let mut page = Gathered::new(from, scope);
    let mut after = (from.cast_signed(), i64::MAX);
    loop {
        // Sequences grow with revisions, so the pair is a place in the log.
        let rows: Vec<Logged> = sql("SELECT sequence, revision, key_digest, api_id, reach_before FROM changes
             WHERE revision >= $1 AND (revision > $1 OR sequence > $2) AND revision <= $3
             ORDER BY revision, sequence LIMIT $4")
        .bind(after.0)
        .bind(after.1)
        .bind(head.cast_signed())
        .bind(BATCH)
        .all(session.reborrow())
        .await?;
        let Some(last) = rows.last() else {
            page.finish_revision(head);
            return page.render(false);
        };
        after = (last.revision, last.sequence);
        for row in rows {
            let revision = CHANGES.count(row.revision)?;
            let size = page.size;
            if let Some(record) = page.look_up(session.reborrow(), row).await? {
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
    scope: Scope,
    seen_keys: HashSet<Vec<u8>>,
    seen_apis: HashSet<i64>,
}

impl Gathered {
    fn new(from: Revision, scope: Scope) -> Self {
        Self {
            to: from,
            whole: 0,
            current: from,
            records: Vec::new(),
            size: 0,
            from,
            scope,
            seen_keys: HashSet::new(),
            seen_apis: HashSet::new(),
        }
    }

    /// What has become of the subject of a logged change; `None` if the page says it already, or if it is none of
    /// the gateway's business.
    async fn look_up(&mut self, session: Session<'_>, row: Logged) -> Result<Option<Record>, StorageError> {
        match (row.key_digest, row.api_id) {
            (Some(digest), None) => {
                // The first change after `from` says what the worker held, the tables what it should hold now.
                if !self.seen_keys.insert(digest.clone()) {
                    return Ok(None);
                }
                let before: Option<Reach> = CHANGES.json_if_any(row.reach_before.as_deref())?;
                self.key(session, &digest, before).await
            }
            (None, Some(api)) => {
                if !self.scope.has_api(to_id(api)) || !self.seen_apis.insert(api) {
                    return Ok(None);
                }
                Ok(Some(match View(session).api(to_id(api)).await? {
                    Some(api) => Record::Api(api.record()),
                    None => Record::DeleteApi(to_id(api)),
                }))
            }
            (Some(_), Some(_)) | (None, None) => Err(CHANGES.corrupt("a change without one subject")),
        }
    }

    async fn key(
        &self,
        session: Session<'_>,
        digest: &[u8],
        before: Option<Reach>,
    ) -> Result<Option<Record>, StorageError> {
        let live = View(session).live_record(digest).await?;
        let told = live.filter(|record| self.scope.has_key(&Reach::from(record)));
        if let Some(record) = told {
            return Ok(Some(Record::Key(record)));
        }
        let held = self.scope == Scope::Everything || before.is_some_and(|before| self.scope.has_key(&before));
        if held { keys::logged_digest(digest).map(|digest| Some(Record::DeleteKey(digest))) } else { Ok(None) }
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
