//! 200,000 requests through an Envoy with two workers, counted exactly once: while they come, the control plane is stopped,
//! killed and started again, and on the way reports and answers to them are lost.
//!
//! Envoy answers what passes by itself, so that the load is one for its filter and not for the upstream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portcullis_tests::house::{DIRECT_PATH, House};
use portcullis_tests::limits::requests_a_day;
use portcullis_tests::load::{Load, Pace};
use portcullis_tests::lossy::{Fate, Lossy};
use portcullis_tests::machine::alone;
use portcullis_tests::usage::Requests;
use serde_json::{Value, json};

/// How many requests there are at least.
const REQUESTS: u64 = 200_000;
/// How many answers to reports that were counted are lost at least.
const ANSWERS_LOST: u64 = 3;
/// Of every five reports two are lost before they arrive or after.
const FATES: &[Fate] = &[Fate::Pass, Fate::LoseAnswer, Fate::Pass, Fate::LoseReport, Fate::Pass];
/// For how long the control plane is there and away in turn.
const TURN: Duration = Duration::from_millis(700);
/// Connections of each load.
const PACE: Pace = Pace { connections: 8, pause: Duration::ZERO };

/// What is called over and over with a key, and how that ends.
struct Caller {
    key: String,
    secret: String,
    api: String,
    path: String,
    outcomes: BTreeMap<u16, &'static str>,
}

async fn new_api(house: &House, name: &str, rate_limit: Value) -> (String, String) {
    let path = format!("{DIRECT_PATH}/{name}");
    let api = json!({
        "name": name, "kind": "serverless", "match": {"path_prefix": path}, "rate_limit": rate_limit,
    });
    let answer = house.admin().create("/v1/apis", &api).await.unwrap_or_else(|error| panic!("{error}"));
    (answer["id"].as_str().expect("an id").to_owned(), path)
}

/// Two APIs and one with a limit; keys of two organizations, of which one is confined to the first API.
async fn callers(house: &House) -> Vec<Caller> {
    let (one, one_path) = new_api(house, "one", Value::Null).await;
    let (two, two_path) = new_api(house, "two", Value::Null).await;
    let (limited, limited_path) = new_api(house, "limited", requests_a_day(1_000)).await;
    let other = house.admin().create("/v1/organizations", &json!({"name": "other"})).await.expect("an organization");
    let keys = [
        house.issue("serverless", json!({})).await,
        house.issue("serverless", json!({"organization": other["id"]})).await,
        house.issue("serverless", json!({"apis": ["one"]})).await,
    ];
    let calls = [
        (0, &one, &one_path, [(200, "2xx")].into()),
        (0, &two, &two_path, [(200, "2xx")].into()),
        (1, &one, &one_path, [(200, "2xx")].into()),
        (1, &limited, &limited_path, [(200, "2xx"), (429, "rate_limited")].into()),
        (2, &one, &one_path, [(200, "2xx")].into()),
        (2, &two, &two_path, [(403, "out_of_scope")].into()),
    ];
    let caller = |(key, api, path, outcomes): (usize, &String, &String, BTreeMap<u16, &'static str>)| Caller {
        key: keys[key].id.clone(),
        secret: keys[key].secret.clone(),
        api: api.clone(),
        path: path.clone(),
        outcomes,
    };
    calls.map(caller).into_iter().collect()
}

/// Lets the control plane come and go until there are enough requests, and enough answers were lost. How often it was away.
async fn trouble(house: &mut House, lossy: &Lossy, loads: &[Load]) -> u32 {
    let count =
        |loads: &[Load]| loads.iter().flat_map(|load| [200, 403, 429].map(|status| load.count(status))).sum::<u64>();
    let mut times = 0;
    while count(loads) < REQUESTS || times < 4 || lossy.answers_lost() < ANSWERS_LOST {
        tokio::time::sleep(TURN).await;
        if times % 2 == 0 {
            house.stop_control_plane().await
        } else {
            house.kill_control_plane().await
        }
        times += 1;
        tokio::time::sleep(TURN).await;
        house.start_control_plane().await;
        println!("{} requests, control plane away {times} times", count(loads));
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_exactly_once_whatever_happens_to_reports() {
    let _alone = alone().await;
    let mut house = House::without_envoy().await;
    let lossy = Lossy::to(house.sync(), FATES).await;
    let annex = house.annex_by_way_of(lossy.address(), json!({"name": "edge"})).await;
    let callers = callers(&house).await;
    // Every worker knows what there is before it is called.
    annex.worker_names().await;

    let start = Instant::now();
    let mut loads = Vec::new();
    for caller in &callers {
        loads.push(Load::start(annex.listener(), PACE, &caller.path, &caller.secret).await);
    }
    let times = trouble(&mut house, &lossy, &loads).await;

    let mut expected = Requests::new();
    for (caller, load) in callers.iter().zip(loads) {
        for tally in load.stop().await {
            for (status, answers) in &tally.answers {
                let outcome = caller.outcomes.get(status).unwrap_or_else(|| panic!("{status}: {tally:?}"));
                let place = (caller.key.clone(), caller.api.clone(), (*outcome).to_owned());
                *expected.entry(place).or_default() += answers.count;
            }
        }
    }
    let took = start.elapsed();
    house.wait_for_requests(&expected).await;
    // What comes late is not counted again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.requests().await, expected);

    let (total, lost) = (expected.values().sum::<u64>(), lossy.answers_lost());
    println!("{total} requests in {took:?}; control plane away {times} times, {lost} answers to counted reports lost");
    let sum = house.usage("").await;
    assert_eq!(sum["total"]["requests"], json!(total), "{sum}");
}
