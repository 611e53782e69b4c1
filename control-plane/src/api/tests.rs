//! What holds for every operation.

mod roles;

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{Harness, text};
use crate::domain::gateway::Serves;

#[tokio::test]
async fn what_is_not_there_is_404_and_what_cannot_be_done_there_is_405() {
    let harness = Harness::new().await;
    harness.get("/nothing").await.expect(404);
    harness.get("/v1/keys/key_nonsense").await.expect(404);
    let answer = harness.call("PUT", "/v1/keys").send().await;
    assert_eq!(answer.status, 405);
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn a_body_is_json_declared_as_such_and_not_too_long() {
    let harness = Harness::new().await;
    let send = |media_type: &'static str, body: String| {
        harness.call("POST", "/v1/organizations").body(media_type, body).send()
    };
    send("text/plain", r#"{"name":"a"}"#.to_owned()).await.expect(415);
    send("application/json", r#"{"name":"#.to_owned()).await.expect(400);
    send("application/json", "x".repeat(64 * 1024 + 1)).await.expect(413);
    send("application/json; charset=utf-8", r#"{"name":"a"}"#.to_owned()).await.expect(201);
}

#[tokio::test]
async fn a_locked_database_refuses_writes_and_serves_reads() {
    let harness = Harness::furnished().await;
    harness.store.lose_patience().await;
    let other = sqlx::SqlitePool::connect_with(
        sqlx::sqlite::SqliteConnectOptions::new().filename(harness.directory.path().join("portcullis.db")),
    );
    let lock = other.await.unwrap().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let answer = harness.post("/v1/keys", json!({"kind": "serverless", "name": "k"})).await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.expect(503);
    harness.get("/v1/keys").await.expect(200);
    assert!(harness.store.delta(0, 1, &Serves::Everything).await.is_ok());
    drop(lock);
    // The dropped transaction is rolled back in the background.
    for _ in 0..100 {
        let answer = harness.post("/v1/keys", json!({"kind": "serverless", "name": "k"})).await;
        if answer.status == 201 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the lock was not let go");
}

#[tokio::test]
async fn a_full_database_refuses_writes_and_serves_reads() {
    let harness = Harness::furnished().await;
    let before = harness.fingerprint().await;
    harness.store.forbid_growth().await;
    let name = "x".repeat(100);
    let mut refused = false;
    for _ in 0..400 {
        let answer = harness.post("/v1/keys", json!({"kind": "serverless", "name": name})).await;
        if answer.status == 503 {
            assert_eq!(answer.headers["retry-after"], "1");
            refused = true;
            break;
        }
        answer.expect(201);
    }
    assert!(refused);
    harness.get("/v1/keys").await.expect(200);
    assert_ne!(harness.fingerprint().await, before);
}

#[tokio::test]
async fn nothing_in_a_request_is_taken_for_sql() {
    let harness = Harness::furnished().await;
    let hostile = ["'; DROP TABLE keys; --", "\" OR 1=1 --", "%", "?1 $1 :q", "x' UNION SELECT digest FROM keys --"];
    for text in hostile {
        harness.post("/v1/organizations", json!({"name": text})).await.expect(201);
        let key = json!({"kind": "serverless", "name": text, "organization": text});
        harness.post("/v1/keys", key).await.expect(201);
        let query = |field: &str| {
            let encoded = text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            format!("/v1/keys?{field}={encoded}")
        };
        assert_eq!(harness.get(&query("q")).await.expect(200)["items"].as_array().unwrap().len(), 1);
        assert_eq!(harness.get(&query("organization")).await.expect(200)["items"].as_array().unwrap().len(), 1);
        for field in ["cursor", "limit", "kind", "status", "sort"] {
            harness.get(&query(field)).await.expect(400);
        }
        harness.post("/v1/keys", json!({"kind": "serverless", "name": "k", "apis": [text]})).await.expect(422);
    }
    assert_eq!(harness.get("/v1/keys").await.expect(200)["items"].as_array().unwrap().len(), hostile.len());
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    let (before, epoch) = (harness.fingerprint().await, harness.store.epoch());
    harness.store.close().await.unwrap();
    let again = Harness::on(harness.directory).await;
    assert_eq!(again.fingerprint().await, before);
    assert_eq!(again.store.epoch(), epoch);
    assert_eq!(again.get(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200)["name"], "k");
}

#[tokio::test]
async fn the_description_names_every_operation_and_every_reference_resolves() {
    let harness = Harness::new().await;
    let document = harness.call("GET", "/openapi.json").anonymous().send().await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().map(|item| item.as_object().unwrap().len()).sum::<usize>();
    assert_eq!(operations, 40);
    for path in ["/v1/keys", "/v1/keys/{id}", "/v1/keys/{id}/reissue", "/v1/apis", "/healthz"] {
        assert!(paths.contains_key(path), "{path}");
    }
    let issue = &document["paths"]["/v1/keys"]["post"];
    for status in ["201", "400", "401", "409", "413", "415", "422", "503"] {
        assert!(issue["responses"][status].is_object(), "{status}");
    }
    assert_references_resolve(&document, &document);
}

fn assert_references_resolve(document: &Value, part: &Value) {
    if let Some(reference) = part["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let children: Vec<&Value> = match part {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for child in children {
        assert_references_resolve(document, child);
    }
}
