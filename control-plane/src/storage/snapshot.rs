//! Snapshots: all there is at one revision, cut into pages.

use std::sync::Arc;

use portcullis_core::wire::{Body, Cursor, KeyRecord, Record};

use super::error::StorageError;
use super::keys::{CURRENT_RECORDS, FORMER_RECORDS, RecordRow};
use super::sql::{Session, sql};
use super::{Store, View, control};
use crate::domain::gateway::{Scope, Serves};
use crate::domain::key::Reach;

/// Every API and every live secret at one revision, as far as one kind of gateway is told of them.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision that it shows.
    pub at: Cursor,
    /// How many secrets it holds: one for each key, two for a key in a planned rotation.
    pub keys: u32,
    /// Its pages, at least one: first which organizations are over their budgets, then APIs, then keys. Expired keys are in it, so that a filter can say that they
    /// are expired.
    pub pages: Vec<Arc<Body>>,
}

impl Store {
    /// Reads a snapshot of this instant, for gateways that serve this. It streams: what is held in memory is the
    /// pages.
    pub async fn snapshot(&self, serves: &Serves) -> Result<Snapshot, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let at = control::position(transaction.session()).await?.head;
        let scope = View(transaction.session()).scope(serves).await?;
        let mut pages = Pages::default();
        for organization in View(transaction.session()).over_budget().await? {
            pages.push(&Record::OverBudget(organization))?;
        }
        for api in View(transaction.session()).apis().await? {
            if scope.has_api(api.id) {
                pages.push(&Record::Api(api.record()))?;
            }
        }
        let mut keys = 0_u32;
        for (select, after) in [
            (CURRENT_RECORDS, (" AND k.digest > ", " ORDER BY k.digest LIMIT ")),
            (FORMER_RECORDS, (" AND f.digest > ", " ORDER BY f.digest LIMIT ")),
        ] {
            keys = keys.saturating_add(push_keys(transaction.session(), select, after, &scope, &mut pages).await?);
        }
        transaction.commit().await?;
        Ok(Snapshot { at, keys, pages: pages.finish() })
    }
}

/// Adds the secrets that `select` finds, in the order of their digests, and returns how many there were.
async fn push_keys(
    mut session: Session<'_>,
    select: &'static str,
    (place, order): (&'static str, &'static str),
    scope: &Scope,
    pages: &mut Pages,
) -> Result<u32, StorageError> {
    let (mut keys, mut after) = (0_u32, Vec::new());
    loop {
        let mut query = sql(select);
        query.push(place).push_bind(after.as_slice()).push(order).push_bind(BATCH);
        let rows: Vec<RecordRow> = query.all(session.reborrow()).await?;
        if rows.is_empty() {
            return Ok(keys);
        }
        for row in rows {
            let key = KeyRecord::try_from(row)?;
            after = key.digest.as_bytes().to_vec();
            if scope.has_key(&Reach::from(&key)) {
                pages.push(&Record::Key(key))?;
                keys = keys.saturating_add(1);
            }
        }
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
