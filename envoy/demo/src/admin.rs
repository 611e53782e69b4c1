//! A small client of the admin API: as much as seeding needs, and tests find handy.
//!
//! Every call has a time-out. What is not 2xx is an error with the answer's status and body; answers carry no secrets of
//! ours, so they may be shown.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::health;

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A list that goes on for longer is not the demo's.
const PAGES_MAX: usize = 1_000;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer, or no JSON in it.
    #[error("{method} {path}: {}", health::describe(error))]
    Transport {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// What went wrong.
        error: reqwest::Error,
    },
    /// An answer that is not 2xx.
    #[error("{method} {path} answered {status}: {body}")]
    Refused {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// The status.
        status: StatusCode,
        /// The body, as it came.
        body: String,
    },
    /// A list without `items`, or without end.
    #[error("GET {path} is no list: {reason}")]
    NoList {
        /// The path.
        path: String,
        /// Why.
        reason: &'static str,
    },
}

/// A client with an operator's token.
#[derive(Clone)]
pub struct AdminClient {
    http: Client,
    base: String,
    token: String,
}

impl AdminClient {
    /// For the admin API at `base` (no slash at its end).
    pub fn new(base: String, token: String) -> Self {
        Self { http: health::client(), base, token }
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, AdminError> {
        let no_list = |reason| AdminError::NoList { path: path.to_owned(), reason };
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut request = self.request(Method::GET, path);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page = self.send(Method::GET, path, request).await?;
            let items = page.get("items").and_then(Value::as_array).ok_or_else(|| no_list("it has no `items`"))?;
            all.extend(items.iter().cloned());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(no_list("it does not end"))
    }

    /// `GET`: the answer's body.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.send(Method::GET, path, self.request(Method::GET, path)).await
    }

    /// `POST`: the answer's body.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn create(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.send(Method::POST, path, self.request(Method::POST, path).json(body)).await
    }

    /// `PATCH`: the answer's body.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn change(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.send(Method::PATCH, path, self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`: the answer's body.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn delete(&self, path: &str) -> Result<Value, AdminError> {
        self.send(Method::DELETE, path, self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token).timeout(CALL_TIMEOUT)
    }

    /// The JSON of a 2xx answer; `null` for an empty one.
    async fn send(&self, method: Method, path: &str, request: RequestBuilder) -> Result<Value, AdminError> {
        let transport = |error| AdminError::Transport { method: method.clone(), path: path.to_owned(), error };
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        if !status.is_success() {
            let body = response.text().await.unwrap_or_default();
            return Err(AdminError::Refused { method, path: path.to_owned(), status, body });
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        response.json().await.map_err(transport)
    }
}
