//! A write transaction, from taking the lock to its announcement.

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, OrganizationId};
use portcullis_core::wire::Revision;
use tokio::time::Instant;

use super::database::Open;
use super::error::{StorageError, exactly_one};
use super::news::CHANNEL;
use super::rows::{from_id, to_json};
use super::sql::{Dialect, Session, sql};
use super::{Store, View, control};
use crate::domain::actor::Actor;
use crate::domain::environment::Entropy;
use crate::domain::feed::Feed;
use crate::domain::key::Reach;
use crate::domain::timestamp::Timestamp;

/// How many revisions the change log keeps. Whoever is further behind is served a snapshot.
const REVISIONS_KEPT: Revision = 100_000;
/// How often, in revisions, older ones are dropped.
const PRUNING_INTERVAL: Revision = 1_024;

/// A write transaction. Dropped without [`Write::commit`] it leaves nothing behind.
#[derive(Debug)]
pub struct Write {
    transaction: Open,
    pub(super) actor: Option<Actor>,
    pub(super) now: Timestamp,
    pub(super) entropy: Entropy,
    revision: Option<Revision>,
    changes_gateway: bool,
    pub(super) source: Option<String>,
    feed: Feed,
}

impl Store {
    /// Begins a write by `actor`, or by the control plane itself. It waits for other writers, for a bounded time.
    pub async fn write(&self, actor: Option<Actor>) -> Result<Write, StorageError> {
        let transaction = self.0.database.write().await?;
        Ok(Write {
            transaction,
            actor,
            // Asked after the wait, so that instants follow the order of commits.
            now: self.0.clock.now(),
            entropy: self.0.entropy.clone(),
            revision: None,
            changes_gateway: false,
            source: None,
            feed: self.0.feed.clone(),
        })
    }
}

impl Write {
    /// What can be asked, with what has been written so far.
    pub fn view(&mut self) -> View<'_> {
        View(self.session())
    }

    /// The instant of this write.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Has the audit entries of this write say where what led to it was found. There must be no secret in it.
    pub fn set_source(&mut self, source: String) {
        self.source = Some(source);
    }

    pub(super) fn session(&mut self) -> Session<'_> {
        self.transaction.session()
    }

    /// The revision of this transaction, if filters must learn of it.
    pub(super) const fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Logs that the key with this digest is new, has changed or is gone, and how far it reached `before`.
    pub(super) async fn log_key(&mut self, digest: Digest, before: Option<&Reach>) -> Result<(), StorageError> {
        let before = before.map(to_json).transpose()?;
        let revision = self.count_up().await?;
        let rows = sql("INSERT INTO changes (revision, key_digest, reach_before) VALUES ($1, $2, $3)")
            .bind(revision.cast_signed())
            .bind(digest.as_bytes().as_slice())
            .bind(before)
            .execute(self.session())
            .await?;
        exactly_one("logging a key", rows)
    }

    /// Logs that this API is new, has changed or is gone.
    pub(super) async fn log_api(&mut self, api: ApiId) -> Result<(), StorageError> {
        let revision = self.count_up().await?;
        let rows = sql("INSERT INTO changes (revision, api_id) VALUES ($1, $2)")
            .bind(revision.cast_signed())
            .bind(from_id(api))
            .execute(self.session())
            .await?;
        exactly_one("logging an API", rows)
    }

    /// Logs that this organization is over its budget, or no longer.
    pub(super) async fn log_organization(&mut self, organization: OrganizationId) -> Result<(), StorageError> {
        let revision = self.count_up().await?;
        let rows = sql("INSERT INTO changes (revision, organization_id) VALUES ($1, $2)")
            .bind(revision.cast_signed())
            .bind(from_id(organization))
            .execute(self.session())
            .await?;
        exactly_one("logging an organization", rows)
    }

    /// The revision of this transaction, in which filters have something to learn: counted up once.
    pub(super) async fn count_up(&mut self) -> Result<Revision, StorageError> {
        if let Some(revision) = self.revision {
            return Ok(revision);
        }
        let revision = control::count_up(self.session()).await?;
        self.revision = Some(revision);
        if revision.is_multiple_of(PRUNING_INTERVAL) && revision > REVISIONS_KEPT {
            control::prune(self.session(), revision - REVISIONS_KEPT).await?;
        }
        Ok(revision)
    }

    /// Has the commit wake up every poll, so that each asks what has become of its gateway.
    pub(super) async fn announce_gateway_change(&mut self) -> Result<(), StorageError> {
        self.changes_gateway = true;
        control::count_gateway_change(self.session()).await
    }

    /// Makes it last, then announces it. Returns the new revision if filters must learn of it.
    ///
    /// It runs as a task of its own: were the caller to go away between the commit and the announcement, workers
    /// would hear of a deleted key only when their next poll ends.
    pub async fn commit(mut self) -> Result<Option<Revision>, StorageError> {
        let committed = tokio::spawn(async move {
            if self.revision.is_none() && !self.changes_gateway {
                self.transaction.commit().await?;
                return Ok(None);
            }
            let looked_at = Instant::now();
            let news = control::position(self.session()).await?.news();
            if self.session().dialect() == Dialect::Postgres {
                // Delivered with the commit, or not at all.
                let notify = sql("SELECT true FROM (SELECT pg_notify($1, '')) AS sent").bind(CHANNEL);
                let (_,): (bool,) = notify.one(self.session()).await?;
            }
            self.transaction.commit().await?;
            self.feed.publish(news, looked_at);
            Ok(self.revision)
        });
        committed.await.unwrap_or(Err(StorageError::Cut))
    }
}
