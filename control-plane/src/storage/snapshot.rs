//! Snapshots: all there is at one revision, cut into pages.

use std::sync::Arc;

use portcullis_core::wire::{Body, Cursor, Record};

use super::error::StorageError;
use super::keys;
use super::{Store, View, control};
use crate::domain::key::Key;

/// Every API and every live key at one revision.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision that it shows.
    pub at: Cursor,
    /// How many keys it holds.
    pub keys: u32,
    /// Its pages, at least one: APIs first, then keys in the order of their digests. Expired keys are in it, so
    /// that a filter can say that they are expired.
    pub pages: Vec<Arc<Body>>,
}

impl Store {
    /// Reads a snapshot of this instant. It streams: what is held in memory is the pages.
    pub async fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let at = control::position(&mut transaction).await?.head;
        let mut pages = Pages::default();
        for api in View(&mut transaction).apis().await? {
            pages.push(&Record::Api(api.record()))?;
        }
        let mut keys = 0_u32;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let rows: Vec<keys::Row> =
                sqlx::query_as("SELECT * FROM keys WHERE revoked_at IS NULL AND digest > ? ORDER BY digest LIMIT ?")
                    .bind(&after)
                    .bind(BATCH)
                    .fetch_all(&mut *transaction)
                    .await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let key = Key::try_from(row)?;
                after = key.digest.as_bytes().to_vec();
                pages.push(&Record::Key(key.record()))?;
                keys = keys.saturating_add(1);
            }
        }
        transaction.commit().await?;
        Ok(Snapshot { at, keys, pages: pages.finish() })
    }
}

/// How many keys are read at once.
const BATCH: i64 = 2_000;

/// Full pages, and the one that is being filled.
#[derive(Default)]
struct Pages {
    full: Vec<Arc<Body>>,
    open: Body,
}

impl Pages {
    fn push(&mut self, record: &Record) -> Result<(), StorageError> {
        if !self.open.push(record)? {
            self.full.push(Arc::new(std::mem::take(&mut self.open)));
            // An empty page takes any record.
            self.open.push(record)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Arc<Body>> {
        if self.full.is_empty() || !self.open.is_empty() {
            self.full.push(Arc::new(self.open));
        }
        self.full
    }
}
