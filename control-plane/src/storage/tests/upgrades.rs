//! What becomes of a database that an earlier version has left.

use portcullis_core::limit::{Mode, Per, Policy, Rule, Unit};
use portcullis_core::wire::Record;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::replica::records;
use super::*;
use crate::domain::api::Api;
use crate::domain::gateway::Serves;

/// What a database held whose filters were told of no rate limit: an API with a policy, a key that is held to it, and
/// the log of both.
fn before_rate_limits(digest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        r#"INSERT INTO control (only_row, epoch, revision, pruned_revision) VALUES (1, 7, 3, 0);
        INSERT INTO organizations (id, name, created_at) VALUES (10, 'acme', 1);
        INSERT INTO users (id, name, role, created_at) VALUES (20, 'operator', 'operator', 1);
        INSERT INTO apis (id, name, kind, organization_id, hosts, path_prefix, rate_limit, forward_credential, created_at)
            VALUES (40, 'echo', 'dedicated', 10, '[]', '/v1',
                '{{"rules":[{{"unit":"requests","limit":60,"window_seconds":60,"burst":10}}]}}', FALSE, 1);
        INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                rate_limit_enabled)
            VALUES (50, 'dedicated', 10, 'k', {digest}, 'm', 'k', 20, 1, TRUE);
        INSERT INTO changes (revision, api_id) VALUES (1, 40);
        INSERT INTO changes (revision, key_digest) VALUES (3, {digest});"#
    ))
}

/// What a database held that knew prices without their history, and no usage: an API with a price and one without, and
/// the log of both and of a key.
fn before_usage(digest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        r#"INSERT INTO control (only_row, epoch, revision, pruned_revision) VALUES (1, 7, 3, 0);
        INSERT INTO organizations (id, name, created_at) VALUES (10, 'acme', 1);
        INSERT INTO users (id, name, role, created_at) VALUES (20, 'operator', 'operator', 1);
        INSERT INTO apis (id, name, kind, hosts, path_prefix, price, forward_credential, created_at) VALUES
            (40, 'echo', 'serverless', '[]', '/v1', '{{"per_call_micros":5}}', FALSE, 2),
            (41, 'free', 'serverless', '[]', '/v2', NULL, FALSE, 3);
        INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                rate_limit_enabled)
            VALUES (50, 'serverless', 10, 'k', {digest}, 'm', 'k', 20, 1, FALSE);
        INSERT INTO changes (revision, api_id) VALUES (1, 40), (2, 41);
        INSERT INTO changes (revision, key_digest) VALUES (3, {digest});"#
    ))
}

async fn assert_that_prices_and_the_log_are_kept(location: &Location) {
    let store = open(location).await;
    assert_eq!(store.feed().news().revision, 3);
    let Delta::Page { to: 3, body, .. } = store.delta(0, 3, &Serves::Everything).await.unwrap() else {
        panic!("the log is lost");
    };
    let told = records(&body);
    let [Record::Api(echo), Record::Api(free), Record::Key(key)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((echo.price_version, echo.count_tokens, free.price_version), (1, true, 1));
    assert!(!key.over_budget);
    let mut write = store.write(None).await.unwrap();
    let prices = write.view().prices(&[echo.id, free.id], &[1]).await.unwrap();
    let per_call = |id| prices[id].numbered(1).map(|price| price.per_call_micros);
    assert_eq!((per_call(&echo.id), per_call(&free.id)), (Some(5), None));
    // The next price has the next number.
    let before = write.view().api(echo.id).await.unwrap().unwrap();
    let after = write.change_api(&before, Api { price: None, ..before.clone() }).await.unwrap().unwrap();
    assert_eq!((after.price_version, write.commit().await.unwrap()), (2, Some(4)));
}

#[tokio::test]
async fn an_old_sqlite_database_gets_a_history_of_prices_and_keeps_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.db");
    let mut old = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    first(sqlx::migrate!("migrations/sqlite"), 4).run(&mut old).await.unwrap();
    let digest = format!("x'{}'", "01".repeat(32));
    sqlx::raw_sql(before_usage(&digest)).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    assert_that_prices_and_the_log_are_kept(&Location::Sqlite(path)).await;
}

#[tokio::test]
async fn an_old_postgres_database_gets_a_history_of_prices_and_keeps_its_log() {
    let (location, url) = postgres::new_database_and_its_url().await;
    let mut old = PgConnection::connect(&url).await.unwrap();
    first(sqlx::migrate!("migrations/postgres"), 3).run(&mut old).await.unwrap();
    let digest = format!("'\\x{}'", "01".repeat(32));
    sqlx::raw_sql(before_usage(&digest)).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    assert_that_prices_and_the_log_are_kept(&location).await;
}

/// The first so many migrations.
fn first(mut all: Migrator, many: usize) -> Migrator {
    all.migrations.to_mut().truncate(many);
    all
}

fn the_policy() -> Policy {
    let rule = Rule { unit: Unit::Requests, limit: 60, window_seconds: 60, burst: 10, mode: Mode::Enforce };
    Policy { per: Per::Key, rules: vec![rule] }
}

async fn assert_that_workers_are_told(location: &Location) {
    let store = open(location).await;
    assert_eq!((store.epoch().number(), store.feed().news().revision), (7, 4));
    // A worker that had everything.
    assert!(matches!(store.delta(3, 4, &Serves::Everything).await.unwrap(), Delta::TooFar));
    let snapshot = store.snapshot(&Serves::Everything).await.unwrap();
    let told = records(&snapshot.pages[0]);
    let [Record::Api(api), Record::Key(key)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((snapshot.at.revision, &api.rate_limit), (4, &Some(the_policy())));
    assert!(key.rate_limited);
    // From then on it is told of changes, one by one.
    let mut write = store.write(None).await.unwrap();
    let before = write.view().key(key.id).await.unwrap().unwrap();
    let after = Key { rate_limit_enabled: false, ..before.clone() };
    write.change_key(&before, after.clone()).await.unwrap();
    assert_eq!(write.commit().await.unwrap(), Some(5));
    let Delta::Page { to: 5, body, .. } = store.delta(4, 5, &Serves::Everything).await.unwrap() else {
        panic!("no delta after the snapshot");
    };
    assert_eq!(records(&body), [Record::Key(after.record())]);
    // Another start is no upgrade.
    assert_eq!(open(location).await.feed().news().revision, 5);
}

#[tokio::test]
async fn workers_are_told_of_the_policies_that_sqlite_had_kept_from_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.db");
    let mut old = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    first(sqlx::migrate!("migrations/sqlite"), 3).run(&mut old).await.unwrap();
    let digest = format!("x'{}'", "01".repeat(32));
    sqlx::raw_sql(before_rate_limits(&digest)).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    assert_that_workers_are_told(&Location::Sqlite(path)).await;
}

#[tokio::test]
async fn workers_are_told_of_the_policies_that_postgres_had_kept_from_them() {
    let (location, url) = postgres::new_database_and_its_url().await;
    let mut old = PgConnection::connect(&url).await.unwrap();
    first(sqlx::migrate!("migrations/postgres"), 2).run(&mut old).await.unwrap();
    let digest = format!("'\\x{}'", "01".repeat(32));
    sqlx::raw_sql(before_rate_limits(&digest)).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    assert_that_workers_are_told(&location).await;
}
