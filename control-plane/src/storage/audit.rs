//! The audit: one row for each write, in its transaction.

use super::error::{StorageError, exactly_one};
use super::rows::{from_id, from_instant};
use super::write::Write;
use crate::domain::actor::Action;

impl Write {
    /// Records what was done to `subject`. It comes last in a write, when its revision is known.
    pub(super) async fn audit(&mut self, action: Action, subject: &str) -> Result<(), StorageError> {
        let token = self.actor.map(|actor| from_id(actor.token));
        let origin = self.actor.and_then(|actor| actor.origin);
        let (now, revision) = (self.now, self.revision());
        let done = sqlx::query(
            "INSERT INTO audit (at, token_id, action, subject, origin, revision)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(from_instant(now))
        .bind(token)
        .bind(action.name())
        .bind(subject)
        .bind(origin.map(|origin| origin.to_string()))
        .bind(revision.map(u64::cast_signed))
        .execute(self.connection())
        .await?;
        exactly_one("auditing", &done)
    }
}
