use std::time::Duration;

use serde_json::{Value, json};

use crate::api::testing::{Harness, Person, text};
use crate::domain::actor::Actor;
use crate::domain::audit::Action;
use crate::domain::user::RoleName;

async fn actions(harness: &Harness, query: &str) -> Vec<String> {
    harness.audit(query).await.iter().map(|entry| text(entry, "action").to_owned()).collect()
}

#[tokio::test]
async fn an_entry_says_who_did_what_and_what_was_before_and_after() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let body = json!({"kind": "serverless", "name": "old"});
    let key = harness.call("POST", "/v1/keys").by(&ada).json(&body).send().await.expect(201);
    let path = format!("/v1/keys/{}", text(&key, "id"));
    harness.call("PATCH", &path).by(&ada).json(&json!({"name": "new"})).send().await.expect(200);
    let entry = harness.audit("").await.swap_remove(0);
    let expected = json!({
        "at": "2027-01-01T00:00:00Z", "user": ada.user.id, "user_name": "ada", "action": "key.change",
        "subject": key["id"], "organization": key["organization"], "outcome": "done", "status": null, "origin": null,
        "revision": null,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(entry[field], *value, "{field}");
    }
    assert!(text(&entry, "token").starts_with("tok_") && entry["sequence"].is_u64());
    assert_eq!((&entry["before"]["name"], &entry["after"]["name"]), (&json!("old"), &json!("new")));
    harness.call("DELETE", &path).by(&ada).send().await.expect(200);
    assert_eq!(harness.audit("").await[0]["revision"], harness.revision());
}

