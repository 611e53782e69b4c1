//! Control planes with few keys and with many.

use std::time::{Duration, Instant};

use portcullis_core::wire::{Ask, Poll};
use portcullis_tests::bulk::numbered_key;
use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use serde_json::json;

use super::apis::apis;
use super::texts::TEXTS;

/// A control plane with so many keys.
pub struct Furnished {
    /// How many.
    pub keys: u32,
    /// The control plane.
    pub house: House,
    /// One of the keys, issued by the admin API.
    pub issued: IssuedKey,
    /// Those that requests use, from all over the set.
    pub secrets: Vec<String>,
    /// How long it took to render the snapshot that all workers are then sent.
    pub rendering: Duration,
}

impl Furnished {
    /// Starts a control plane, and has it filled before anybody asks for its keys.
    pub async fn build(keys: u32) -> Self {
        let house = House::without_envoy().await;
        for api in apis() {
            house.admin().create("/v1/apis", &api).await.unwrap_or_else(|error| panic!("{error}"));
        }
        let issued = house.issue("serverless", json!({})).await;
        let copies = keys - 1;
        if copies == 0 {
            let secrets = vec![issued.secret.clone()];
            return Self { keys, house, issued, secrets, rendering: Duration::ZERO };
        }
        let every = (copies as usize / TEXTS).max(1);
        let (mut digests, mut secrets) = (Vec::new(), Vec::new());
        for number in 0..copies {
            let key = numbered_key(number);
            digests.push(key.digest());
            if (number as usize).is_multiple_of(every) && secrets.len() < TEXTS {
                secrets.push(key.reveal().to_owned());
            }
        }
        let mut direct = house.direct().await;
        // Nobody searches for these keys, and their index would take longer than all else.
        direct.execute("DROP TRIGGER keys_search_insert".to_owned()).await;
        direct.copy_key(issued.id.parse().expect("an id"), &digests).await;
        let start = Instant::now();
        let first = house.poll(house.gateway_token(), Poll { number: 1, ask: Ask::Everything }).await;
        first.bytes().await.expect("the first page");
        Self { keys, house, issued, secrets, rendering: start.elapsed() }
    }
}
