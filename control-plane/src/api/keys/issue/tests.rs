use std::time::Duration;

use portcullis_core::key::{ApiKind, Brand, Kind, parse};
use serde_json::{Value, json};

use crate::api::testing::{Answer, Harness, text, without_receipt};

async fn issue_as(harness: &Harness, idempotency_key: &str, body: &Value) -> Answer {
    let call = harness.call("POST", "/v1/keys").header("idempotency-key", idempotency_key);
    call.json(body).send().await
}

#[tokio::test]
async fn a_key_is_issued_and_its_secret_shown_once() {
    let harness = Harness::furnished().await;
    let before = harness.revision();
    let body = json!({"kind": "ded", "name": " batch ", "expires_at": "2027-06-01T02:00:00+02:00",
                      "apis": ["private-echo", "private-echo"], "rate_limit_enabled": true, "organization": "acme",
                      "monthly_budget": {"cost_micros": 5, "tokens": 7}});
    let answer = harness.post("/v1/keys", body).await;
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    let mut key = answer.expect(201);
    assert_eq!(location, format!("/v1/keys/{}", text(&key, "id")));
    assert_eq!(harness.revision(), before + 1);
    let secret = text(&key, "key").to_owned();
    assert_eq!(parse(&Brand::default(), secret.as_bytes()), Ok(Kind::Api(ApiKind::Dedicated)));
    let expected = [
        ("kind", json!("dedicated")),
        ("name", json!("batch")),
        ("issued_at", json!("2027-01-01T00:00:00Z")),
        ("expires_at", json!("2027-06-01T00:00:00Z")),
        ("rate_limit_enabled", json!(true)),
        ("monthly_budget", json!({"cost_micros": 5, "tokens": 7})),
        ("over_budget", json!(false)),
        ("status", json!("active")),
        ("last_used_at", json!(null)),
    ];
    for (field, value) in expected {
        assert_eq!(key[field], value, "{field}");
    }
    assert_eq!(key["apis"].as_array().unwrap().len(), 1);
    assert!(text(&key, "created_by").starts_with("usr_"));
    assert!(text(&key, "organization").starts_with("org_"));
    assert_eq!(text(&key, "masked"), format!("pc_ded_{}…{}", &secret[7..9], &secret[secret.len() - 4..]));
    key.as_object_mut().unwrap().remove("key");
    let key = without_receipt(key);
    let shown = harness.get(&location).await.expect(200);
    assert_eq!(shown, key);
    let listed = harness.get("/v1/keys").await.expect(200);
    assert_eq!(listed["items"], json!([key]));
}

