//! Cost to the millionth of the currency, against a calculation of our own over the same calls: with prices that divide
//! nothing evenly, and with one that changes while calls come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::machine::among_others;
use serde_json::{Value, json};

/// The words of each question, one after the other.
const WORDS: [u64; 7] = [1, 2, 3, 7, 19, 64, 101];
const CALLS: usize = 40;

/// A price: per call, per million tokens of input, and of output.
#[derive(Debug, Clone, Copy)]
struct Price(u64, u64, u64);

const BEFORE: Price = Price(7, 150_001, 600_007);
const AFTER: Price = Price(11, 333_333, 1_000_003);

impl Price {
    fn json(self) -> Value {
        let Self(call, input, output) = self;
        json!({
            "per_call_micros": call,
            "per_million_input_tokens_micros": input,
            "per_million_output_tokens_micros": output,
        })
    }

    /// What a question of so many words costs, in millionths of a millionth.
    fn of(self, words: u64) -> u128 {
        let Self(call, input, output) = self;
        u128::from(call) * 1_000_000 + u128::from(words) * (u128::from(input) + u128::from(output))
    }
}

async fn set_price(house: &House, price: Price) {
    let change = json!({"price": price.json()});
    let path = format!("/v1/apis/{}?wait_ms=10000", house.serverless_api);
    let answer = house.admin().change(&path, &change).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer["propagation"]["status"], "complete", "{answer}");
}

/// Calls so often; what that costs at this price.
async fn call_at(house: &House, key: &IssuedKey, price: Price) -> u128 {
    let mut cost = 0;
    for words in WORDS.into_iter().cycle().take(CALLS) {
        house.chats("/v1", &key.secret, words).await;
        cost += price.of(words);
    }
    cost
}

/// The cost of each key, once it has been called so often.
async fn costs(house: &House, calls: &[(&IssuedKey, u64)]) -> Vec<u64> {
    house
        .wait_for_usage("all calls are counted", || async {
            let items = house.usage_items("group_by=key").await;
            let of = |key: &IssuedKey| items.iter().find(|item| item["key"] == json!(key.id));
            let all_there = calls.iter().all(|(key, calls)| of(key).is_some_and(|item| item["calls"] == json!(calls)));
            let costs = calls.iter().filter_map(|(key, _)| of(key)?["cost_micros"].as_u64());
            if all_there { Ok(costs.collect::<Vec<_>>()) } else { Err(format!("{items:?}")) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn cost_is_exact_before_and_after_a_price_change_and_past_cost_stays() {
    let _among_others = among_others().await;
    let house = Arc::new(House::start().await);
    let [steady, busy] = [house.issue("serverless", json!({})).await, house.issue("serverless", json!({})).await];
    set_price(&house, BEFORE).await;

    let mut expected = call_at(&house, &steady, BEFORE).await;
    // Somebody calls all the time while the price changes: three words each.
    let (stopping, called) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = tokio::spawn({
        let (house, secret) = (Arc::clone(&house), busy.secret.clone());
        let (stopping, called) = (Arc::clone(&stopping), Arc::clone(&called));
        async move {
            while !stopping.load(Ordering::SeqCst) {
                house.chats("/v1", &secret, 3).await;
                called.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let at_least_before = called.load(Ordering::SeqCst);
    set_price(&house, AFTER).await;
    // One may be under way that began before.
    let at_most_before = called.load(Ordering::SeqCst) + 1;
    expected += call_at(&house, &steady, AFTER).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stopping.store(true, Ordering::SeqCst);
    load.await.expect("the load ends");

    let calls = called.load(Ordering::SeqCst);
    let counted = costs(&house, &[(&steady, 2 * CALLS as u64), (&busy, calls)]).await;
    assert_eq!(u128::from(counted[0]), expected / 1_000_000);
    // However many of them came before, the others had the new price.
    let possible = (at_least_before..=at_most_before)
        .find(|before| {
            let cost = u128::from(*before) * BEFORE.of(3) + u128::from(calls - before) * AFTER.of(3);
            cost / 1_000_000 == u128::from(counted[1])
        })
        .unwrap_or_else(|| panic!("{} for {calls} calls, {at_least_before} to {at_most_before} before", counted[1]));
    println!("{calls} calls, of which {possible} had the old price: {} millionths", counted[1]);
    assert!(at_least_before > 0 && calls > at_most_before, "calls came before and after");
    // A total is what it is, not the sum of what was rounded.
    let total = house.usage("").await["total"]["cost_micros"].as_u64().expect("a cost");
    let sum = counted.iter().sum::<u64>();
    assert!(total == sum || total == sum + 1, "{total} rather than about {sum}");
}
