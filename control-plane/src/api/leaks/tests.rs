use std::time::Duration;

use portcullis_core::key::{Brand, Kind};
use portcullis_core::wire::{Content, Header, Page, Record};
use serde_json::{Value, json};

use crate::api::testing::{Harness, Person, text};
use crate::domain::gateway::Serves;
use crate::domain::user::RoleName;
use crate::storage::Delta;

const BOOTSTRAP: &str = "operator-token-of-the-tests-0123456789";

async fn report(harness: &Harness, by: &Person, body: &Value) -> Value {
    harness.call("POST", "/v1/leaks").by(by).json(body).send().await.expect(200)
}

fn outcomes(report: &Value) -> Vec<&str> {
    report["items"].as_array().unwrap().iter().map(|item| text(item, "outcome")).collect()
}

/// How many deletions a filter that has `from` is told of.
async fn deletions(harness: &Harness, from: u64) -> usize {
    let delta = harness.store.delta(from, harness.revision(), &Serves::Everything).await.unwrap();
    let Delta::Page { body, .. } = delta else { panic!("too far") };
    let content = Content::Delta { from, to: from + 1, more: false };
    let header = Header { poll: 0, epoch: harness.store.epoch(), now_ms: 0, content, lease: None };
    let page = Page::parse(&body.page(&header).unwrap()).unwrap();
    page.records.iter().filter(|record| matches!(record, Record::DeleteKey(_))).count()
}

#[tokio::test]
async fn a_reported_key_is_revoked_for_good_with_every_secret_that_it_has() {
    let harness = Harness::furnished().await;
    let operator = harness.person("olga", RoleName::Operator).await;
    let key = harness.issue("k").await;
    let path = format!("/v1/keys/{}", text(&key, "id"));
    let again = harness.post(&format!("{path}/reissue"), json!({"overlap_seconds": 60})).await.expect(201);
    let before = harness.revision();
    let body = json!({"secrets": [text(&key, "key")], "source": format!("a log with {}", text(&key, "key"))});
    let told = report(&harness, &operator, &body).await;
    let item = &told["items"][0];
    assert_eq!((text(item, "outcome"), text(item, "kind")), ("revoked", "serverless"));
    assert_eq!(item["key"], json!({"id": key["id"], "name": "k"}));
    assert_eq!((&item["masked"], &told["revoked"]), (&key["masked"], &json!(1)));
    assert_eq!(harness.get(&path).await.expect(200)["status"], "revoked");
    assert_eq!((harness.revision(), deletions(&harness, before).await), (before + 1, 2));
    let entries = harness.audit("action=leak.report").await;
    assert_eq!((entries.len(), &entries[0]["subject"]), (1, &key["id"]));
    assert_eq!(entries[0]["after"]["source"], format!("a log with {}", text(&key, "masked")));
    let audit = harness.audit("").await;
    let body = json!({"secrets": [text(&key, "key"), text(&again, "key")]});
    assert_eq!(outcomes(&report(&harness, &operator, &body).await), ["already_revoked", "already_revoked"]);
    assert_eq!((harness.revision(), harness.audit("").await), (before + 1, audit));
}

#[tokio::test]
async fn what_no_longer_works_is_already_revoked_and_an_expired_key_is_revoked() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let rotated = harness.issue("rotated").await;
    let path = format!("/v1/keys/{}", text(&rotated, "id"));
    harness.post(&format!("{path}/reissue"), json!({})).await.expect(201);
    let overlapped = harness.issue("overlapped").await;
    let overlapping = format!("/v1/keys/{}", text(&overlapped, "id"));
    harness.post(&format!("{overlapping}/reissue"), json!({"overlap_seconds": 1})).await.expect(201);
    let body = json!({"kind": "serverless", "name": "e", "expires_at": "2027-01-01T00:00:01Z"});
    let expired = harness.post("/v1/keys", body).await.expect(201);
    harness.advance(Duration::from_secs(1));
    let secrets = [&rotated, &overlapped, &expired].map(|key| text(key, "key").to_owned());
    let told = report(&harness, &ada, &json!({"secrets": secrets})).await;
    assert_eq!(outcomes(&told), ["already_revoked", "already_revoked", "revoked"]);
    for path in [path, overlapping] {
        assert_eq!(harness.get(&path).await.expect(200)["status"], "active");
    }
    // They are not the member's own.
    assert!(told["items"].as_array().unwrap().iter().all(|item| item["key"].is_null()));
}

#[tokio::test]
async fn ids_and_names_are_told_to_whom_may_see_them() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let ann = harness.person("ann", RoleName::Admin).await;
    let olga = harness.person("olga", RoleName::Operator).await;
    let key = harness.issue("k").await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let eve = harness.person_of("eve", RoleName::Admin, "other").await;
    let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
    let body = json!({"secrets": [text(&key, "key"), ada.token, text(&gateway, "token")]});
    for (person, sees) in [(&eve, [false; 3]), (&ann, [true, true, false]), (&olga, [true; 3])] {
        // The first to report is the one who is told least, and revokes.
        let told = report(&harness, person, &body).await;
        let told = told["items"].as_array().unwrap();
        let shown = [&told[0]["key"], &told[1]["token"], &told[2]["gateway"]].map(Value::is_object);
        assert_eq!(shown, sees, "{}", person.user.name);
    }
    harness.call("GET", "/v1/keys").by(&ada).send().await.expect(401);
}

