//! Who is held to a policy, and who shares a counter.

use std::time::Duration;

use portcullis_demo::admin::AdminClient;
use portcullis_tests::house::House;
use portcullis_tests::limits::requests_a_day;
use portcullis_tests::machine::among_others;
use portcullis_tests::raw;
use serde_json::{Value, json};

use crate::passed;

/// The secret of a new serverless key that someone issues.
async fn secret_of(person: &AdminClient) -> String {
    let key = json!({"kind": "serverless", "name": "test"});
    let answer = person.create("/v1/keys", &key).await.unwrap();
    assert_eq!(answer["propagation"]["status"], "complete");
    answer["key"].as_str().unwrap().to_owned()
}

/// The policy of six requests a day, counted like this.
fn six_a_day(per: &str) -> Value {
    let mut policy = requests_a_day(6);
    policy["per"] = json!(per);
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_users_and_organizations_are_counted_apart_and_together_as_the_policy_says() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let admin = house.admin();
    let other = admin.create("/v1/organizations", &json!({"name": "other"})).await.unwrap();
    let ada = house.person("ada", "member").await;
    let bob = house.person("bob", "member").await;
    let eve = house.person_of(other["id"].as_str().unwrap(), "eve", "member").await;
    let per_key = house.limited_api("per-key", requests_a_day(6)).await;
    let per_user = house.limited_api("per-user", six_a_day("user")).await;
    let per_organization = house.limited_api("per-organization", six_a_day("organization")).await;
    let secrets = [secret_of(&ada).await, secret_of(&ada).await, secret_of(&bob).await, secret_of(&eve).await];

    // Four calls with each of two keys of Ada, one of Bob, and one of Eve, who is of another organization.
    let mut counts = Vec::new();
    for api in [&per_key, &per_user, &per_organization] {
        let mut row = Vec::new();
        for secret in &secrets {
            row.push(passed(&house, &api.path, secret, 4).await);
        }
        counts.push(row);
    }
    assert_eq!(counts, [[4, 4, 4, 4], [4, 2, 4, 4], [4, 2, 0, 4]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apis_have_counters_of_their_own() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let three = house.limited_api("three", requests_a_day(3)).await;
    let five = house.limited_api("five", requests_a_day(5)).await;
    let counts = [
        passed(&house, &three.path, &key.secret, 8).await,
        passed(&house, &five.path, &key.secret, 8).await,
        passed(&house, "/v1/models", &key.secret, 8).await,
    ];
    assert_eq!(counts, [3, 5, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serverless_policy_holds_every_key_and_a_dedicated_one_those_that_ask_for_it() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let serverless = house.issue("serverless", json!({})).await;
    let limited = house.issue("dedicated", json!({"rate_limit_enabled": true})).await;
    let free = house.issue("dedicated", json!({})).await;
    let calls = [
        ("/v1/models", &serverless.secret),
        ("/dedicated/v1/models", &limited.secret),
        ("/dedicated/v1/models", &free.secret),
    ];
    // Without a policy nobody is held to one.
    for (path, secret) in calls {
        assert_eq!(passed(&house, path, secret, 5).await, 5, "{path}");
    }
    for api in [&house.serverless_api, &house.dedicated_api] {
        house.limit(api, requests_a_day(3)).await;
    }
    let mut counts = Vec::new();
    for (path, secret) in calls {
        counts.push(passed(&house, path, secret, 5).await);
    }
    assert_eq!(counts, [3, 3, 5]);
}

/// Requests that came before the first key set are judged by the worker's root context, and answered by their own.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_held_are_counted_and_told_so() {
    let _among_others = among_others().await;
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("held", requests_a_day(2)).await;
    house.stop_control_plane().await;
    house.start_envoy(1).await;
    let (listener, path, secret) = (house.listener(), api.path.clone(), key.secret.clone());
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n\r\n");
    let held = (0..3).map(|_| {
        let request = request.clone();
        tokio::spawn(async move { raw::send(listener, request.as_bytes()).await })
    });
    let held = held.collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_millis(200)).await;
    house.start_control_plane().await;
    let mut answers = Vec::new();
    for answer in held {
        let answer = answer.await.expect("an answer");
        let field = answer.header("ratelimit").unwrap_or_else(|| panic!("{answer:?}"));
        answers.push((answer.status, field.split(';').nth(1).map(str::to_owned)));
    }
    answers.sort();
    let answer = |status, left: &str| (Some(status), Some(left.to_owned()));
    assert_eq!(answers, [answer(200, "r=0"), answer(200, "r=1"), answer(429, "r=0")]);
}