#[tokio::test]
async fn entries_are_filtered() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    harness.advance(Duration::from_secs(10));
    let key = harness.issue("k").await;
    let path = format!("/v1/keys/{}", text(&key, "id"));
    harness.call("DELETE", &path).by(&ada).send().await.expect(404);
    harness.advance(Duration::from_secs(10));
    harness.delete(&path).await.expect(200);
    let cases = [
        (format!("subject={}", text(&key, "id")), &["key.delete", "key.delete", "key.issue"][..]),
        (format!("user={}", ada.user.id), &["key.delete"]),
        ("action=key.issue".to_owned(), &["key.issue"]),
        ("action=api.create&organization=acme".to_owned(), &["api.create"]),
        (format!("organization={}&outcome=done&action=key.delete", text(&key, "organization")), &["key.delete"]),
        ("outcome=refused".to_owned(), &["key.delete"]),
        ("outcome=done&from=2027-01-01T00:00:10Z".to_owned(), &["key.delete", "key.issue"]),
        ("from=2027-01-01T00:00:10Z&to=2027-01-01T00:00:20Z".to_owned(), &["key.delete", "key.issue"]),
        ("from=2027-01-01T00:00:20Z".to_owned(), &["key.delete"]),
        ("from=9999-12-31T23:59:59-01:00".to_owned(), &[]),
        ("to=0001-01-01T00:00:00Z".to_owned(), &[]),
        ("organization=nobody".to_owned(), &[]),
        ("user=nobody".to_owned(), &[]),
        ("subject=key_0000000000000".to_owned(), &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(actions(&harness, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_entries_come() {
    let harness = Harness::furnished().await;
    for number in 0..5 {
        harness.issue(&number.to_string()).await;
    }
    let all = harness.audit("").await;
    let (mut seen, mut query) = (Vec::new(), "/v1/audit?limit=3".to_owned());
    loop {
        let page = harness.get(&query).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("/v1/audit?limit=3&cursor={cursor}");
        harness.issue("new").await;
    }
    assert_eq!(seen, all);
}

/// A call that somebody made.
async fn issued_by(harness: &Harness, person: &Person, name: &str) -> Value {
    let body = json!({"kind": "serverless", "name": name});
    harness.call("POST", "/v1/keys").by(person).json(&body).send().await.expect(201)
}

#[tokio::test]
async fn an_admin_sees_what_concerns_the_organization_and_nothing_of_another() {
    let harness = Harness::furnished().await;
    let other = harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let ann = harness.person("ann", RoleName::Admin).await;
    let eve = harness.person_of("eve", RoleName::Admin, "other").await;
    let (ours, theirs) = (issued_by(&harness, &ann, "ours").await, issued_by(&harness, &eve, "theirs").await);
    let path = format!("/v1/keys/{}", text(&ours, "id"));
    harness.call("GET", &path).by(&eve).send().await.expect(404);
    harness.get("/v1/gateways/gtw_0000000000000").await.expect(404);
    let read = async |person: &Person, query: &str| {
        let page = harness.call("GET", &format!("/v1/audit?limit=200&{query}")).by(person).send().await.expect(200);
        page["items"].as_array().unwrap().clone()
    };
    for (person, own) in [(&ann, &ours["organization"]), (&eve, &other["id"])] {
        let entries = read(person, "").await;
        assert!(entries.len() >= 3 && entries.iter().all(|entry| entry["organization"] == *own), "{entries:?}");
    }
    assert_eq!(read(&ann, "organization=acme").await, read(&ann, "").await);
    let foreign = [
        "organization=other".to_owned(),
        format!("organization={}", text(&other, "id")),
        format!("subject={}", text(&theirs, "id")),
        format!("user={}", eve.user.id),
    ];
    for query in foreign {
        assert_eq!(read(&ann, &query).await, Vec::<Value>::new(), "{query}");
    }
    assert_eq!(read(&eve, "outcome=refused").await[0]["subject"], ours["id"]);
    assert_eq!(read(&ann, "outcome=refused").await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_admin_is_not_told_which_stranger_did_something_to_theirs() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let ann = harness.person("ann", RoleName::Admin).await;
    let eve = harness.person_of("eve", RoleName::Member, "other").await;
    let digest = crate::bearer::digest_of(&bearer(&eve.token)).unwrap();
    let token = harness.store.read().await.unwrap().view().bearer(digest, harness.store.clock().now()).await;
    let origin = Some([192, 0, 2, 7].into());
    let actor = Actor { user: eve.user.id, token: token.unwrap().unwrap().token, role: eve.user.role, origin };
    let mut write = harness.store.write(Some(actor)).await.unwrap();
    let stored = write.view().key(text(&key, "id").parse().unwrap()).await.unwrap().unwrap();
    write.revoke_key(&stored, Action::LeakReport).await.unwrap();
    write.commit().await.unwrap();
    let of_all = harness.audit("action=leak.report").await.swap_remove(0);
    assert_eq!((text(&of_all, "user_name"), text(&of_all, "origin")), ("eve", "192.0.2.7"));
    let seen = harness.call("GET", "/v1/audit?action=leak.report").by(&ann).send().await.expect(200);
    for field in ["user", "user_name", "token", "origin"] {
        assert_eq!(seen["items"][0][field], Value::Null, "{field}");
    }
    assert_eq!(seen["items"][0]["subject"], key["id"]);
}

fn bearer(token: &str) -> axum::http::HeaderMap {
    let value = format!("Bearer {token}").parse().unwrap();
    axum::http::HeaderMap::from_iter([(axum::http::header::AUTHORIZATION, value)])
}

#[tokio::test]
async fn no_secret_and_no_digest_is_anywhere_in_it() {
    use portcullis_core::digest::Digest;
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let key = harness.issue("k").await;
    let path = format!("/v1/keys/{}", text(&key, "id"));
    let again = harness.post(&format!("{path}/reissue"), json!({"overlap_seconds": 60})).await.expect(201);
    harness.delete(&path).await.expect(200);
    harness.post(&format!("{path}/reissue"), json!({})).await.expect(409);
    let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
    let secrets = [text(&key, "key"), text(&again, "key"), text(&gateway, "token"), ada.token.as_str()];
    let shown = Value::from(harness.audit("").await).to_string();
    for secret in secrets {
        let digest = Digest::of(secret.as_bytes());
        let hexadecimal = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for text in [secret.to_owned(), digest.to_string(), hexadecimal, format!("{:?}", digest.as_bytes())] {
            assert!(!shown.contains(&text), "{text}");
        }
        assert!(!shown.contains(&secret[9..30]));
    }
}

#[tokio::test]
async fn a_member_and_a_wrong_query_are_refused() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    harness.call("GET", "/v1/audit").by(&ada).send().await.expect(403);
    harness.call("GET", "/v1/audit?limit=0").by(&ada).send().await.expect(403);
    let long = format!("subject={}", "x".repeat(101));
    let wrong = [
        "limit=0",
        "limit=201",
        "cursor=x",
        "cursor=AAAAAAAAAAB",
        "action=key.steal",
        "outcome=500",
        "from=today",
        "to=1",
        "subject=%00",
        "q=x",
        &long,
    ];
    for query in wrong {
        harness.get(&format!("/v1/audit?{query}")).await.expect(400);
    }
    harness.assert_guarded("GET", "/v1/audit").await;
}