#[tokio::test]
async fn what_would_cut_off_operators_or_filters_is_to_be_rotated() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
    let before = harness.audit("").await;
    let told = report(&harness, &ada, &json!({"secrets": [BOOTSTRAP, text(&gateway, "token")]})).await;
    assert_eq!(outcomes(&told), ["rotate", "rotate"]);
    assert_eq!((&told["items"][0]["masked"], text(&told["items"][0], "kind")), (&Value::Null, "access_token"));
    assert_eq!(text(&told["items"][1], "kind"), "gateway_token");
    assert!(told["items"].as_array().unwrap().iter().all(|item| item["detail"].is_string()));
    assert_eq!((&told["rotate"], harness.audit("").await), (&json!(2), before));
}

#[tokio::test]
async fn what_nobody_knows_is_unknown_and_nothing_of_it_is_repeated() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let stranger = harness.store.entropy().key(&Brand::default(), Kind::Access).unwrap();
    let mut mistyped = stranger.reveal().to_owned();
    mistyped.pop();
    mistyped.push(if stranger.reveal().ends_with('x') { 'y' } else { 'x' });
    let (before, fingerprint) = (harness.audit("").await, harness.fingerprint().await);
    let body = json!({"secrets": [stranger.reveal(), mistyped, "", "hunter2", stranger.reveal()]});
    let told = report(&harness, &ada, &body).await;
    let places = told["items"].as_array().unwrap().iter().map(|item| item["index"].clone()).collect::<Vec<_>>();
    assert_eq!((outcomes(&told), Value::from(places)), (vec!["unknown"; 4], json!([0, 1, 2, 3])));
    assert_eq!(told["items"][0]["masked"], stranger.masked());
    assert!(told["items"].as_array().unwrap()[1..].iter().all(|item| item["masked"].is_null()));
    for secret in ["hunter2", &mistyped, stranger.reveal()] {
        assert!(!told.to_string().contains(secret));
    }
    assert_eq!((harness.audit("").await, harness.fingerprint().await), (before, fingerprint));
}

#[tokio::test]
async fn every_key_in_a_pasted_text_is_found_once_and_all_go_in_one_revision() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let (one, two) = (harness.issue("one").await, harness.issue("two").await);
    let pasted = format!("A={}\nB={}\n{}", text(&one, "key"), text(&two, "key"), text(&one, "key"));
    let before = harness.revision();
    let told = report(&harness, &ada, &json!({"text": pasted})).await;
    assert_eq!((outcomes(&told), &told["revoked"]), (vec!["revoked", "revoked"], &json!(2)));
    assert_eq!((harness.revision(), deletions(&harness, before).await), (before + 1, 2));
    assert_eq!(report(&harness, &ada, &json!({"text": "nothing"})).await["items"], json!([]));
}

#[tokio::test]
async fn a_batch_of_a_thousand_fits() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let key = || harness.store.entropy().key(&Brand::default(), Kind::Access).unwrap().reveal().to_owned();
    let secrets: Vec<String> = (0..1_000).map(|_| key()).collect();
    assert_eq!(report(&harness, &ada, &json!({"secrets": secrets})).await["unknown"], 1_000);
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_refused_without_a_word_of_it() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    let secret = text(&key, "key");
    let before = harness.fingerprint().await;
    let cases = [
        (json!({}), ""),
        (json!({"secrets": [secret], "text": secret}), ""),
        (json!({"secrets": []}), "/secrets"),
        (json!({"secrets": vec!["x"; 1_001]}), "/secrets"),
        (json!({"text": ""}), "/text"),
        (json!({"text": secret, "source": format!("{secret}\n")}), "/source"),
        (json!({"secrets": secret}), ""),
        (json!({secret: 1}), ""),
        (json!(secret), ""),
        (json!({"text": [secret]}), ""),
    ];
    for (body, pointer) in cases {
        let answer = harness.post("/v1/leaks", body.clone()).await;
        assert!(!answer.json.to_string().contains(secret), "{body}");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let request = || harness.call("POST", "/v1/leaks").json(&json!({"secrets": ["x"]}));
    request().header("idempotency-key", "a b").send().await.expect(400);
    request().header("idempotency-key", "a").send().await.expect(200);
    assert!(!Value::from(harness.audit("").await).to_string().contains(secret));
    assert_eq!(harness.fingerprint().await, before);
    assert!(!format!("{:?}", serde_json::from_value::<super::ReportLeaks>(json!({"text": secret}))).contains(secret));
    harness.assert_guarded("POST", "/v1/leaks").await;
}
