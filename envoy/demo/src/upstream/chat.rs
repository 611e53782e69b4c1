//! Chat completions: the answer is the last message of the user, whole or in a stream of Server-Sent Events.
//!
//! Tokens are words here: what stands between white space counts as one, in the question (all messages) and in the
//! answer. A stream has one chunk for a word, at most [`CHUNKS_MAX`], a moment apart so that a person sees it flow; with
//! `stream_options.include_usage` one more chunk, without choices, carries the usage before `[DONE]`, as OpenAI's does.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::UpstreamError;

/// The most chunks with text in one stream; longer answers have more words in each.
pub const CHUNKS_MAX: usize = 100;

const CHUNK_PAUSE: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

/// A message's content: text, or parts of which some are text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// What both forms of the answer are made of.
struct Completion {
    id: String,
    created: u64,
    model: String,
    answer: String,
    usage: Value,
}

/// `POST /v1/chat/completions`.
///
/// # Errors
///
/// 400 for a body that is not such a request or holds no message of the user, 413 for one that is too large.
pub async fn complete(body: Result<Bytes, BytesRejection>) -> Result<Response, UpstreamError> {
    let request: ChatRequest = serde_json::from_slice(&body?)?;
    let completion = Completion::answer_to(&request)?;
    if request.stream.unwrap_or(false) {
        let options = request.stream_options.as_ref();
        let include_usage = options.and_then(|options| options.include_usage).unwrap_or(false);
        return Ok(streamed(&completion.events(include_usage)));
    }
    Ok(Json(completion.whole()).into_response())
}

impl Completion {
    fn answer_to(request: &ChatRequest) -> Result<Self, UpstreamError> {
        let last = request.messages.iter().rfind(|message| message.role == "user");
        let answer = last.ok_or(UpstreamError::NoUserMessage)?.text();
        let prompt_tokens: usize = request.messages.iter().map(|message| words(&message.text())).sum();
        let completion_tokens = words(&answer);
        Ok(Self {
            id: next_id(),
            created: unix_seconds(),
            model: request.model.clone(),
            answer,
            usage: json!({
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            }),
        })
    }

    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.answer, "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": self.usage,
        })
    }

    /// The data of each event of the stream, in order.
    fn events(&self, include_usage: bool) -> Vec<String> {
        let choice = |delta: Value, finish_reason: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        let mut choices = vec![choice(json!({"role": "assistant", "content": ""}), None)];
        choices.extend(pieces(&self.answer).map(|piece| choice(json!({"content": piece}), None)));
        choices.push(choice(json!({}), Some("stop")));

        let usage_so_far = include_usage.then_some(&Value::Null);
        let mut events: Vec<String> =
            choices.iter().map(|choices| self.chunk(choices, usage_so_far).to_string()).collect();
        if include_usage {
            events.push(self.chunk(&json!([]), Some(&self.usage)).to_string());
        }
        events.push("[DONE]".to_owned());
        events
    }

    fn chunk(&self, choices: &Value, usage: Option<&Value>) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (Some(usage), Some(fields)) = (usage, chunk.as_object_mut()) {
            fields.insert("usage".to_owned(), usage.clone());
        }
        chunk
    }
}

fn streamed(events: &[String]) -> Response {
    let events: Vec<Event> = events.iter().map(|data| Event::default().data(data)).collect();
    let paced = stream::iter(events).then(|event| async {
        tokio::time::sleep(CHUNK_PAUSE).await;
        Ok::<Event, Infallible>(event)
    });
    Sse::new(paced).into_response()
}

/// The text in at most [`CHUNKS_MAX`] pieces that end after white space; together they are the text.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let per_piece = words.len().div_ceil(CHUNKS_MAX).max(1);
    words.chunks(per_piece).map(<[&str]>::concat).collect::<Vec<_>>().into_iter()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("chatcmpl-echo{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
