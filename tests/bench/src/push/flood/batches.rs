//! Key changes in batches, committed as the storage layer commits one change: the lock first, one revision counted up,
//! rows and change log in the same transaction, and on PostgreSQL a notification. There is no audit entry, as no person
//! did it.
//!
//! A change confines a key to one API or takes that back, as `PATCH` with `apis` does. Workers have to learn of it, and no
//! index has to.

use portcullis_core::digest::Digest;
use portcullis_tests::bulk::Direct;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::estate::{Estate, LiveKey};

const LOCK_ON_POSTGRESQL: &str = "SELECT epoch FROM control FOR UPDATE";
const COUNT_UP: &str = "UPDATE control SET revision = revision + 1 RETURNING revision";

const CHANGE_ON_SQLITE: &str = "UPDATE keys SET apis = ? WHERE id = ?";
const LOG_ON_SQLITE: &str = "INSERT INTO changes (revision, key_digest, reach_before) VALUES (?, ?, ?)";

const CHANGE_ON_POSTGRESQL: &str = "UPDATE keys SET apis = $1 WHERE id = ANY($2)";
const LOG_ON_POSTGRESQL: &str = "INSERT INTO changes (revision, key_digest, reach_before)
    SELECT $1, digest, $2 FROM unnest($3::bytea[]) AS logged (digest)";
const TELL_ON_POSTGRESQL: &str = "SELECT true FROM (SELECT pg_notify('portcullis', '')) AS sent";

/// Changes of a hot set of keys, again and again.
#[derive(Debug)]
pub struct Batches {
    direct: Direct,
    ids: Vec<i64>,
    digests: Vec<Digest>,
    next: usize,
    /// What a key's `apis` are in this pass over the keys, and in the next one.
    apis: [Value; 2],
    organization: String,
}

/// One batch.
struct Batch<'a> {
    ids: &'a [i64],
    digests: &'a [Digest],
    apis: Option<String>,
    reach_before: String,
}

impl Batches {
    /// Changes of these keys.
    pub async fn new(estate: &Estate, hot: &[LiveKey]) -> Self {
        Self {
            direct: estate.house.direct().await,
            ids: hot.iter().map(|key| key.id.number().cast_signed()).collect(),
            digests: hot.iter().map(|key| key.digest).collect(),
            next: 0,
            apis: [json!([estate.house.serverless_api]), Value::Null],
            organization: estate.house.organization.clone(),
        }
    }

    /// Commits one revision in which the next keys change, `size` at most. Returns it.
    pub async fn commit(&mut self, size: usize) -> u64 {
        let keys = self.next..self.ids.len().min(self.next + size);
        let [apis, before] = &self.apis;
        let batch = Batch {
            ids: &self.ids[keys.clone()],
            digests: &self.digests[keys.clone()],
            apis: (!apis.is_null()).then(|| apis.to_string()),
            reach_before: json!({"kind": "serverless", "organization": self.organization, "apis": before}).to_string(),
        };
        let revision = match &mut self.direct {
            Direct::Sqlite(connection) => on_sqlite(connection, batch).await,
            Direct::Postgres(connection) => on_postgresql(connection, batch).await,
        };
        self.next = keys.end;
        if self.next == self.ids.len() {
            self.next = 0;
            self.apis.reverse();
        }
        revision.expect("a committed batch").cast_unsigned()
    }
}

async fn on_sqlite(connection: &mut SqliteConnection, batch: Batch<'_>) -> sqlx::Result<i64> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let revision: i64 = sqlx::query_scalar(COUNT_UP).fetch_one(&mut *transaction).await?;
    for (id, digest) in batch.ids.iter().zip(batch.digests) {
        sqlx::query(CHANGE_ON_SQLITE).bind(&batch.apis).bind(id).execute(&mut *transaction).await?;
        let log = sqlx::query(LOG_ON_SQLITE).bind(revision).bind(digest.as_bytes().as_slice());
        log.bind(&batch.reach_before).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(revision)
}

async fn on_postgresql(connection: &mut PgConnection, batch: Batch<'_>) -> sqlx::Result<i64> {
    let digests = batch.digests.iter().map(|digest| digest.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK_ON_POSTGRESQL).execute(&mut *transaction).await?;
    let revision: i64 = sqlx::query_scalar(COUNT_UP).fetch_one(&mut *transaction).await?;
    sqlx::query(CHANGE_ON_POSTGRESQL).bind(&batch.apis).bind(batch.ids).execute(&mut *transaction).await?;
    let log = sqlx::query(LOG_ON_POSTGRESQL).bind(revision).bind(&batch.reach_before).bind(digests);
    log.execute(&mut *transaction).await?;
    sqlx::query(TELL_ON_POSTGRESQL).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(revision)
}
