//! The specification, sentence by sentence and in its order: each is quoted above what shows it, with the people, the
//! admin API and the Envoy that it speaks of.
//!
//! What it says of menus, tabs and buttons is shown here by the operations behind them. Three things are stored and
//! shown, and not enforced or counted yet: rate limits, prices, and with them usage; comments say where.

use std::process::Command;

use portcullis_demo::admin::{AdminClient, AdminError};
use portcullis_tests::house::{House, program};
use portcullis_tests::keys::{IssuedKey, Outcome, rfc3339, whole_second_in};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A house with two members of the organization `acme`, its admin, and the admin of another one.
struct Office {
    house: House,
    ada: AdminClient,
    bob: AdminClient,
    grace: AdminClient,
    stranger: AdminClient,
}

async fn office() -> Office {
    let house = House::start().await;
    let other = house.admin().create("/v1/organizations", &json!({"name": "other"})).await.unwrap();
    Office {
        ada: house.person("ada", "member").await,
        bob: house.person("bob", "member").await,
        grace: house.person("grace", "admin").await,
        stranger: house.person_of(other["id"].as_str().unwrap(), "stranger", "admin").await,
        house,
    }
}

/// Issues a key as someone; `more` adds to the request.
async fn issue(person: &AdminClient, kind: &str, name: &str, more: Value) -> IssuedKey {
    let mut body = json!({"kind": kind, "name": name});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    issued(person.create("/v1/keys", &body).await.unwrap())
}

fn issued(answer: Value) -> IssuedKey {
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    IssuedKey { id: text("id"), secret: text("key"), answer }
}

fn path(key: &IssuedKey) -> String {
    format!("/v1/keys/{}", key.id)
}

/// The names of the keys that someone sees, in order.
async fn names(person: &AdminClient, query: &str) -> Vec<String> {
    let keys = person.list(&format!("/v1/keys{query}")).await.unwrap();
    keys.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_refused(result: Result<Value, AdminError>, expected: u16) {
    match result {
        Err(AdminError::Refused { status, .. }) => assert_eq!(status, expected),
        other => panic!("{other:?} rather than {expected}"),
    }
}

fn refusal(status: StatusCode, code: &str) -> Outcome {
    Outcome { status, code: code.to_owned() }
}

/// The identity headers with which a call arrives at the upstream.
async fn identity(house: &House, path: &str, secret: &str) -> Vec<(String, String)> {
    let response = house.http.get(format!("{}{path}", house.envoy().url())).bearer_auth(secret).send().await.unwrap();
    let echo: Value = response.json().await.unwrap();
    let headers: Vec<(String, String)> = serde_json::from_value(echo["headers"].clone()).unwrap();
    headers.into_iter().filter(|(name, _)| name.starts_with("x-portcullis-")).collect()
}

/// What becomes of so many calls, one after the other.
async fn statuses(house: &House, path: &str, secret: &str, calls: usize) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    for _ in 0..calls {
        let call = house.http.get(format!("{}{path}", house.envoy().url())).bearer_auth(secret);
        statuses.push(call.send().await.unwrap().status());
    }
    statuses
}

