//! Budgets: who has used one up is refused until it is raised, and nobody else is. What the turn of a month does is shown
//! with a clock that can be set, in `control-plane/src/storage/tests/budgets.rs`.

use std::time::{Duration, Instant};

use portcullis_demo::admin::AdminClient;
use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::machine::among_others;
use portcullis_tests::python;
use reqwest::Response;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// How long a report and the stop that it leads to may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls, four words each time, until a call is refused; that refusal, and how often it was let pass.
async fn call_until_refused(house: &House, path: &str, secret: &str) -> (Response, u64) {
    let (start, mut passed) = (Instant::now(), 0);
    loop {
        let answer = house.chat(path, secret, 4).await;
        match answer.status().as_u16() {
            200 => passed += 1,
            429 => return (answer, passed),
            other => panic!("{other}"),
        }
        assert!(start.elapsed() < PATIENCE, "still let pass after {passed} calls");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Seconds from now until the next month begins.
fn seconds_left() -> i64 {
    let now = OffsetDateTime::now_utc();
    let first = now.date().replace_day(1).expect("a date");
    // No month has more than 31 days.
    let next = (first + Duration::from_secs(32 * 86_400)).replace_day(1).expect("a date").midnight().assume_utc();
    (next - now).whole_seconds()
}

async fn assert_says_when_the_month_turns(refusal: Response) {
    let header = |name: &str| refusal.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let wait = header("retry-after").expect("Retry-After").parse::<i64>().expect("seconds");
    assert!((wait - seconds_left()).abs() <= 5, "{wait} s rather than {} s", seconds_left());
    // OpenAI's clients obey it.
    assert_eq!(header("x-should-retry").as_deref(), Some("false"));
    let body: Value = refusal.json().await.expect("a problem document");
    assert_eq!((&body["status"], &body["error"]["code"]), (&json!(429), &json!("quota_exceeded")), "{body}");
}

async fn change(admin: &AdminClient, path: &str, change: Value) -> Value {
    let answer = admin.change(path, &change).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer["propagation"]["status"], "complete", "{answer}");
    answer
}

async fn passes(house: &House, path: &str, key: &IssuedKey) -> bool {
    // Every worker would refuse it or none.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(house.chat(path, &key.secret, 1).await.status().as_u16());
    }
    assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
    statuses[0] == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_used_up_its_tokens_is_refused_until_they_are_raised() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({"monthly_budget": {"tokens": 20}})).await;
    let other = house.issue("serverless", json!({})).await;
    assert_eq!((&key.answer["over_budget"], &key.answer["monthly_budget"]["tokens"]), (&json!(false), &json!(20)));
    let (refusal, passed) = call_until_refused(&house, "/v1", &key.secret).await;
    // Eight tokens each: the third call uses them up, and what comes before the stop has come as well.
    println!("20 tokens were used up after {passed} calls of 8");
    assert!(passed >= 3, "{passed}");
    assert_says_when_the_month_turns(refusal).await;
    assert!(!passes(&house, "/v1", &key).await && passes(&house, "/v1", &other).await);

    let path = format!("/v1/keys/{}", key.id);
    let shown = house.admin().get(&path).await.expect("the key");
    assert_eq!((&shown["over_budget"], &shown["status"]), (&json!(true), &json!("active")), "{shown}");
    let audit = house.admin().get(&format!("/v1/audit?action=key.stop&subject={}", key.id)).await.expect("the audit");
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "{audit}");

    // The official client raises an error at once, rather than trying again and again.
    let (host, port) = (house.listener().ip().to_string(), house.listener().port());
    let report = python::run("openai_quota.py", &json!({"host": host, "port": port, "key": key.secret})).await;
    let expected = json!({"error": "RateLimitError", "code": "quota_exceeded", "requests": 1});
    assert_eq!(report, expected);

    let answer = change(&house.admin(), &path, json!({"monthly_budget": {"tokens": 1_000_000}})).await;
    assert_eq!(answer["over_budget"], json!(false), "{answer}");
    assert!(passes(&house, "/v1", &key).await, "at once after the receipt");
    // What is spent already is too much for this one.
    change(&house.admin(), &path, json!({"monthly_budget": {"tokens": 20}})).await;
    assert!(!passes(&house, "/v1", &key).await);
    change(&house.admin(), &path, json!({"monthly_budget": null})).await;
    assert!(passes(&house, "/v1", &key).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_has_spent_its_budget_is_refused_with_all_its_keys_and_no_other() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let admin = house.admin();
    let price = json!({"price": {"per_call_micros": 1_000}});
    change(&admin, &format!("/v1/apis/{}", house.serverless_api), price).await;
    let body = json!({"name": "other", "monthly_budget": {"cost_micros": 4_500}});
    let other = admin.create("/v1/organizations", &body).await.expect("an organization");
    let path = format!("/v1/organizations/{}", other["id"].as_str().expect("an id"));
    let of_other = json!({"organization": other["id"]});
    let keys = [house.issue("serverless", of_other.clone()).await, house.issue("serverless", of_other).await];
    let own = house.issue("serverless", json!({})).await;

    let (refusal, passed) = call_until_refused(&house, "/v1", &keys[0].secret).await;
    println!("4,500 millionths were spent after {passed} calls of 1,000");
    assert!(passed >= 5, "{passed}");
    assert_says_when_the_month_turns(refusal).await;
    assert!(!passes(&house, "/v1", &keys[0]).await && !passes(&house, "/v1", &keys[1]).await);
    assert!(passes(&house, "/v1", &own).await);
    assert_eq!(admin.get(&path).await.expect("it")["over_budget"], json!(true));
    // An Envoy that starts now is told as well.
    let annex = house.annex(json!({"name": "annex"})).await;
    annex.worker_names().await;
    assert!(!passes(&annex, "/v1", &keys[1]).await && passes(&annex, "/v1", &own).await);

    let answer = change(&admin, &path, json!({"monthly_budget": {"cost_micros": 1_000_000}})).await;
    assert_eq!(answer["over_budget"], json!(false), "{answer}");
    for house in [&house, &annex] {
        assert!(passes(house, "/v1", &keys[0]).await && passes(house, "/v1", &keys[1]).await);
    }
}
