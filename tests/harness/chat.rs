//! Calls of the sample model, which counts words: a question of so many words is answered by the same words.

use reqwest::{Response, StatusCode};
use serde_json::json;

use crate::house::House;

impl House {
    /// Asks the model at this path a question of so many words, which uses as many tokens of input and of output.
    pub async fn chat(&self, path: &str, secret: &str, words: u64) -> Response {
        let content = (0..words).map(|_| "word").collect::<Vec<_>>().join(" ");
        let question = json!({"model": "echo", "messages": [{"role": "user", "content": content}]});
        let request = self.http.post(format!("{}{path}/chat/completions", self.envoy().url())).bearer_auth(secret);
        request.json(&question).send().await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The same; it must be answered.
    pub async fn chats(&self, path: &str, secret: &str, words: u64) {
        let answer = self.chat(path, secret, words).await;
        assert_eq!(answer.status(), StatusCode::OK);
        // All of it, so that it is over.
        answer.bytes().await.expect("an answer");
    }
}
