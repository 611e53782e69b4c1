use serde_json::{Value, json};

use crate::api::testing::{Answer, Harness, Person, text};
use crate::domain::user::RoleName;

const OLD: &str = "correct horse battery";
const NEW: &str = "staple correct horse";

async fn patch(harness: &Harness, by: &Person, of: &Person, body: Value) -> Answer {
    harness.call("PATCH", &format!("/v1/users/{}", of.user.id)).by(by).json(&body).send().await
}

async fn sign_in(harness: &Harness, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password});
    harness.call("POST", "/v1/sessions").anonymous().json(&body).send().await
}

async fn status(harness: &Harness, token: &str) -> u16 {
    harness.call("GET", "/v1/keys").authorization(Some(&format!("Bearer {token}"))).send().await.status
}

#[tokio::test]
async fn a_member_sets_their_own_password_and_nothing_else() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    let bob = harness.person("bob", RoleName::Member).await;
    assert_eq!(patch(&harness, &ada, &ada, json!({"password": OLD})).await.expect(200)["has_password"], true);
    let session = sign_in(&harness, "ada", OLD).await.expect(201);
    let before = harness.fingerprint().await;
    for body in
        [json!({"name": "eve"}), json!({"role": "admin"}), json!({"role": "operator"}), json!({"role": "member"})]
    {
        patch(&harness, &ada, &ada, body).await.expect(403);
    }
    patch(&harness, &ada, &bob, json!({"password": NEW})).await.expect(404);
    let wrong = [
        json!({"password": NEW}),
        json!({"password": NEW, "current_password": NEW}),
        json!({"current_password": OLD}),
        json!({"password": NEW, "current_password": "x".repeat(257)}),
    ];
    for body in wrong {
        assert_eq!(patch(&harness, &ada, &ada, body).await.pointers(), ["/current_password"]);
    }
    assert_eq!(patch(&harness, &ada, &ada, json!({"password": "short"})).await.pointers(), ["/password"]);
    assert_eq!(harness.fingerprint().await, before);
    patch(&harness, &ada, &ada, json!({"password": NEW, "current_password": OLD})).await.expect(200);
    // The token that changed it goes on, all others have ended.
    assert_eq!(status(&harness, &ada.token).await, 200);
    assert_eq!(status(&harness, text(&session, "token")).await, 401);
    sign_in(&harness, "ada", OLD).await.expect(401);
    sign_in(&harness, "ada", NEW).await.expect(201);
}

#[tokio::test]
async fn guessing_the_present_password_counts_as_guessing_at_the_door() {
    let harness = Harness::furnished().await;
    let ada = harness.person("ada", RoleName::Member).await;
    patch(&harness, &ada, &ada, json!({"password": OLD})).await.expect(200);
    for _ in 0..5 {
        patch(&harness, &ada, &ada, json!({"password": NEW, "current_password": "wrong"})).await.expect(422);
    }
    let before = harness.fingerprint().await;
    let answer = patch(&harness, &ada, &ada, json!({"password": NEW, "current_password": OLD})).await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.expect(429);
    sign_in(&harness, "ada", OLD).await.expect(429);
    assert_eq!(harness.fingerprint().await, before);
}

#[tokio::test]
async fn an_admin_changes_the_organizations_users_but_makes_no_operator() {
    let harness = Harness::furnished().await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let admin = harness.person("admin", RoleName::Admin).await;
    let ada = harness.person("ada", RoleName::Member).await;
    let stranger = harness.person_of("stranger", RoleName::Member, "other").await;
    let root = harness.person("root", RoleName::Operator).await;
    let body = json!({"name": "ada l", "role": "admin", "password": OLD});
    let changed = patch(&harness, &admin, &ada, body).await.expect(200);
    assert_eq!((text(&changed, "name"), text(&changed, "role")), ("ada l", "admin"));
    assert_eq!(status(&harness, &ada.token).await, 401, "a new password ends every token");
    assert_eq!(status(&harness, &admin.token).await, 200);
    let before = harness.fingerprint().await;
    for body in [json!({"role": "operator"}), json!({"role": "operator", "organization": "acme"})] {
        assert!([403, 422].contains(&patch(&harness, &admin, &ada, body).await.status));
    }
    patch(&harness, &admin, &admin, json!({"role": "operator"})).await.expect(403);
    for other in [&stranger, &root] {
        patch(&harness, &admin, other, json!({"name": "x"})).await.expect(404);
    }
    patch(&harness, &admin, &ada, json!({"name": "admin"})).await.expect(409);
    let with_own = json!({"password": NEW, "current_password": OLD});
    assert_eq!(patch(&harness, &admin, &ada, with_own).await.pointers(), ["/current_password"]);
    assert_eq!(patch(&harness, &root, &ada, json!({"name": ""})).await.pointers(), ["/name"]);
    harness.assert_guarded("PATCH", &format!("/v1/users/{}", ada.user.id)).await;
    assert_eq!(harness.fingerprint().await, before);
}

#[tokio::test]
async fn an_operator_is_demoted_into_an_organization_unless_it_is_the_last_one() {
    let harness = Harness::furnished().await;
    harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let first = harness.get("/v1/users").await.expect(200)["items"][0].clone();
    let path = format!("/v1/users/{}", text(&first, "id"));
    harness.patch(&path, json!({"role": "member", "organization": "acme"})).await.expect(409);
    let root = harness.person("root", RoleName::Operator).await;
    let issue = json!({"kind": "serverless", "name": "k", "organization": "other"});
    let key = harness.call("POST", "/v1/keys").by(&root).json(&issue).send().await.expect(201);
    let before = harness.fingerprint().await;
    let demote = |body: Value| patch(&harness, &root, &root, body);
    assert_eq!(demote(json!({"role": "member"})).await.pointers(), ["/organization"]);
    assert_eq!(demote(json!({"organization": "acme"})).await.pointers(), ["/organization"]);
    assert_eq!(demote(json!({"role": "operator", "organization": "acme"})).await.pointers(), ["/organization"]);
    demote(json!({"role": "member", "organization": "acme"})).await.expect(409);
    assert_eq!(harness.fingerprint().await, before);
    harness.delete(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
    let demoted = demote(json!({"role": "member", "organization": "acme"})).await.expect(200);
    assert!(text(&demoted, "organization").starts_with("org_"));
    // Rights come from the owner of a token, at each request.
    harness.call("GET", "/v1/gateways").by(&root).send().await.expect(403);
    let stay = json!({"role": "admin", "organization": "other"});
    let path = format!("/v1/users/{}", root.user.id);
    assert_eq!(harness.patch(&path, stay).await.pointers(), ["/organization"]);
    assert_eq!(harness.patch(&path, json!({"role": "operator"})).await.expect(200)["organization"], Value::Null);
}
