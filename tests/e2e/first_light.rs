//! A real key opens a real Envoy, and deleting it shuts the door: the official OpenAI client through all of it.

use std::time::Duration;

use portcullis_tests::house::House;
use portcullis_tests::keys::{rfc3339, whole_second_in};
use portcullis_tests::python;
use serde_json::{Value, json};

fn call(house: &House, path: &str, key: Option<&str>, stream: bool) -> Value {
    json!({"base_url": format!("{}{path}", house.envoy().url()), "key": key, "stream": stream})
}

fn assert_answered(outcome: &Value) {
    assert_eq!(outcome, &json!({"text": "open the gate please", "tokens": 8}));
}

fn assert_refused(outcome: &Value, code: &str, says: &str) {
    assert_eq!(outcome["error"], "AuthenticationError", "{outcome}");
    assert_eq!(outcome["status"], 401, "{outcome}");
    assert_eq!(outcome["code"], code, "{outcome}");
    let message = outcome["message"].as_str().expect("a message");
    assert!(message.contains(says), "{message:?} does not say {says:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_is_served_with_a_key_and_told_why_without() {
    let house = House::start().await;
    let serverless = house.issue("serverless", json!({"name": "notebook"})).await;
    let dedicated = house.issue("dedicated", json!({"name": "service"})).await;
    let deleted = house.issue("serverless", json!({"name": "old"})).await;
    let expiry = whole_second_in(1);
    let expired = house.issue("serverless", json!({"name": "trial", "expires_at": rfc3339(expiry)})).await;
    for key in [&serverless, &deleted] {
        house.wait_for("/v1/models", &key.secret, 200).await;
    }
    house.wait_for("/dedicated/v1/models", &dedicated.secret, 200).await;
    house.delete(&deleted.id).await;
    house.wait_for("/v1/models", &deleted.secret, 401).await;
    house.wait_for("/v1/models", &expired.secret, 401).await;

    let mut mistyped = serverless.secret.clone();
    mistyped.pop();
    let unknown = unknown_key();
    let calls = json!([
        call(&house, "/v1", Some(&serverless.secret), false),
        call(&house, "/v1", Some(&serverless.secret), true),
        call(&house, "/dedicated/v1", Some(&dedicated.secret), false),
        call(&house, "/dedicated/v1", Some(&dedicated.secret), true),
        call(&house, "/v1", None, false),
        call(&house, "/v1", Some(&mistyped), false),
        call(&house, "/v1", Some(&unknown), false),
        call(&house, "/v1", Some(&expired.secret), false),
        call(&house, "/v1", Some(&deleted.secret), true),
    ]);
    let outcomes = python::run("openai_client.py", &calls).await;
    for served in 0..4 {
        assert_answered(&outcomes[served]);
    }
    assert_refused(&outcomes[4], "missing_api_key", "did not provide an API key");
    assert_refused(&outcomes[5], "invalid_api_key", "Incorrect API key");
    assert_refused(&outcomes[6], "invalid_api_key", "Incorrect API key");
    assert_refused(&outcomes[7], "expired_api_key", "has expired");
    assert_refused(&outcomes[8], "invalid_api_key", "deleted or reissued");
}

/// A key with the right form and check code that was never issued.
fn unknown_key() -> String {
    use portcullis_core::key::{ApiKind, Brand, Kind, PlainKey};
    let key = PlainKey::generate(&Brand::default(), Kind::Api(ApiKind::Serverless), |random| {
        random.fill(42);
        Ok::<_, std::convert::Infallible>(())
    });
    key.expect("a key").reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissued_key_works_and_its_old_secret_does_not() {
    let house = House::start().await;
    let old = house.issue("serverless", json!({})).await;
    house.wait_for("/v1/models", &old.secret, 200).await;
    let new = house.reissue(&old.id).await;
    assert_eq!(new.id, old.id);
    assert_ne!(new.secret, old.secret);
    let opened = house.wait_for("/v1/models", &new.secret, 200).await;
    let closed = house.wait_for("/v1/models", &old.secret, 401).await;
    assert!(opened < Duration::from_secs(1) && closed < Duration::from_secs(1), "{opened:?} {closed:?}");
}
