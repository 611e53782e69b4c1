//! Workers in the database: whom a receipt must wait for, across restarts and for every process that serves.
//!
//! A row is written by whoever heard the worker. What two processes say of one worker is put together so that no receipt can
//! be wrong: the later acknowledgement of one epoch; and of all else what goes with the worker's later poll, by the number
//! that the worker gave it, because clocks of two processes need not agree. Of one poll the longer bound counts.

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::{Unsaved, Worker};
use portcullis_core::wire::Cursor;
use sqlx::FromRow;

use super::error::StorageError;
use super::rows::{Columns, from_id, to_id};
use super::sql::{Dialect, sql};
use super::write::Write;
use super::{Store, View};
use crate::domain::audit::{Action, Entry, GoneWorker};

const WORKERS: Columns = Columns("workers");
/// The channel on which PostgreSQL tells that rows of workers were written.
pub(super) const WORKERS_CHANNEL: &str = "portcullis_workers";
/// How many rows one statement writes: ten values each, far below the limits of both databases.
const ROWS_MAX: usize = 100;

#[derive(FromRow)]
struct Row {
    gateway_id: i64,
    name: String,
    node: Option<String>,
    polls: i64,
    last_seen_at: i64,
    epoch: Option<i64>,
    revision: Option<i64>,
    bound_ms: Option<i64>,
    memory_bytes: Option<i64>,
}

impl TryFrom<Row> for (GatewayId, Worker) {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let count = |number: Option<i64>| number.map(|number| WORKERS.count(number)).transpose();
        let applied = row.epoch.zip(count(row.revision)?);
        let worker = Worker {
            name: row.name,
            node: row.node,
            polls: WORKERS.count(row.polls)?,
            last_seen_ms: WORKERS.instant(row.last_seen_at)?.unix_ms(),
            applied: applied.map(|(epoch, revision)| Cursor { epoch: to_id(epoch), revision }),
            bound_ms: count(row.bound_ms)?,
            memory_bytes: count(row.memory_bytes)?,
        };
        Ok((to_id(row.gateway_id), worker))
    }
}

impl View<'_> {
    /// Every worker that is counted.
    pub async fn workers(&mut self) -> Result<Vec<(GatewayId, Worker)>, StorageError> {
        let rows: Vec<Row> = sql("SELECT * FROM workers").all(self.session()).await?;
        rows.into_iter().map(TryFrom::try_from).collect()
    }

    /// Whether every living worker has been heard since the database was restored, if it ever was.
    pub async fn is_settled(&mut self) -> Result<bool, StorageError> {
        let (settled,): (bool,) = sql("SELECT settled FROM control").one(self.session()).await?;
        Ok(settled)
    }
}

impl Store {
    /// The workers that other processes have heard of last, for a database that can be served by several.
    pub async fn workers_of_others(&self) -> Result<Vec<(GatewayId, Worker)>, StorageError> {
        let mut read = self.read().await?;
        let query = sql("SELECT * FROM workers WHERE saved_by <> $1").bind(self.0.process);
        let rows: Vec<Row> = query.all(read.view().session()).await?;
        rows.into_iter().map(TryFrom::try_from).collect()
    }

    /// Writes what is known of these workers, all or nothing, and tells other processes.
    pub async fn save_workers(&self, workers: &[Unsaved]) -> Result<(), StorageError> {
        let mut transaction = self.0.database.begin().await?;
        for rows in workers.chunks(ROWS_MAX) {
            self.upsert(rows).execute(transaction.session()).await?;
        }
        if transaction.session().dialect() == Dialect::Postgres {
            let notify = sql("SELECT true FROM (SELECT pg_notify($1, $2)) AS sent")
                .bind(WORKERS_CHANNEL)
                .bind(self.0.process.to_string());
            let (_,): (bool,) = notify.one(transaction.session()).await?;
        }
        transaction.commit().await
    }

    fn upsert(&self, rows: &[Unsaved]) -> super::sql::Statement {
        let mut upsert = sql("INSERT INTO workers
             (gateway_id, name, node, polls, last_seen_at, epoch, revision, bound_ms, memory_bytes, saved_by) VALUES ");
        for (index, Unsaved { gateway, worker, .. }) in rows.iter().enumerate() {
            let applied = worker.applied;
            upsert.push(if index == 0 { "(" } else { ", (" }).push_bind(from_id(*gateway));
            upsert.push(", ").push_bind(worker.name.as_str()).push(", ").push_bind(worker.node.clone());
            upsert.push(", ").push_bind(worker.polls.cast_signed());
            upsert.push(", ").push_bind(worker.last_seen_ms.cast_signed());
            upsert.push(", ").push_bind(applied.map(|cursor| from_id(cursor.epoch)));
            upsert.push(", ").push_bind(applied.map(|cursor| cursor.revision.cast_signed()));
            upsert.push(", ").push_bind(worker.bound_ms.map(u64::cast_signed));
            upsert.push(", ").push_bind(worker.memory_bytes.map(u64::cast_signed));
            upsert.push(", ").push_bind(self.0.process).push(")");
        }
        upsert.push(
            " ON CONFLICT (gateway_id, name) DO UPDATE SET
                 node = excluded.node, memory_bytes = excluded.memory_bytes, saved_by = excluded.saved_by,
                 polls = CASE WHEN excluded.polls > workers.polls THEN excluded.polls ELSE workers.polls END,
                 last_seen_at = CASE WHEN excluded.polls > workers.polls
                     THEN excluded.last_seen_at ELSE workers.last_seen_at END,
                 epoch = CASE WHEN excluded.epoch IS NULL THEN workers.epoch ELSE excluded.epoch END,
                 revision = CASE WHEN excluded.epoch IS NULL THEN workers.revision
                     WHEN workers.epoch = excluded.epoch AND workers.revision > excluded.revision THEN workers.revision
                     ELSE excluded.revision END,
                 bound_ms = CASE WHEN excluded.polls > workers.polls THEN excluded.bound_ms
                     WHEN excluded.polls < workers.polls THEN workers.bound_ms
                     WHEN workers.bound_ms IS NULL OR excluded.bound_ms IS NULL THEN NULL
                     WHEN workers.bound_ms > excluded.bound_ms THEN workers.bound_ms ELSE excluded.bound_ms END",
        );
        upsert
    }

    /// Takes note that every living worker has been heard since the restore.
    pub async fn settle(&self) -> Result<(), StorageError> {
        let mut transaction = self.0.database.begin().await?;
        let settled = sql("UPDATE control SET settled = $1").bind(true).execute(transaction.session()).await?;
        super::error::exactly_one("settling", settled)?;
        transaction.commit().await
    }
}

impl Write {
    /// Forgets a worker, which from then on no receipt waits for. If another process has heard it since, its row
    /// stays, and so it goes on being counted.
    pub async fn forget_worker(
        &mut self,
        action: Action,
        gateway: GatewayId,
        worker: &Worker,
    ) -> Result<(), StorageError> {
        sql("DELETE FROM workers WHERE gateway_id = $1 AND name = $2 AND polls <= $3")
            .bind(from_id(gateway))
            .bind(worker.name.as_str())
            .bind(worker.polls.cast_signed())
            .execute(self.session())
            .await?;
        self.audit(Entry::new(action, Some(&GoneWorker(gateway, worker)), None)).await
    }
}
