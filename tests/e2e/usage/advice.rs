//! Advice: what is said of keys after real calls, that following it makes it go away, and when keys were last used.

use std::time::Duration;

use portcullis_tests::house::House;
use portcullis_tests::keys::{IssuedKey, rfc3339};
use portcullis_tests::machine::among_others;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is advised about a key, by reason.
async fn advice_on(house: &House, key: &IssuedKey) -> Vec<Value> {
    let answer = house.admin().get("/v1/advice?expiring_days=14").await.unwrap_or_else(|error| panic!("{error}"));
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().filter(|item| item["key"]["id"] == json!(key.id)).cloned().collect()
}

fn reasons(advice: &[Value]) -> Vec<&str> {
    let mut reasons = advice.iter().map(|item| item["reason"].as_str().expect("a reason")).collect::<Vec<_>>();
    reasons.sort_unstable();
    reasons
}

/// Makes the call that mends it.
async fn mend(house: &House, item: &Value) {
    let (path, body) = (item["mend"]["path"].as_str().expect("a path"), &item["mend"]["body"]);
    let answer = match item["mend"]["method"].as_str().expect("a method") {
        "PATCH" => house.admin().change(path, body).await,
        "DELETE" => house.admin().delete(path).await,
        other => panic!("{other}"),
    };
    answer.unwrap_or_else(|error| panic!("{item}: {error}"));
}

async fn wait_until_used(house: &House, key: &IssuedKey) -> OffsetDateTime {
    house
        .wait_for_usage("the use of the key is known", || async {
            let shown = house.admin().get(&format!("/v1/keys/{}", key.id)).await.expect("the key");
            let last_used = shown["last_used_at"].as_str().map(|text| OffsetDateTime::parse(text, &Rfc3339));
            last_used.map(|at| at.expect("an instant")).ok_or_else(|| shown.to_string())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_names_rights_that_nobody_uses_and_goes_once_it_is_taken() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let more = json!({"name": "more", "kind": "serverless", "match": {"path_prefix": "/v1/more"}});
    house.admin().create("/v1/apis", &more).await.expect("an API");
    let soon = rfc3339(OffsetDateTime::now_utc() + Duration::from_secs(5 * 86_400));
    let later = rfc3339(OffsetDateTime::now_utc() + Duration::from_secs(100 * 86_400));
    let open = house.issue("serverless", json!({"name": "open"})).await;
    let wide = house.issue("serverless", json!({"apis": ["echo", "more"], "expires_at": soon})).await;
    let modest = house.issue("serverless", json!({"apis": ["echo"], "expires_at": later})).await;

    let start = OffsetDateTime::now_utc();
    for key in [&open, &wide, &modest] {
        house.chats("/v1", &key.secret, 2).await;
    }
    for key in [&open, &wide, &modest] {
        let used = wait_until_used(&house, key).await;
        // By the control plane's clock, to the second that a worker ticks in.
        let apart = (used - start).abs();
        assert!(apart < Duration::from_secs(10), "{used} rather than about {start}");
    }

    let (on_open, on_wide) = (advice_on(&house, &open).await, advice_on(&house, &wide).await);
    assert_eq!(reasons(&on_open), ["never_expires", "unscoped"], "{on_open:#?}");
    assert_eq!(reasons(&on_wide), ["expiring", "unused_scopes"], "{on_wide:#?}");
    assert_eq!(advice_on(&house, &modest).await, [Value::Null; 0]);

    for item in on_open.iter().chain(&on_wide) {
        mend(&house, item).await;
    }
    for key in [&open, &wide] {
        assert_eq!(advice_on(&house, key).await, [Value::Null; 0]);
        // What it used is left to it, and nothing else.
        assert_eq!(house.chat("/v1", &key.secret, 1).await.status(), 200);
        assert_eq!(house.call("/v1/more/echo", &key.secret).await.code, "insufficient_scope");
    }
}
