//! What only PostgreSQL has: a server, whose databases the tests create, and other processes that hear of a commit.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};

use super::*;

/// The server that `make test` starts.
const SERVER: &str = "PORTCULLIS_TEST_POSTGRES_URL";

/// A new and empty database on the server of the tests. It goes with the server.
pub async fn new_database() -> Location {
    new_database_and_its_url().await.0
}

/// The same, with its URL for whoever is to do something to it first.
pub async fn new_database_and_its_url() -> (Location, String) {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} is not set: run `make test`"));
    let database = format!("test_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    let url = format!("{address}/{database}");
    (Location::Postgres(url.parse().unwrap()), url)
}

#[tokio::test]
async fn another_process_hears_of_a_commit_at_once() {
    let fixture = Fixture::postgres().await;
    let other = open(&fixture.location).await;
    let listening = tokio::spawn({
        let other = other.clone();
        async move { other.keep_current().await }
    });
    // Until it listens, it hears by asking; afterwards at once.
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let mut news = other.feed().subscribe();
        news.mark_unchanged();
        let started = Instant::now();
        fixture.issue_many(1).await;
        news.changed().await.unwrap();
        assert_eq!(other.feed().news().revision, fixture.store.feed().news().revision);
        if round > 1 {
            slowest = slowest.max(started.elapsed());
        }
    }
    println!("from before an issue until another process has heard of it: at most {slowest:?} in 8 rounds");
    other.close().await.unwrap();
    listening.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so_without_the_password() {
    let location = Location::Postgres("postgres://ada:secret@127.0.0.1:1/keys".parse().unwrap());
    let options = StoreOptions {
        location,
        busy_timeout: Duration::from_secs(1),
        clock: Clock::system(),
        entropy: Entropy::system(),
    };
    let error = Store::open(&options).await.unwrap_err();
    assert!(matches!(error, OpenError::Open { .. }));
    let said = format!("{error} {error:?}");
    assert!(said.contains("127.0.0.1:1/keys") && !said.contains("secret"), "{said}");
}
