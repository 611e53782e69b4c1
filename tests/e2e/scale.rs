//! 100,000 keys: the snapshot comes in pages, is loaded in under two seconds, and its memory is known.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::convert::Infallible;
use std::str::FromStr;
use std::time::{Duration, Instant};

use portcullis_core::key::{ApiKind, Brand, Kind, PlainKey};
use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

const KEYS: u32 = 100_000;

fn key(number: u32) -> PlainKey {
    let key = PlainKey::generate(&Brand::default(), Kind::Api(ApiKind::Serverless), |random| {
        random.fill(7);
        // The number, in base 62 as the key itself, so that no two keys are the same.
        let mut rest = number;
        for place in random.iter_mut().take(4) {
            *place = u8::try_from(rest % 62).unwrap();
            rest /= 62;
        }
        Ok::<_, Infallible>(())
    });
    key.expect("a key")
}

/// Writes copies of an issued key into the database, which nobody has open: by the admin API it would take minutes.
async fn fill(house: &House, pattern: &IssuedKey, secrets: &[PlainKey]) {
    let file = house.folder().join("data/portcullis.db");
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{}", file.display())).unwrap();
    let mut connection = options.connect().await.unwrap();
    let first = pattern.id.parse::<portcullis_core::id::KeyId>().unwrap().number();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    for (number, secret) in (1..).zip(secrets) {
        sqlx::query(
            "INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at, \
             rate_limit_enabled) SELECT ?, kind, organization_id, name, ?, masked, search_text, created_by, issued_at, \
             rate_limit_enabled FROM keys WHERE id = ?",
        )
        .bind(i64::try_from(first + number).unwrap())
        .bind(secret.digest().as_bytes().as_slice())
        .bind(i64::try_from(first).unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    }
    sqlx::query("COMMIT").execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_are_loaded_in_pages_within_two_seconds() {
    let mut house = House::without_envoy().await;
    let pattern = house.issue("serverless", json!({})).await;
    house.stop_control_plane().await;
    let secrets = (1..KEYS).map(key).collect::<Vec<_>>();
    fill(&house, &pattern, &secrets).await;
    house.start_control_plane().await;

    let pages = house.snapshot_pages().await;
    let records = pages.iter().map(|page| page.records.len()).sum::<usize>();
    println!("snapshot: {records} records in {} pages", pages.len());
    assert!(pages.len() > 10);

    house.start_envoy(2).await;
    assert_loaded(&house).await;
    for secret in secrets.iter().step_by(9_999) {
        assert_eq!(house.call("/v1/models", secret.reveal()).await.status, 200);
    }
    let deleted = house.delete(&pattern.id).await;
    assert_eq!(deleted["status"], "revoked");
    house.wait_for("/v1/models", &pattern.secret, 401).await;
    assert_workers_are_listed(&house).await;
}

/// Every worker says in Envoy's log how long it took and how much memory it has.
async fn assert_loaded(house: &House) {
    let ready = || {
        let log = house.envoy_log();
        let lines = log.lines().filter_map(|line| line.split_once("portcullis: ready with "));
        lines.map(|(_, said)| said.to_owned()).collect::<Vec<_>>()
    };
    let start = Instant::now();
    // Two workers and the main thread.
    while ready().len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", ready());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for said in ready() {
        println!("a worker was ready with {said}");
        let numbers = said.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok());
        let [keys, _, took_ms, _] = numbers.collect::<Vec<u64>>()[..] else {
            panic!("unexpected: {said}");
        };
        assert_eq!(keys, u64::from(KEYS));
        assert!(took_ms < 2_000, "{said}");
    }
}

async fn assert_workers_are_listed(house: &House) {
    let workers = house.workers_at_head().await;
    for worker in &workers {
        assert_eq!(worker["node"], "local", "{worker}");
        assert!(worker["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 3_600_000), "{worker}");
    }
}
