//! `GET /docs`: the admin API to read, made from the same description that `/openapi.json` serves.
//!
//! ```text
//! description ─► schema ─► rows of a table ─┐
//!             └► example ─► JSON, curl ─────┴► operation ─► page ─► HTML
//! ```
//!
//! The page is rendered once, when the control plane starts. It needs no script and no other host, so it is
//! served under a policy that forbids both: it can be read on a machine without a network, and whatever a
//! description may say one day, no browser runs it.

mod example;
mod operation;
mod page;
mod schema;
#[cfg(test)]
mod tests;
mod values;

pub use example::INSTANT;

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::IntoResponse;
use utoipa::openapi::OpenApi;

/// Where the stylesheet is; the page's policy allows no other.
pub const STYLE_PATH: &str = "/docs/style.css";
const STYLE: &str = include_str!("style.css");
/// Everything that the page may load or do: its stylesheet.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The documentation, rendered once.
#[derive(Debug, Clone)]
pub struct Documentation(Bytes);

impl Documentation {
    /// Renders what `description` says.
    pub fn new(description: &OpenApi) -> Self {
        let document = serde_json::to_value(description).unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be rendered");
            serde_json::Value::Null
        });
        Self(page::render(&document).into_string().into())
    }
}

/// `GET /docs`. No token needed: it says what the source code says.
pub async fn serve(Extension(documentation): Extension<Documentation>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, documentation.0)
}

/// `GET /docs/style.css`.
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