#[tokio::test]
async fn what_is_left_out_has_a_default() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "sls", "name": "k", "expires_at": null, "apis": null, "rate_limit_enabled": null,
                      "monthly_budget": null, "organization": null});
    let key = harness.post("/v1/keys", body).await.expect(201);
    assert_eq!(
        (&key["expires_at"], &key["apis"], &key["rate_limit_enabled"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_issued() {
    let harness = Harness::furnished().await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let foreign =
        json!({"name": "foreign", "kind": "dedicated", "organization": "other", "match": {"path_prefix": "/f"}});
    harness.post("/v1/apis", foreign).await.expect(201);
    let before = harness.fingerprint().await;
    let many = vec!["echo"; 101];
    let cases = [
        (json!({"name": "k"}), "/kind"),
        (json!({"kind": "adm"}), "/kind"),
        (json!({"kind": "serverless", "name": "a\u{0}b"}), "/name"),
        (json!({"name": "x".repeat(101)}), "/name"),
        (json!({"name": 7}), "/name"),
        (json!({"expires_at": "2026-12-31T23:59:59Z"}), "/expires_at"),
        (json!({"expires_at": "2027-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"expires_at": 1_800_000_000}), "/expires_at"),
        (json!({"apis": []}), "/apis"),
        (json!({"apis": many}), "/apis"),
        (json!({"apis": ["echo", "nothing"]}), "/apis/1"),
        (json!({"apis": ["private-echo"]}), "/apis/0"),
        (json!({"kind": "dedicated", "apis": ["foreign"]}), "/apis/0"),
        (json!({"rate_limit_enabled": true}), "/rate_limit_enabled"),
        (json!({"monthly_budget": {}}), "/monthly_budget"),
        (json!({"monthly_budget": {"tokens": 1.5}}), "/monthly_budget/tokens"),
        (json!({"organization": "nobody"}), "/organization"),
        (json!({"organization": null}), "/organization"),
        (json!({"secret": "mine"}), "/secret"),
    ];
    for (changes, pointer) in cases {
        let mut body = json!({"kind": "serverless", "name": "k", "organization": "acme"});
        if pointer == "/kind" {
            body.as_object_mut().unwrap().remove("kind");
        }
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let pointers = harness.post("/v1/keys", body.clone()).await.pointers();
        let expected = if body.get("kind").is_none() { "" } else { pointer };
        assert_eq!(pointers, [expected], "{body}");
    }
    assert_eq!(harness.fingerprint().await, before);
    harness.assert_guarded("POST", "/v1/keys").await;
}

#[tokio::test]
async fn a_retry_gives_the_same_key_a_new_secret_and_kills_the_lost_one() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "k"});
    let first = issue_as(&harness, "try-1", &body).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let first = first.expect(201);
    let retry = issue_as(&harness, "try-1", &body).await;
    assert_eq!(retry.headers["idempotency-replayed"], "true");
    let retry = retry.expect(201);
    assert_eq!(retry["id"], first["id"]);
    assert_ne!(retry["key"], first["key"]);
    assert_eq!(harness.store.snapshot(&crate::domain::gateway::Serves::Everything).await.unwrap().keys, 1);
    let another = issue_as(&harness, "try-2", &body).await.expect(201);
    assert_ne!(another["id"], first["id"]);
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request_for_a_day() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "k"});
    let first = issue_as(&harness, "try-1", &body).await.expect(201);
    let other = json!({"kind": "serverless", "name": "other"});
    issue_as(&harness, "try-1", &other).await.expect(422);
    harness.advance(Duration::from_secs(24 * 60 * 60));
    let later = issue_as(&harness, "try-1", &other).await;
    assert!(!later.headers.contains_key("idempotency-replayed"));
    assert_ne!(later.expect(201)["id"], first["id"]);
}

#[tokio::test]
async fn a_retry_brings_no_deleted_or_expired_key_back() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "k", "expires_at": "2027-01-01T00:00:01Z"});
    let first = issue_as(&harness, "try-1", &body).await.expect(201);
    issue_as(&harness, "try-2", &body).await.expect(201);
    harness.delete(&format!("/v1/keys/{}", text(&first, "id"))).await.expect(200);
    issue_as(&harness, "try-1", &body).await.expect(409);
    harness.advance(Duration::from_secs(1));
    issue_as(&harness, "try-2", &body).await.expect(409);
}

#[tokio::test]
async fn an_idempotency_key_is_short_and_visible() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "k"});
    for idempotency_key in ["", "a b", "\t", &"x".repeat(256)] {
        issue_as(&harness, idempotency_key, &body).await.expect(400);
    }
    issue_as(&harness, &"x".repeat(255), &body).await.expect(201);
}

#[tokio::test]
async fn concurrent_retries_leave_one_key_with_one_live_secret() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "k"});
    let retries = (0..8).map(|_| {
        let call = harness.call("POST", "/v1/keys").header("idempotency-key", "race").json(&body);
        tokio::spawn(call.send())
    });
    let mut ids = Vec::new();
    for retry in retries.collect::<Vec<_>>() {
        ids.push(retry.await.unwrap().expect(201)["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(harness.store.snapshot(&crate::domain::gateway::Serves::Everything).await.unwrap().keys, 1);
}
