//! The database of a house, written without its control plane: what would take hours by the admin API.
//!
//! It writes what the storage layer of the control plane writes, and must follow its tables (control-plane/migrations).
//! Workers hear of keys that are copied here only if they start afterwards, as a copy is no revision.

use std::convert::Infallible;

use portcullis_core::digest::Digest;
use portcullis_core::id::KeyId;
use portcullis_core::key::{ApiKind, Brand, Kind, PlainKey};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::database::Database;
use crate::house::House;

/// How many rows a statement writes on SQLite.
const ROWS_MAX: usize = 10_000;
const COPY_ON_POSTGRESQL: &str = "INSERT INTO keys
    (id, digest, kind, organization_id, name, masked, search_text, created_by, issued_at, rate_limit_enabled)
    SELECT copied.id, copied.digest, kind, organization_id, name, masked, search_text, created_by, issued_at,
        rate_limit_enabled
    FROM keys JOIN unnest($1::bigint[], $2::bytea[]) AS copied (id, digest) ON keys.id = $3";

/// A connection to the database itself.
#[derive(Debug)]
pub enum Direct {
    /// To the file.
    Sqlite(SqliteConnection),
    /// To the server.
    Postgres(PgConnection),
}

/// The serverless key with this number; another one for each number below 62 to the power of 4.
pub fn numbered_key(number: u32) -> PlainKey {
    let key = PlainKey::generate(&Brand::default(), Kind::Api(ApiKind::Serverless), |random| {
        random.fill(7);
        let mut rest = number;
        for place in random.iter_mut().take(4) {
            *place = u8::try_from(rest % 62).expect("less than 62");
            rest /= 62;
        }
        Ok::<_, Infallible>(())
    });
    key.expect("a key")
}

impl House {
    /// A connection to the house's database, whether or not a control plane has it open.
    pub async fn direct(&self) -> Direct {
        match self.database() {
            Database::Sqlite => {
                let file = self.folder().join("data/portcullis.db");
                // What is written here is not worth a disk's time.
                let options = SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Off);
                Direct::Sqlite(options.connect().await.expect("the database's file"))
            }
            Database::Postgres(postgres) => {
                Direct::Postgres(PgConnection::connect(&postgres.url()).await.expect("the database's server"))
            }
        }
    }
}

impl Direct {
    /// Writes a copy of the key `pattern` for each of `digests`, in one transaction. Their ids follow that of the pattern.
    pub async fn copy_key(&mut self, pattern: KeyId, digests: &[Digest]) -> Vec<KeyId> {
        let first = pattern.number();
        let ids = (first + 1..).take(digests.len()).map(KeyId::from_number).collect::<Vec<_>>();
        match self {
            Self::Sqlite(connection) => {
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
                let rows = ids.iter().zip(digests).collect::<Vec<_>>();
                for rows in rows.chunks(ROWS_MAX) {
                    let copy = sqlx::query(AssertSqlSafe(copy_on_sqlite(first, rows)));
                    copy.execute(&mut *transaction).await.expect("copied keys");
                }
                transaction.commit().await.expect("copied keys");
            }
            Self::Postgres(connection) => {
                let digests = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect::<Vec<_>>();
                let ids = ids.iter().map(|id| id.number().cast_signed()).collect::<Vec<_>>();
                let copy = sqlx::query(COPY_ON_POSTGRESQL).bind(ids).bind(digests).bind(first.cast_signed());
                copy.execute(connection).await.expect("copied keys");
            }
        }
        ids
    }

    /// Executes a statement; how many rows it has changed.
    pub async fn execute(&mut self, statement: String) -> u64 {
        let statement = AssertSqlSafe(statement);
        match self {
            Self::Sqlite(connection) => {
                sqlx::query(statement).execute(connection).await.expect("the rows are written").rows_affected()
            }
            Self::Postgres(connection) => {
                sqlx::query(statement).execute(connection).await.expect("the rows are written").rows_affected()
            }
        }
    }

    /// The digests of all live keys.
    pub async fn live_digests(&mut self) -> Vec<Digest> {
        let select = "SELECT digest FROM keys WHERE revoked_at IS NULL";
        let rows: Result<Vec<Vec<u8>>, _> = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(select).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(select).fetch_all(connection).await,
        };
        let digest = |row: Vec<u8>| Digest::from_bytes(row.try_into().expect("32 bytes"));
        rows.expect("the live keys").into_iter().map(digest).collect()
    }

    /// The newest revision.
    pub async fn head(&mut self) -> u64 {
        let select = "SELECT revision FROM control";
        let head: Result<i64, _> = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(select).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(select).fetch_one(connection).await,
        };
        head.expect("the control row").cast_unsigned()
    }

    /// The revision of the last logged change of the key with this digest.
    pub async fn last_change(&mut self, digest: &Digest) -> u64 {
        let select = "SELECT max(revision) FROM changes WHERE key_digest = $1";
        let digest = digest.as_bytes().as_slice();
        let revision: Result<Option<i64>, _> = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(select).bind(digest).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(select).bind(digest).fetch_one(connection).await,
        };
        revision.expect("the change log").expect("a change of the key").cast_unsigned()
    }
}

/// A statement that writes these copies of a key: a million rows, each with one of its own, would take a minute.
fn copy_on_sqlite(pattern: u64, rows: &[(&KeyId, &Digest)]) -> String {
    let rows = rows.iter().map(|(id, digest)| format!("({}, x'{digest}')", id.number()));
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO keys
        (id, digest, kind, organization_id, name, masked, search_text, created_by, issued_at, rate_limit_enabled)
        SELECT copied.column1, copied.column2, kind, organization_id, name, masked, search_text, created_by, issued_at,
            rate_limit_enabled
        FROM (VALUES {rows}) AS copied JOIN keys ON keys.id = {pattern}"
    )
}
