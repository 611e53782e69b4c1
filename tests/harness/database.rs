//! Where a house keeps its data: a SQLite file in its folder, or a PostgreSQL database of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::house::variable;

/// The server that `make test` starts.
const SERVER: &str = "PORTCULLIS_TEST_POSTGRES_URL";

/// A database for control planes.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file in the house's folder.
    Sqlite,
    /// A database on the server of the tests.
    Postgres(Postgres),
}

/// The address of a PostgreSQL database, in its parts.
#[derive(Debug, Clone)]
pub struct Postgres {
    user: String,
    address: SocketAddr,
    database: String,
}

impl Database {
    /// A new and empty database on the server of the tests. It goes with the server.
    pub async fn postgres() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let server = variable(SERVER).into_string().expect("an address");
        let rest = server.strip_prefix("postgres://").expect("a PostgreSQL address");
        let (user, rest) = rest.rsplit_once('@').expect("a user");
        let (address, _) = rest.split_once('/').expect("a database");
        let database = format!("house_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
        let mut connection = PgConnection::connect(&server).await.expect("the server of the tests");
        let create = AssertSqlSafe(format!("CREATE DATABASE {database}"));
        sqlx::query(create).execute(&mut connection).await.expect("a new database");
        connection.close().await.expect("a farewell");
        Self::Postgres(Postgres { user: user.to_owned(), address: address.parse().expect("an IP address"), database })
    }

    /// What tells a control plane of it. An environment, as other users of a machine can read command lines.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres(postgres) => vec![("PORTCULLIS_DATABASE_URL".to_owned(), postgres.url().into())],
        }
    }
}

impl Postgres {
    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same database by another way to its server.
    pub fn by_way_of(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Has the server end the sessions of clients that connect from these ports; how many there were.
    pub async fn terminate(&self, ports: &[u16]) -> usize {
        let mut connection = PgConnection::connect(&self.url()).await.expect("the database");
        let ports = ports.iter().copied().map(i32::from).collect::<Vec<_>>();
        let ended: Vec<bool> =
            sqlx::query_scalar("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1)")
                .bind(ports)
                .fetch_all(&mut connection)
                .await
                .expect("the sessions are ended");
        connection.close().await.expect("a farewell");
        ended.into_iter().filter(|ended| *ended).count()
    }

    /// The address as clients of PostgreSQL write it.
    pub fn url(&self) -> String {
        let Self { user, address, database } = self;
        format!("postgres://{user}@{address}/{database}")
    }
}
