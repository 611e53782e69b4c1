//! The sample upstream: a model API in OpenAI's shape that answers with what it was asked.
//!
//! | path | answer |
//! |---|---|
//! | `POST /v1/chat/completions` | the last user message, plain or as a stream ([`chat`]) |
//! | `GET /v1/models`, `GET /v1/models/{id}` | one model, `echo` ([`models`]) |
//! | anything else, `/v1/echo` included | the request as it arrived ([`echo`]) |
//!
//! The same stands under `/dedicated`. Every answer carries the request's headers in `x-echo-request-headers`, so that a
//! test can see what passed Envoy. That hands credentials back to their sender: this server is for demos and tests only.
//!
//! Bodies above [`BODY_BYTES_MAX`] get 413; what is not understood gets an error in OpenAI's shape.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub mod chat;
pub mod echo;
pub mod error;
pub mod models;

/// The largest request body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The whole sample upstream as a router.
pub fn router() -> Router {
    Router::new()
        .nest("/v1", api())
        .nest("/dedicated/v1", api())
        .fallback(echo::echo)
        .layer(middleware::from_fn(echo::add_header))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn api() -> Router {
    Router::new()
        .route("/chat/completions", post(chat::complete))
        .route("/models", get(models::list))
        .route("/models/{id}", get(models::read))
        .fallback(echo::echo)
}

#[cfg(test)]
mod tests;
