//! Rate limits, with real Envoys, a real control plane and real clients.
//!
//! | module | what it shows |
//! |---|---|
//! | [`exact`] | a limit of N admits N, however many workers there are, and at most half a percent fewer where N is large |
//! | [`changes`] | policies, keys and switches that change under load: no second quota, no stall |
//! | [`counted`] | who is held to a policy, and who shares a counter |
//! | [`rules`] | several rules, none at all, rules that only observe |
//! | [`tokens`] | limits of tokens, and debts |
//! | [`instants`] | what was announced holds, whatever the wall clock says and whatever breaks |
//! | [`answers`] | headers and bodies, read by strangers; the official OpenAI client |

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

mod answers;
mod bounds;
mod changes;
mod counted;
mod exact;
mod instants;
mod rules;
mod tokens;

use portcullis_tests::house::House;
use portcullis_tests::raw::{self, Answer};

/// One call over a connection of its own, so that calls come to all workers.
async fn call(house: &House, path: &str, secret: &str) -> Answer {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n\r\n");
    raw::send(house.listener(), request.as_bytes()).await
}

/// Calls so often, one call after the other; how many passed. Others were refused for the limit.
async fn passed(house: &House, path: &str, secret: &str, calls: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..calls {
        let answer = call(house, path, secret).await;
        match answer.status {
            Some(200) => passed += 1,
            Some(429) => assert_eq!(answer.code(), "rate_limit_exceeded", "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
    passed
}
