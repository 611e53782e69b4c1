//! Limits of tokens: what a response used is taken when it is known, and a debt is waited out.
//!
//! The sample upstream counts words: a question of four words is answered by the same four, which makes eight tokens.

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::limits::{DAY_SECONDS, rule};
use portcullis_tests::machine::among_others;
use portcullis_tests::raw::{self, Answer};
use serde_json::{Value, json};

use crate::call;
use crate::rules::assert_counts;

/// How an answer comes, and with it what it used.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As one document, which says it.
    Whole,
    /// As a stream that says it in the end.
    Stream,
    /// As a stream that does not say it.
    SilentStream,
}

const FORMS: [Form; 3] = [Form::Whole, Form::Stream, Form::SilentStream];

impl Form {
    /// What the answer to a question of so many words is taken for.
    fn tokens(self, words: u64) -> u64 {
        match self {
            Self::Whole | Self::Stream => 2 * words,
            // One for each event: the words, the one that begins, and the one that says why it ends.
            Self::SilentStream => words + 2,
        }
    }
}

/// Asks the model a question of so many words.
async fn ask(house: &House, key: &IssuedKey, form: Form, words: u64) -> Answer {
    let content = (0..words).map(|_| "word").collect::<Vec<_>>().join(" ");
    let mut question = json!({"model": "echo", "messages": [{"role": "user", "content": content}]});
    match form {
        Form::Whole => {}
        Form::Stream => question["stream_options"] = json!({"include_usage": true}),
        Form::SilentStream => question["stream_options"] = Value::Null,
    }
    question["stream"] = json!(!matches!(form, Form::Whole));
    let (body, secret) = (question.to_string(), &key.secret);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = raw::send(house.listener(), request.as_bytes()).await;
    assert!(answer.status != Some(200) || answer.body.contains("word"), "{answer:?}");
    answer
}

/// How many tokens are left to a key, as a call says that uses none itself.
async fn left(house: &House, key: &IssuedKey) -> u64 {
    let answer = call(house, "/v1/models", &key.secret).await;
    let field = answer.header("ratelimit").unwrap_or_else(|| panic!("{answer:?}"));
    let left = field.split_once(";r=").and_then(|(_, rest)| rest.split(';').next()?.parse().ok());
    left.unwrap_or_else(|| panic!("{field}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_response_used_is_taken_in_whatever_form_it_comes() {
    let _among_others = among_others().await;
    let house = House::start().await;
    house.limit(&house.serverless_api, json!({"rules": [rule("tokens", 1_000, DAY_SECONDS)]})).await;
    let key = house.issue("serverless", json!({})).await;
    assert_eq!(left(&house, &key).await, 1_000);
    let mut expected = 1_000;
    for (form, words) in FORMS.into_iter().zip([4, 25, 60]) {
        assert_eq!(ask(&house, &key, form, words).await.status, Some(200));
        expected -= form.tokens(words);
        assert_eq!(left(&house, &key).await, expected, "{form:?}");
    }
    assert_counts(&house, "portcullis_token_usage_total{result=\"read\"}", 2).await;
    assert_counts(&house, "portcullis_token_usage_total{result=\"estimated\"}", 1).await;
    // The list of models, four times: a GET uses no tokens.
    assert_counts(&house, "portcullis_token_usage_total{result=\"unknown\"}", 0).await;
}

/// A key with ten tokens asks for more than it has, is refused, and waits.
async fn assert_debt_is_waited_out(house: &House, key: &IssuedKey, form: Form, words: u64) {
    // One token comes back each second, and with one a request passes.
    let debt = form.tokens(words) - 10;
    let sent = Instant::now();
    assert_eq!(ask(house, key, form, words).await.status, Some(200), "{form:?}");
    let came = Instant::now();
    let wait = debt + 1;

    let refused = ask(house, key, form, words).await;
    assert_eq!((refused.status, refused.code().as_str()), (Some(429), "rate_limit_exceeded"), "{form:?}");
    let body: Value = serde_json::from_str(&refused.body).expect("a problem document");
    assert_eq!((&body["error"]["type"], &body["violated-policies"]), (&json!("tokens"), &json!(["tokens-10s"])));
    assert_eq!(refused.header("retry-after"), Some(wait.to_string().as_str()), "{form:?}");

    // The bucket was full until the usage was taken from it, so that all of the debt is waited out from then on.
    let too_early = Duration::from_secs(wait) - Duration::from_millis(500);
    tokio::time::sleep_until((sent + too_early).into()).await;
    let early = call(house, "/v1/models", &key.secret).await;
    assert!(Instant::now() - sent < Duration::from_secs(wait), "this machine is too slow to tell");
    assert_eq!(early.status, Some(429), "{form:?}: {early:?}");
    tokio::time::sleep_until((came + Duration::from_secs(wait)).into()).await;
    assert_eq!(call(house, "/v1/models", &key.secret).await.status, Some(200), "{form:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_refuses_with_a_wait_and_then_lets_pass() {
    let _among_others = among_others().await;
    let house = House::start().await;
    house.limit(&house.serverless_api, json!({"rules": [rule("tokens", 10, 10)]})).await;
    let keys = [
        house.issue("serverless", json!({})).await,
        house.issue("serverless", json!({})).await,
        house.issue("serverless", json!({})).await,
    ];
    // All of them owe four tokens then.
    tokio::join!(
        assert_debt_is_waited_out(&house, &keys[0], Form::Whole, 7),
        assert_debt_is_waited_out(&house, &keys[1], Form::Stream, 7),
        assert_debt_is_waited_out(&house, &keys[2], Form::SilentStream, 12),
    );
}
