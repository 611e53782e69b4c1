use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::Cursor;
use serde_json::{Value, json};

use crate::api::testing::{Harness, text};

fn worker(harness: &Harness, revision: Option<u64>, bound_ms: Option<u64>) -> Worker {
    let epoch = harness.store.epoch();
    Worker {
        name: "w".to_owned(),
        node: Some("node-1".to_owned()),
        polls: 1,
        last_seen_ms: crate::api::testing::START_MS,
        applied: revision.map(|revision| Cursor { epoch, revision }),
        bound_ms,
        memory_bytes: None,
    }
}

fn polls(harness: &Harness, revision: Option<u64>, bound_ms: Option<u64>) {
    let worker = worker(harness, revision, bound_ms);
    harness.fleet.saw(GatewayId::from_number(1), worker, bound_ms).unwrap();
}

#[tokio::test]
async fn a_receipt_is_pending_until_the_worker_acknowledges_and_says_who_that_is() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    assert_eq!(key["propagation"]["status"], "complete", "nobody is to be waited for");
    let before = harness.revision();
    polls(&harness, Some(before), None);
    let path = format!("/v1/keys/{}?wait_ms=0", text(&key, "id"));
    let deleted = harness.delete(&path).await.expect(200);
    let receipt = &deleted["propagation"];
    assert_eq!((&receipt["status"], &receipt["revision"]), (&json!("pending"), &json!(before + 1)));
    let counts = ["workers_total", "workers_applied", "workers_stopped"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 0]);
    let expected = json!([{
        "gateway": GatewayId::from_number(1).to_string(), "node": "node-1", "worker": "w",
        "last_seen_at": "2027-01-01T00:00:00Z", "revision": before,
    }]);
    assert_eq!(receipt["pending"], expected);
    assert_eq!((&receipt["enforced_by"], &receipt["settling_until"]), (&Value::Null, &Value::Null));
    // A retry does nothing, and waits for the same.
    assert_eq!(harness.delete(&path).await.expect(200)["propagation"]["status"], "pending");
    polls(&harness, Some(before + 1), None);
    let later = harness.get(&format!("/v1/propagation/{}", before + 1)).await.expect(200);
    assert_eq!((&later["status"], &later["pending"]), (&json!("complete"), &json!([])));
    let again = harness.get(&format!("/v1/propagation/{}", before + 1)).await.expect(200);
    assert_eq!(again["elapsed_ms"], later["elapsed_ms"], "it was complete then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_the_worker_and_answers_as_soon_as_it_has_acknowledged() {
    let harness = Harness::furnished().await;
    polls(&harness, Some(harness.revision()), None);
    let acknowledged = harness.revision() + 1;
    let waiting = harness.call("POST", "/v1/keys?wait_ms=30000").json(&json!({"kind": "serverless", "name": "k"}));
    let waiting = tokio::spawn(waiting.send());
    while harness.revision() < acknowledged {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    polls(&harness, Some(acknowledged), None);
    let issued = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap().expect(201);
    assert_eq!(issued["propagation"]["status"], "complete");
    assert_eq!(issued["propagation"]["workers_applied"], 1);
}

#[tokio::test]
async fn under_a_bound_it_says_when_even_the_unreachable_have_stopped() {
    let harness = Harness::furnished().await;
    polls(&harness, Some(harness.revision()), Some(5_000));
    let issued = harness.post("/v1/keys?wait_ms=0", json!({"kind": "serverless", "name": "k"})).await.expect(201);
    let receipt = &issued["propagation"];
    assert_eq!(receipt["status"], "pending");
    // Five seconds, a thousandth of that and a second from when the revision was noted, a moment ago by the true clock.
    let enforced_by = text(receipt, "enforced_by");
    assert!(("2027-01-01T00:00:05Z".."2027-01-01T00:00:06.006Z").contains(&enforced_by), "{enforced_by}");
}

#[tokio::test]
async fn what_does_not_concern_filters_has_no_receipt_and_a_future_revision_is_not_there() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    let path = format!("/v1/keys/{}", text(&key, "id"));
    assert_eq!(harness.patch(&path, json!({"name": "new"})).await.expect(200)["propagation"], Value::Null);
    assert!(harness.get(&path).await.expect(200).get("propagation").is_none());
    harness.get(&format!("/v1/propagation/{}", harness.revision() + 1)).await.expect(404);
    for nothing in ["-1", "x", "99999999999999999999"] {
        harness.get(&format!("/v1/propagation/{nothing}")).await.expect(404);
    }
    for wait in ["-1", "30001", "x", "1.5"] {
        harness.delete(&format!("{path}?wait_ms={wait}")).await.expect(400);
    }
    assert_eq!(harness.get(&path).await.expect(200)["status"], "active");
    harness.assert_guarded("GET", "/v1/propagation/1").await;
}