/// Three calls an hour.
fn policy() -> Value {
    json!({"rules": [{"unit": "requests", "limit": 3, "window_seconds": 3_600}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn managing_api_keys() {
    let Office { house, ada, grace, .. } = office().await;

    // "Both Serverless and Dedicated endpoints provided by Elice AI Cloud require API key authentication for security."
    for path in ["/v1/models", "/dedicated/v1/models"] {
        let answer = house.http.get(format!("{}{path}", house.envoy().url())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }

    // "Organization users call model endpoints with their issued API keys,
    let key = issue(&ada, "serverless", "notebook", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    // while administrators can manage key issuance and policies in one place."
    assert_eq!(names(&grace, "").await, ["notebook"]);
    grace.change(&path(&key), &json!({"name": "ada's notebook"})).await.unwrap();
    let api = format!("/v1/apis/{}", house.dedicated_api);
    let limited = grace.change(&api, &json!({"rate_limit": policy()})).await.unwrap();
    assert_eq!(limited["rate_limit"], policy());
    assert_refused(ada.change(&api, &json!({"rate_limit": null})).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_an_api_key_and_what_it_is_for() {
    let Office { house, ada, bob, .. } = office().await;
    let [of_ada, of_bob] = [issue(&ada, "serverless", "a", json!({})), issue(&bob, "serverless", "b", json!({}))];
    let (of_ada, of_bob) = tokio::join!(of_ada, of_bob);

    // "An API key is a unique identifier used to authenticate users calling the Elice AI Cloud ML API."
    assert_ne!(of_ada.secret, of_bob.secret);
    for key in [&of_ada, &of_bob] {
        house.wait_for("/v1/echo", &key.secret, 200).await;
    }

    // "- Restricting API access to authenticated users"
    let nobody = house.call("/v1/echo", "").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);

    // "- Tracking calls per user": the upstream is told of each call whose it is, and Envoy's log names its key.
    // Counting them in the control plane is a later step.
    for key in [&of_ada, &of_bob] {
        let text = |field: &str| key.answer[field].as_str().unwrap().to_owned();
        let identity = identity(&house, "/v1/echo", &key.secret).await;
        for (name, value) in [("x-portcullis-user", text("created_by")), ("x-portcullis-key-id", text("id"))] {
            assert!(identity.contains(&(name.to_owned(), value)), "{identity:?}");
        }
    }

    // "- Tracking cost and usage": an API has its price. Adding up is a later step.
    let price = json!({"price": {"per_call_micros": 100}});
    let api = format!("/v1/apis/{}", house.serverless_api);
    let priced = house.admin().change(&api, &price).await.unwrap();
    assert_eq!(priced["price"]["per_call_micros"], 100);

    // "- Enforcing call-limit policies": an API has its policy, and calls beyond it are refused.
    let limited = house.admin().change(&api, &json!({"rate_limit": policy()})).await.unwrap();
    assert_eq!(limited["rate_limit"], policy());
    assert_eq!(limited["propagation"]["status"], "complete");
    assert_eq!(ada.get(&api).await.unwrap()["rate_limit"], policy());
    assert_eq!(statuses(&house, "/v1/models", &of_ada.secret, 4).await, [200, 200, 200, 429]);
    assert_eq!(statuses(&house, "/v1/models", &of_bob.secret, 1).await, [200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_you_can_see() {
    let Office { house, ada, bob, grace, stranger } = office().await;
    let expiry = json!({"expires_at": "2100-01-01T00:00:00Z"});
    let notebook = issue(&ada, "serverless", "notebook", expiry).await;
    let service = issue(&ada, "dedicated", "service", json!({})).await;
    issue(&bob, "serverless", "bob's", json!({})).await;
    issue(&stranger, "serverless", "elsewhere", json!({})).await;

    // "In ML API → API Key Management, you can manage Serverless and Dedicated keys separately."
    assert_eq!(names(&ada, "?kind=serverless").await, ["notebook"]);
    assert_eq!(names(&ada, "?kind=dedicated").await, ["service"]);

    let listed = ada.list("/v1/keys?kind=serverless").await.unwrap().remove(0);
    // "- API key name"
    assert_eq!(listed["name"], "notebook");
    // "- API key value (masked)"
    let masked = listed["masked"].as_str().unwrap();
    let (start, end) = masked.split_once('…').unwrap();
    assert!(notebook.secret.starts_with(start) && notebook.secret.ends_with(end) && masked.len() < 20, "{masked}");
    assert!(!listed.to_string().contains(&notebook.secret));
    // "- Issued date"
    assert_eq!(listed["issued_at"], notebook.answer["issued_at"]);
    assert!(listed["issued_at"].is_string());
    // "- Expiration date"
    assert_eq!(listed["expires_at"], "2100-01-01T00:00:00Z");
    assert_eq!(service.answer["expires_at"], Value::Null);
    // "- Creator"
    assert_eq!(listed["created_by_name"], "ada");
    assert_eq!(listed["created_by"], notebook.answer["created_by"]);
    // "- Delete and reissue actions"
    let reissued = issued(ada.create(&format!("{}/reissue", path(&notebook)), &json!({})).await.unwrap());
    assert_eq!(ada.delete(&path(&service)).await.unwrap()["status"], "revoked");
    house.wait_for("/v1/models", &reissued.secret, 200).await;
    house.wait_for("/dedicated/v1/models", &service.secret, 401).await;

    // "This lets the organization control API usage transparently." The admin sees and handles all of it, and nothing of
    // other organizations; members their own.
    assert_eq!(names(&grace, "?sort=name").await, ["bob's", "notebook"]);
    assert_eq!(names(&ada, "").await, ["notebook"]);
    assert_eq!(names(&bob, "").await, ["bob's"]);
    assert_eq!(names(&stranger, "").await, ["elsewhere"]);
    for person in [&bob, &stranger] {
        assert_refused(person.get(&path(&notebook)).await, 404);
        assert_refused(person.delete(&path(&notebook)).await, 404);
        assert_refused(person.create(&format!("{}/reissue", path(&notebook)), &json!({})).await, 404);
    }
    house.wait_for("/v1/models", &reissued.secret, 200).await;
    grace.delete(&path(&notebook)).await.unwrap();
    house.wait_for("/v1/models", &reissued.secret, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn issuing_an_api_key() {
    let Office { house, ada, grace, .. } = office().await;

    // "Users can create API keys as needed."
    // "- Open the API Key Management menu"
    assert_eq!(names(&ada, "").await, [""; 0]);
    // "- Choose the Serverless or Dedicated tab"
    // "- Click Issue Key"
    // "- Enter a key name and configure options"
    let expiry = whole_second_in(3);
    let options = json!({"expires_at": rfc3339(expiry), "apis": ["private-echo"], "rate_limit_enabled": true});
    let key = issue(&ada, "dedicated", "service", options).await;
    let other = issue(&ada, "serverless", "notebook", json!({})).await;
    // "- Copy the key when issuance completes"
    assert!(key.secret.starts_with("pc_ded_") && other.secret.starts_with("pc_sls_"));
    house.wait_for("/dedicated/v1/models", &key.secret, 200).await;
    house.wait_for("/v1/models", &other.secret, 200).await;
    // Each opens its own sort of endpoint.
    let wrong = refusal(StatusCode::FORBIDDEN, "insufficient_scope");
    assert_eq!(house.call("/v1/models", &key.secret).await, wrong);
    assert_eq!(house.call("/dedicated/v1/models", &other.secret).await, wrong);

    // "Warning: If you set an expiration date, the key will stop working after that date."
    house.wait_for("/dedicated/v1/models", &key.secret, 401).await;
    assert!(time::OffsetDateTime::now_utc() > expiry - time::Duration::milliseconds(300), "it ended too early");
    let expired = house.call("/dedicated/v1/models", &key.secret).await;
    assert_eq!(expired, refusal(StatusCode::UNAUTHORIZED, "expired_api_key"));
    assert_eq!(ada.get(&path(&key)).await.unwrap()["status"], "expired");

    // "Warning: A newly issued API key is only shown immediately after issuance — be sure to save it in a safe place."
    for person in [&ada, &grace, &house.admin()] {
        let one = person.get(&path(&key)).await.unwrap();
        let all = Value::from(person.list("/v1/keys").await.unwrap());
        assert_eq!(one["key"], Value::Null);
        assert!(!format!("{one}{all}").contains(&key.secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit() {
    let Office { house, ada, grace, .. } = office().await;

    // "When issuing a Dedicated API key you can enable rate limiting."
    let limited = issue(&ada, "dedicated", "limited", json!({"rate_limit_enabled": true})).await;
    let free = issue(&ada, "dedicated", "free", json!({})).await;
    assert_eq!(limited.answer["rate_limit_enabled"], true);
    assert_eq!(free.answer["rate_limit_enabled"], false);
    for person in [&ada, &grace] {
        assert_eq!(person.get(&path(&limited)).await.unwrap()["rate_limit_enabled"], true);
    }
    let serverless = json!({"kind": "serverless", "name": "x", "rate_limit_enabled": true});
    assert_refused(ada.create("/v1/keys", &serverless).await, 422);
    assert_eq!(names(&ada, "?sort=name").await, ["free", "limited"]);

    // "With this enabled, API calls are limited according to the API Rate Limit policy configured on each API."
    let api = format!("/v1/apis/{}", house.dedicated_api);
    grace.change(&api, &json!({"rate_limit": policy()})).await.unwrap();
    assert_eq!(ada.get(&api).await.unwrap()["rate_limit"], policy());
    assert_eq!(statuses(&house, "/dedicated/v1/models", &limited.secret, 4).await, [200, 200, 200, 429]);
    assert_eq!(statuses(&house, "/dedicated/v1/models", &free.secret, 4).await, [200; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn using_an_api_key() {
    let Office { house, ada, .. } = office().await;
    let expiry = whole_second_in(1);
    let expired = issue(&ada, "serverless", "trial", json!({"expires_at": rfc3339(expiry)})).await;
    let key = issue(&ada, "serverless", "notebook", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    house.wait_for("/v1/models", &expired.secret, 401).await;

    // "Include the issued API key in the Authorization header when calling the API."
    // "Authorization: Bearer {YOUR_API_KEY}"
    let url = format!("{}/v1/chat/completions", house.envoy().url());
    let question = json!({"model": "echo", "messages": [{"role": "user", "content": "open the gate"}]});
    let ask = || house.http.post(&url).json(&question);
    let seen = house.upstream().requests();
    let answer = ask().header("Authorization", format!("Bearer {}", key.secret)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "open the gate");
    assert_eq!(house.upstream().requests(), seen + 1);

    // "Requests without an API key are not executed."
    let elsewhere = [("x-api-key", key.secret.clone()), ("cookie", format!("key={}", key.secret))];
    for request in [ask(), ask().query(&[("api_key", &key.secret)])] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    for (header, value) in elsewhere {
        assert_eq!(ask().header(header, value).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }

    // "Invalid or expired keys produce authentication errors."
    let mistyped = format!("{}x", key.secret);
    for (secret, code) in [(&mistyped, "invalid_api_key"), (&expired.secret, "expired_api_key")] {
        let refused = house.call("/v1/models", secret).await;
        assert_eq!(refused, refusal(StatusCode::UNAUTHORIZED, code));
    }
    assert_eq!(house.upstream().requests(), seen + 1, "the upstream saw a request that was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_and_reissuing_an_api_key() {
    let Office { house, ada, .. } = office().await;
    let key = issue(&ada, "serverless", "notebook", json!({})).await;
    let bystander = issue(&ada, "serverless", "service", json!({})).await;
    house.wait_for("/v1/models", &bystander.secret, 200).await;

    // "You can delete keys you no longer use. Deletion immediately disables API calls with that key."
    ada.delete(&path(&key)).await.unwrap();
    let took = house.wait_for("/v1/models", &key.secret, 401).await;
    assert!(took.as_secs() < 1, "{took:?}");
    assert_eq!(names(&ada, "").await, ["service"]);

    // "If you have a security incident you can reissue the key; the previous key is invalidated immediately."
    let new = issued(ada.create(&format!("{}/reissue", path(&bystander)), &json!({})).await.unwrap());
    let took = house.wait_for("/v1/models", &bystander.secret, 401).await;
    assert!(took.as_secs() < 1, "{took:?}");
    house.wait_for("/v1/models", &new.secret, 200).await;
    assert_eq!((new.id, &new.answer["name"]), (bystander.id, &bystander.answer["name"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn things_to_note() {
    let Office { house, ada, .. } = office().await;
    let key = issue(&ada, "serverless", "notebook", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;

    // "- Do not store API keys in public repositories (e.g., GitHub)." A hook finds them before they get there.
    let file = house.folder().join("settings.py");
    std::fs::write(&file, format!("key = \"{}\"\n", key.secret)).unwrap();
    let scan = Command::new(program("PORTCULLIS_BIN")).arg("scan").arg(&file).output().unwrap();
    assert_eq!(scan.status.code(), Some(1));
    let found = String::from_utf8(scan.stdout).unwrap();
    assert!(found.contains("settings.py:1:8") && !found.contains(&key.secret), "{found}");

    // "- Reissue the key immediately if it is exposed."
    let reissued = issued(ada.create(&format!("{}/reissue", path(&key)), &json!({})).await.unwrap());
    house.wait_for("/v1/models", &key.secret, 401).await;

    // "- Periodically delete keys you no longer need." Those that were never used, or not for longest, come first.
    assert_eq!(names(&ada, "?sort=last_used_at").await, ["notebook"]);
    ada.delete(&path(&reissued)).await.unwrap();
    house.wait_for("/v1/models", &reissued.secret, 401).await;

    // "- Follow the principle of least privilege." A key can be confined to APIs, and a member can do no more than use
    // them.
    let narrow = json!({"name": "narrow", "kind": "serverless", "match": {"path_prefix": "/v1/narrow"}});
    assert_refused(ada.create("/v1/apis", &narrow).await, 403);
    house.admin().create("/v1/apis", &narrow).await.unwrap();
    let confined = issue(&ada, "serverless", "confined", json!({"apis": ["narrow"]})).await;
    house.wait_for("/v1/narrow/models", &confined.secret, 200).await;
    let refused = house.call("/v1/models", &confined.secret).await;
    assert_eq!(refused, refusal(StatusCode::FORBIDDEN, "insufficient_scope"));
}
