use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::action_of;
use crate::api::caller::Peer;
use crate::api::testing::{Answer, Harness, Person, text};
use crate::domain::user::RoleName;

const ORIGIN: &str = "192.0.2.7";

/// Sends a call from [`ORIGIN`].
async fn send(harness: &Harness, person: &Person, method: &str, path: &str, body: &str) -> Answer {
    let peer = Peer(SocketAddr::new(ORIGIN.parse().unwrap(), 4_711));
    harness.call(method, path).by(person).from(peer).body("application/json", body.to_owned()).send().await
}

/// A call that is refused, and the entry that it must leave.
struct Refused {
    by: Person,
    call: (&'static str, String, &'static str),
    status: u16,
    action: &'static str,
    subject: Option<String>,
}

impl Refused {
    async fn assert_leaves_one_entry(&self, harness: &Harness) {
        let (method, path, body) = &self.call;
        let (before, fingerprint) = (harness.audit("").await, harness.fingerprint().await);
        let answer = send(harness, &self.by, method, path, body).await;
        assert_eq!(answer.status, self.status, "{method} {path}: {}", answer.json);
        let after = harness.audit("").await;
        assert_eq!(after[1..], before, "{method} {path}");
        let expected = json!({
            "user": self.by.user.id, "user_name": self.by.user.name, "action": self.action, "subject": self.subject,
            "organization": self.by.user.role.organization(), "outcome": "refused", "status": self.status,
            "origin": ORIGIN, "revision": null, "before": null, "after": null,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(after[0][field], *value, "{method} {path}: {field}");
        }
        assert_eq!(harness.fingerprint().await, fingerprint);
    }
}

#[tokio::test]
async fn every_refused_write_and_every_look_at_what_is_hidden_leaves_one_entry() {
    let harness = Harness::furnished().await;
    let key = text(&harness.issue("k").await, "id").to_owned();
    let revoked = text(&harness.issue("revoked").await, "id").to_owned();
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    harness.delete(&format!("/v1/keys/{revoked}")).await.expect(200);
    let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
    let gateway = text(&gateway, "id").to_owned();
    let (one, encoded) = (format!("/v1/keys/{key}"), format!("/v1/keys/{}", key.replace('_', "%5F")));
    let unknown = "key_0000000000000".to_owned();
    let member = |name: &'static str| harness.person(name, RoleName::Member);
    let organizations = || "/v1/organizations".to_owned();
    let cases = [
        (member("a").await, ("POST", organizations(), r#"{"name": "x"}"#), 403, "organization.create", None),
        (member("b").await, ("GET", "/v1/gateways".to_owned(), ""), 403, "gateway.read", None),
        (member("c").await, ("GET", "/v1/audit".to_owned(), ""), 403, "audit.read", None),
        (member("d").await, ("GET", one.clone(), ""), 404, "key.read", Some(&key)),
        (member("e").await, ("GET", encoded, ""), 404, "key.read", Some(&key)),
        (member("f").await, ("GET", format!("/v1/gateways/{gateway}"), ""), 404, "gateway.read", Some(&gateway)),
        (member("g").await, ("PATCH", one.clone(), r#"{"name": "x"}"#), 404, "key.change", Some(&key)),
        (member("h").await, ("DELETE", one.clone(), ""), 404, "key.delete", Some(&key)),
        (member("i").await, ("DELETE", format!("/v1/keys/{unknown}"), ""), 404, "key.delete", Some(&unknown)),
        (member("j").await, ("POST", format!("{one}/reissue"), "{}"), 404, "key.reissue", Some(&key)),
        (member("k").await, ("DELETE", "/v1/keys/x.y".to_owned(), ""), 404, "key.delete", None),
        (member("l").await, ("POST", "/v1/keys".to_owned(), "{"), 400, "key.issue", None),
        (member("m").await, ("POST", "/v1/keys".to_owned(), "{}"), 422, "key.issue", None),
    ];
    for (by, call, status, action, subject) in cases {
        Refused { by, call, status, action, subject: subject.cloned() }.assert_leaves_one_entry(&harness).await;
    }
    let ann = harness.person_of("ann", RoleName::Admin, "other").await;
    let call = ("PATCH", one, r#"{"name": "x"}"#);
    let subject = Some(key);
    Refused { by: ann, call, status: 404, action: "key.change", subject }.assert_leaves_one_entry(&harness).await;
    let olga = harness.person("olga", RoleName::Operator).await;
    let call = ("POST", organizations(), r#"{"name": "acme"}"#);
    let (status, action) = (409, "organization.create");
    Refused { by: olga, call, status, action, subject: None }.assert_leaves_one_entry(&harness).await;
    let omar = harness.person("omar", RoleName::Operator).await;
    let call = ("POST", format!("/v1/keys/{revoked}/reissue"), "{}");
    let subject = Some(revoked);
    Refused { by: omar, call, status: 409, action: "key.reissue", subject }.assert_leaves_one_entry(&harness).await;
}

#[tokio::test]
async fn a_look_by_head_leaves_an_entry_as_well() {
    let harness = Harness::furnished().await;
    let path = format!("/v1/keys/{}", text(&harness.issue("k").await, "id"));
    let ada = harness.person("ada", RoleName::Member).await;
    assert_eq!(harness.call("HEAD", &path).by(&ada).status().await, 404);
    let entries = harness.audit("outcome=refused").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["action"], "key.read");
}

#[tokio::test]
async fn a_look_at_what_is_not_there_and_an_unknown_token_leave_nothing() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let before = harness.audit("").await;
    for path in ["/v1/keys/key_0000000000000", "/v1/keys/nonsense", "/v1/gateways/gtw_0000000000000", "/v1/nothing"] {
        harness.call("GET", path).by(&ada).send().await.expect(404);
    }
    harness.call("GET", "/v1/keys?limit=0").by(&ada).send().await.expect(400);
    for (method, path) in [("GET", "/v1/keys"), ("DELETE", "/v1/keys/key_0000000000000"), ("POST", "/v1/keys")] {
        for authorization in [None, Some("Bearer pc_adm_unknown"), Some("Basic dTpw")] {
            harness.call(method, path).authorization(authorization).send().await.expect(401);
        }
    }
    assert_eq!(harness.audit("").await, before);
}

#[tokio::test]
async fn a_token_that_is_no_longer_valid_still_says_who_called() {
    let harness = Harness::furnished().await;
    let now = harness.store.clock().now();
    let expired = harness.person_until("expired", RoleName::Admin, "acme", Some(now)).await;
    let revoked = harness.person("revoked", RoleName::Admin).await;
    let mut write = harness.store.write(None).await.unwrap();
    for token in write.view().tokens(crate::domain::authority::Sight::Own(revoked.user.id), now).await.unwrap() {
        write.revoke_token(&token, None, crate::domain::audit::Action::TokenDelete).await.unwrap();
    }
    write.commit().await.unwrap();
    for by in [expired, revoked] {
        for (method, path, action) in [("GET", "/v1/keys", "key.read"), ("POST", "/v1/keys", "key.issue")] {
            let by = Person { user: by.user.clone(), token: by.token.clone() };
            let call = (method, path.to_owned(), "{}");
            harness.call("GET", "/v1/keys").by(&by).send().await.expect(401);
            harness.advance(Duration::from_secs(60));
            Refused { by, call, status: 401, action, subject: None }.assert_leaves_one_entry(&harness).await;
        }
        // The first call of a minute is in the audit, or whoever has an old token could fill the disk.
        let before = harness.audit("").await;
        harness.call("POST", "/v1/keys").by(&by).json(&json!({})).send().await.expect(401);
        assert_eq!(harness.audit("").await, before);
    }
}

#[tokio::test]
async fn every_operation_but_the_one_that_anyone_may_call_has_an_action() {
    let harness = Harness::new().await;
    let document = harness.call("GET", "/openapi.json").anonymous().send().await.expect(200);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let exempt = path == "/healthz";
            assert!(exempt || action_of(&method, path).is_some(), "{method} {path}");
        }
    }
}
