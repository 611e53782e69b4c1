//! Hearing of what other processes commit on the same database.
//!
//! PostgreSQL tells: every commit notifies a channel ([LISTEN](https://www.postgresql.org/docs/current/sql-listen.html)),
//! and the control row is read once for each. Besides, and for SQLite only, it is read twice a second. So a
//! notification that got lost with its connection costs half a second, not a poll's whole wait.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::database::Database;
use super::error::StorageError;
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
            let heard = tokio::time::timeout(INTERVAL, wait_for_notification(&mut ears)).await;
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
        listener.listen(CHANNEL).await.ok()?;
        Some(listener)
    }

    /// Announces how far the database has come, whoever brought it there.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        let mut read = self.read().await?;
        let position = control::position(read.view().session()).await?;
        self.0.feed.publish(position.news());
        Ok(())
    }
}

/// Returns when something was heard, or when the connection is gone. Without one it waits for ever.
async fn wait_for_notification(ears: &mut Option<PgListener>) {
    let Some(listener) = ears else {
        return std::future::pending().await;
    };
    if !matches!(listener.try_recv().await, Ok(Some(_))) {
        *ears = None;
        return;
    }
    // Several commits in a row need to be asked after once.
    while listener.next_buffered().is_some() {}
}
