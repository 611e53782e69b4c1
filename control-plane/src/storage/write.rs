//! A write transaction, from `BEGIN IMMEDIATE` to its announcement.

use portcullis_core::digest::Digest;
use portcullis_core::id::ApiId;
use portcullis_core::wire::Revision;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::control;
use super::error::{StorageError, exactly_one};
use super::rows::from_id;
use super::{Store, View};
use crate::domain::actor::Actor;
use crate::domain::environment::Entropy;
use crate::domain::feed::Feed;
use crate::domain::timestamp::Timestamp;

/// How many revisions the change log keeps. Whoever is further behind is served a snapshot.
const REVISIONS_KEPT: Revision = 100_000;
/// How often, in revisions, older ones are dropped.
const PRUNING_INTERVAL: Revision = 1_024;

/// A write transaction. Dropped without [`Write::commit`] it leaves nothing behind.
#[derive(Debug)]
pub struct Write {
    transaction: Transaction<'static, Sqlite>,
    pub(super) actor: Option<Actor>,
    pub(super) now: Timestamp,
    pub(super) entropy: Entropy,
    revision: Option<Revision>,
    closes_gateway: bool,
    feed: Feed,
}

impl Store {
    /// Begins a write by `actor`, or by the control plane itself. It waits for other writers, for a bounded time.
    pub async fn write(&self, actor: Option<Actor>) -> Result<Write, StorageError> {
        let transaction = self.0.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write {
            transaction,
            actor,
            // Asked after the wait, so that instants follow the order of commits.
            now: self.0.clock.now(),
            entropy: self.0.entropy.clone(),
            revision: None,
            closes_gateway: false,
            feed: self.0.feed.clone(),
        })
    }
}

impl Write {
    /// What can be asked, as this transaction sees it.
    pub fn view(&mut self) -> View<'_> {
        View(&mut self.transaction)
    }

    /// The instant of this write.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// The revision of this transaction, if filters must learn of it.
    pub(super) const fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Logs that the key with this digest is new, has changed or is gone.
    pub(super) async fn log_key(&mut self, digest: Digest) -> Result<(), StorageError> {
        self.log(Some(digest.as_bytes().as_slice()), None).await
    }

    /// Logs that this API is new, has changed or is gone.
    pub(super) async fn log_api(&mut self, api: ApiId) -> Result<(), StorageError> {
        self.log(None, Some(from_id(api))).await
    }

    async fn log(&mut self, digest: Option<&[u8]>, api: Option<i64>) -> Result<(), StorageError> {
        let revision = match self.revision {
            Some(revision) => revision,
            None => self.count_up().await?,
        };
        let done = sqlx::query("INSERT INTO changes (revision, key_digest, api_id) VALUES (?, ?, ?)")
            .bind(revision.cast_signed())
            .bind(digest)
            .bind(api)
            .execute(self.connection())
            .await?;
        exactly_one("logging a change", &done)
    }

    async fn count_up(&mut self) -> Result<Revision, StorageError> {
        let revision = control::count_up(self.connection()).await?;
        self.revision = Some(revision);
        if revision.is_multiple_of(PRUNING_INTERVAL) && revision > REVISIONS_KEPT {
            control::prune(self.connection(), revision - REVISIONS_KEPT).await?;
        }
        Ok(revision)
    }

    /// Has the commit wake up every poll of a gateway that is gone.
    pub(super) const fn announce_closing(&mut self) {
        self.closes_gateway = true;
    }

    /// Makes it last, then announces it. Returns the new revision if filters must learn of it.
    ///
    /// It runs as a task of its own: were the caller to go away between the commit and the announcement, workers
    /// would hear of a deleted key only when their next poll ends.
    pub async fn commit(self) -> Result<Option<Revision>, StorageError> {
        let committed = tokio::spawn(async move {
            self.transaction.commit().await?;
            if let Some(revision) = self.revision {
                self.feed.publish(revision);
            }
            if self.closes_gateway {
                self.feed.publish_closing();
            }
            Ok(self.revision)
        });
        committed.await.unwrap_or(Err(StorageError::Cut))
    }
}
