use std::time::Duration;

use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::verdict::Refusal;
use serde_json::{Value, json};

use crate::api::testing::{Harness, Person, START_MS, text};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::RoleName;
use crate::storage::Used;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const OK: Outcome = Outcome::Answered(StatusClass::Success);

/// `acme` with three serverless APIs, `echo` among them.
async fn scene() -> Harness {
    let harness = Harness::furnished().await;
    for name in ["chat", "images"] {
        let body = json!({"name": name, "kind": "serverless", "match": {"path_prefix": format!("/{name}")}});
        harness.post("/v1/apis", body).await.expect(201);
    }
    harness
}

async fn issue(harness: &Harness, by: Option<&Person>, fields: Value) -> Value {
    harness.advance(Duration::from_millis(1));
    let mut body = json!({"kind": "serverless", "name": "k", "expires_at": "2029-01-01T00:00:00Z"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let call = harness.call("POST", "/v1/keys").json(&body);
    by.map_or_else(|| harness.call("POST", "/v1/keys").json(&body), |by| call.by(by)).send().await.expect(201)
}

async fn api_id(harness: &Harness, name: &str) -> String {
    let listed = harness.get("/v1/apis").await.expect(200);
    let found = listed["items"].as_array().unwrap().iter().find(|api| api["name"] == name).unwrap().clone();
    text(&found, "id").to_owned()
}

/// Has these calls counted, and nothing else.
async fn count(harness: &Harness, calls: &[(&Value, &str, Outcome)], days: u64) {
    let mut used = Vec::new();
    for (key, api, outcome) in calls {
        let key =
            harness.store.read().await.unwrap().view().key(text(key, "id").parse().unwrap()).await.unwrap().unwrap();
        let at = Timestamp::from_unix_ms(START_MS + days * DAY.as_millis() as u64);
        used.push(Used::once(&key, api_id(harness, api).await.parse().unwrap(), *outcome, at));
    }
    harness.store.fill_usage(&used).await;
}

async fn advice(harness: &Harness, query: &str) -> Vec<Value> {
    let page = harness.get(&format!("/v1/advice?{query}")).await.expect(200);
    assert_eq!(page["next_cursor"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

/// The reason of each piece of advice and the name of its key.
fn told(items: &[Value]) -> Vec<(&str, &str)> {
    items.iter().map(|item| (text(item, "reason"), text(&item["key"], "name"))).collect()
}

#[tokio::test]
async fn each_piece_of_advice_has_a_call_that_mends_it() {
    let harness = scene().await;
    let forever = issue(&harness, None, json!({"name": "forever", "expires_at": null})).await;
    issue(&harness, None, json!({"name": "ending", "expires_at": "2027-02-15T00:00:00Z"})).await;
    let scoped = issue(&harness, None, json!({"name": "scoped", "apis": ["echo", "chat", "images"]})).await;
    let open = issue(&harness, None, json!({"name": "open"})).await;
    harness.advance(40 * DAY);
    count(&harness, &[(&scoped, "echo", OK), (&scoped, "chat", OK), (&open, "echo", OK), (&forever, "echo", OK)], 39)
        .await;
    let used = [&forever, &scoped, &open].map(|key| text(key, "id").to_owned());
    harness.store.set_last_use(&used, harness.store.clock().now()).await;
    let given = advice(&harness, "").await;
    let expected = [
        ("never_expires", "forever"),
        ("unscoped", "forever"),
        ("unused", "ending"),
        ("expiring", "ending"),
        ("unused_scopes", "scoped"),
        ("unscoped", "open"),
    ];
    assert_eq!(told(&given), expected);
    assert_eq!(text(&given[4], "detail"), "It is confined to 3 APIs, and has called 2 of them in 30 days.");
    // Following one piece of advice takes it and nothing else away, but deletion, after which there is none at all.
    let mut left = expected.to_vec();
    for item in given.iter().rev() {
        let gone = (text(item, "reason"), text(&item["key"], "name"));
        let body = &item["mend"]["body"];
        let call = harness.call(text(&item["mend"], "method"), text(&item["mend"], "path"));
        let call = if body.is_null() { call } else { call.json(body) };
        call.send().await.expect(200);
        left.retain(|advice| *advice != gone);
        assert_eq!(told(&advice(&harness, "").await), left, "{item}");
    }
    assert!(left.is_empty());
}

#[tokio::test]
async fn advice_is_as_strict_as_it_is_asked_to_be() {
    let harness = scene().await;
    let key = issue(&harness, None, json!({"expires_at": "2027-01-31T00:00:00Z"})).await;
    harness.advance(10 * DAY + Duration::from_secs(1));
    for (query, expected) in [
        ("", &[][..]),
        ("unused_days=10", &["unused"]),
        ("unused_days=11", &[]),
        ("expiring_days=20", &["expiring"]),
        ("expiring_days=19", &[]),
        ("unused_days=10&expiring_days=20", &["unused", "expiring"]),
        ("unused_days=10&expiring_days=20&reason=expiring", &["expiring"]),
        ("unused_days=10&reason=unscoped", &[]),
        ("unused_days=10&organization=acme", &["unused"]),
    ] {
        let given = advice(&harness, query).await;
        assert_eq!(told(&given).into_iter().map(|(reason, _)| reason).collect::<Vec<_>>(), expected, "{query}");
    }
    // Used within that time.
    harness.store.set_last_use(&[text(&key, "id").to_owned()], Timestamp::from_unix_ms(START_MS + 2_000)).await;
    assert!(advice(&harness, "unused_days=10").await.is_empty());
}

#[tokio::test]
async fn what_was_refused_is_no_use_and_calls_of_long_ago_are_none() {
    let harness = scene().await;
    let open = issue(&harness, None, json!({})).await;
    count(&harness, &[(&open, "echo", OK), (&open, "chat", Outcome::Refused(Refusal::RateLimited))], 0).await;
    assert_eq!(told(&advice(&harness, "").await), [("unscoped", "k")]);
    let [item] = advice(&harness, "reason=unscoped").await.try_into().unwrap();
    assert_eq!(item["mend"]["body"]["apis"], json!([api_id(&harness, "echo").await]));
    harness.advance(20 * DAY);
    assert_eq!(told(&advice(&harness, "reason=unscoped").await), [("unscoped", "k")]);
    assert!(advice(&harness, "reason=unscoped&unused_days=19").await.is_empty());
    // Called all there are.
    for name in ["chat", "images"] {
        harness.delete(&format!("/v1/apis/{}", api_id(&harness, name).await)).await.expect(200);
    }
    assert!(advice(&harness, "reason=unscoped").await.is_empty());
}

#[tokio::test]
async fn dead_keys_need_no_advice_and_everyone_is_told_of_theirs() {
    let harness = scene().await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let ada = harness.person("ada", RoleName::Member).await;
    let admin = harness.person("admin", RoleName::Admin).await;
    let stranger = harness.person_of("stranger", RoleName::Admin, "other").await;
    for (by, name) in [(&ada, "ada's"), (&admin, "admin's"), (&stranger, "theirs")] {
        issue(&harness, Some(by), json!({"name": name, "expires_at": null})).await;
    }
    let dead = issue(&harness, Some(&ada), json!({"name": "dead", "expires_at": null})).await;
    harness.delete(&format!("/v1/keys/{}", text(&dead, "id"))).await.expect(200);
    issue(&harness, Some(&ada), json!({"name": "over", "expires_at": "2027-01-01T00:00:10Z"})).await;
    harness.advance(Duration::from_secs(60));
    let names = async |by: &Person, query: &str| {
        let page = harness.call("GET", &format!("/v1/advice?{query}")).by(by).send().await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| text(&item["key"], "name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ada, "").await, ["ada's"]);
    assert_eq!(names(&admin, "organization=acme").await, ["ada's", "admin's"]);
    assert_eq!(names(&stranger, "").await, ["theirs"]);
    harness.call("GET", "/v1/advice?organization=other").by(&ada).send().await.expect(404);
    assert_eq!(harness.audit("action=advice.read&outcome=refused").await.len(), 1);
    harness.get("/v1/advice?organization=nobody").await.expect(404);
    harness.assert_guarded("GET", "/v1/advice").await;
}

#[tokio::test]
async fn pages_go_on_after_the_last_key_of_the_one_before() {
    let harness = scene().await;
    for number in 0..5 {
        issue(&harness, None, json!({"name": number.to_string(), "expires_at": null})).await;
    }
    let (mut seen, mut query) = (Vec::new(), "/v1/advice?limit=2".to_owned());
    loop {
        let page = harness.get(&query).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(&item["key"], "name").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("/v1/advice?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_wrong_query_is_refused() {
    let harness = Harness::new().await;
    let wrong = [
        "unused_days=0",
        "unused_days=401",
        "expiring_days=0",
        "expiring_days=181",
        "reason=old",
        "limit=0",
        "limit=201",
        "cursor=x",
        "user=x",
    ];
    for query in wrong {
        harness.get(&format!("/v1/advice?{query}")).await.expect(400);
    }
}
