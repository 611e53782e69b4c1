//! The sample upstream over a real socket, as a client sees it.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::stack::SampleUpstream;

async fn start() -> (SampleUpstream, Client) {
    let upstream = SampleUpstream::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    (upstream, crate::health::client())
}

fn question(stream: bool, include_usage: bool) -> Value {
    json!({
        "model": "echo",
        "stream": stream,
        "stream_options": {"include_usage": include_usage},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": null},
            {"role": "user", "content": [{"type": "text", "text": "two  three\nfour"}]},
        ],
    })
}

async fn post(client: &Client, upstream: &SampleUpstream, path: &str, body: String) -> Response {
    client.post(format!("{}{path}", upstream.url())).body(body).send().await.unwrap()
}

#[tokio::test]
async fn the_answer_is_the_last_user_message_and_words_are_tokens() {
    let (upstream, client) = start().await;
    for path in ["/v1/chat/completions", "/dedicated/v1/chat/completions"] {
        let response = post(&client, &upstream, path, question(false, false).to_string()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "two  three\nfour");
        assert_eq!(body["usage"], json!({"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}));
    }
}

#[tokio::test]
async fn a_stream_carries_the_same_text_and_its_usage_last() {
    let (upstream, client) = start().await;
    let response = post(&client, &upstream, "/v1/chat/completions", question(true, true).to_string()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let mut events: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    let chunks: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "two  three\nfour");
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 9);
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
}

#[tokio::test]
async fn a_stream_without_include_usage_has_none() {
    let (upstream, client) = start().await;
    let response = post(&client, &upstream, "/v1/chat/completions", question(true, false).to_string()).await;
    let text = response.text().await.unwrap();
    assert!(!text.contains("usage"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn what_is_no_chat_request_is_refused_in_openai_shape() {
    let (upstream, client) = start().await;
    for body in ["{", "{}", r#"{"model":"echo","messages":[]}"#] {
        let response = post(&client, &upstream, "/v1/chat/completions", body.to_owned()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["type"], "invalid_request_error", "{body}");
    }
    let oversized = "x".repeat(super::BODY_BYTES_MAX + 1);
    let response = post(&client, &upstream, "/v1/chat/completions", oversized).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn models_are_listed_and_read() {
    let (upstream, client) = start().await;
    let list: Value = client.get(format!("{}/v1/models", upstream.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"][0]["id"], "echo");
    let found = client.get(format!("{}/dedicated/v1/models/echo", upstream.url())).send().await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    let missing = client.get(format!("{}/v1/models/other", upstream.url())).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_echo_shows_method_path_and_every_header() {
    let (upstream, client) = start().await;
    for path in ["/v1/echo?a=1", "/dedicated/v1/echo", "/elsewhere"] {
        let request = client
            .put(format!("{}{path}", upstream.url()))
            .header("x-twice", "1")
            .header("x-twice", "2")
            .header("x-bytes", b"\xff\xc3\xa9".as_slice());
        let response = request.send().await.unwrap();
        let in_header: Value =
            serde_json::from_str(response.headers()[super::echo::ECHO_HEADER].to_str().unwrap()).unwrap();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["method"], "PUT");
        assert_eq!(body["path"], path);
        assert_eq!(body["headers"], in_header);
        for pair in [json!(["x-twice", "1"]), json!(["x-twice", "2"]), json!(["x-bytes", "\u{fffd}é"])] {
            assert!(body["headers"].as_array().unwrap().contains(&pair), "{pair} in {body}");
        }
    }
}
