//! Hearing of what other processes commit on the same database.
//!
//! PostgreSQL tells: every commit notifies a channel ([LISTEN](https://www.postgresql.org/docs/current/sql-listen.html)),
//! and the control row is read once for each; what another process has heard of workers is told on a second channel. Besides, and for SQLite only, it is read twice a second. So a
//! notification that got lost with its connection costs half a second, not a poll's whole wait.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use tokio::time::Instant;

use super::database::Database;
use super::error::StorageError;
use super::workers::WORKERS_CHANNEL;
use super::{Store, control};

/// The channel of every process on one PostgreSQL database.
pub(super) const CHANNEL: &str = "portcullis";
/// How often the control row is read whether or not anything was heard.
const INTERVAL: Duration = Duration::from_millis(500);

impl Store {
    /// Announces what others commit, until the database is closed. It fails at nothing: while the database is out of
    /// reach nobody can commit either, and it asks again.
    pub async fn keep_current(&self) {
        let mut ears = None;
        let mut failing = false;
        loop {
            if ears.is_none() {
                ears = self.listen().await;
            }
            let heard = tokio::time::timeout(INTERVAL, self.wait_for_notification(&mut ears)).await;
            match self.refresh().await {
                Ok(()) => failing = false,
                Err(StorageError::Closed) => return,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot ask the database for news; asking again");
                    }
                    failing = true;
                }
            }
            if failing && heard.is_ok() {
                // The connection for listening is gone as well: no hurry.
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }

    /// A connection that listens, where the database has such a thing.
    async fn listen(&self) -> Option<PgListener> {
        let Database::Postgres { reader, .. } = &self.0.database else {
            return None;
        };
        let mut listener = PgListener::connect_with(reader).await.ok()?;
        listener.listen_all([CHANNEL, WORKERS_CHANNEL]).await.ok()?;
        Some(listener)
    }

    /// Announces how far the database has come, whoever brought it there.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        let mut read = self.read().await?;
        let looked_at = Instant::now();
        let position = control::position(read.view().session()).await?;
        self.0.feed.publish(position.news(), looked_at);
        Ok(())
    }

    /// Whether other processes may serve from this database.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.database, Database::Postgres { .. })
    }

    /// Returns when another process has told that it stored what it heard of workers.
    pub async fn workers_told(&self) {
        self.0.workers_told.notified().await;
    }

    /// Returns when something was committed, or when the connection is gone. Without one it waits for ever.
    async fn wait_for_notification(&self, ears: &mut Option<PgListener>) {
        let Some(listener) = ears else {
            return std::future::pending().await;
        };
        loop {
            let Ok(Some(notification)) = listener.try_recv().await else {
                *ears = None;
                return;
            };
            let mut committed = self.is_commit(&notification);
            // Several in a row need to be asked after once.
            while let Some(notification) = listener.next_buffered() {
                committed |= self.is_commit(&notification);
            }
            if committed {
                return;
            }
        }
    }

    /// Whether it is about a commit. One about workers is passed on, unless it is this process's own.
    fn is_commit(&self, notification: &PgNotification) -> bool {
        if notification.channel() != WORKERS_CHANNEL {
            return true;
        }
        if notification.payload() != self.0.process.to_string() {
            self.0.workers_told.notify_one();
        }
        false
    }
}
