//! The admin API as the console calls it: inside this process, by the same router that serves everyone else, with the
//! access token of whoever is signed in.
//!
//! What the API refuses comes back as a [`Refusal`], with what is wrong with each field. An answer of another shape than
//! is expected is a fault of ours: it is logged, and refused as one.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Method, Request, Response, StatusCode};
use form_urlencoded::Serializer;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;

use crate::api::caller::Peer;

/// The admin API, with an access token or without.
#[derive(Clone)]
pub struct Client {
    api: Router,
    token: Option<String>,
    peer: Option<Peer>,
}

/// What the API refuses, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong, for a person.
    pub detail: String,
    /// What is wrong with which field of what was sent.
    pub faults: Vec<FieldFault>,
    /// After how many seconds another try may succeed.
    pub retry_after_seconds: Option<u64>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FieldFault {
    /// The field, as a JSON pointer (RFC 6901) into what was sent.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<FieldFault>,
}

impl Client {
    /// A client for requests from `peer`.
    pub const fn new(api: Router, token: Option<String>, peer: Option<Peer>) -> Self {
        Self { api, token, peer }
    }

    /// The same with another access token.
    pub fn with_token(&self, token: String) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// Reads what is at `path`. Fields of the query that are empty are left out.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Refusal> {
        let answer = self.call(self.request(Method::GET, &link(path, query), None, None)?).await?;
        read(answer).await
    }

    /// The answer itself, for what is handed on in pieces.
    pub async fn get_as(&self, path: &str, query: &[(&str, &str)], accept: &str) -> Result<Response<Body>, Refusal> {
        let mut request = self.request(Method::GET, &link(path, query), None, None)?;
        request.headers_mut().insert(axum::http::header::ACCEPT, accept.parse().map_err(|_| Refusal::internal())?);
        self.call(request).await
    }

    /// Creates what `body` says at `path`, once for each `idempotency_key`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
        idempotency_key: Option<&str>,
    ) -> Result<T, Refusal> {
        self.send(Method::POST, path, Some(body), idempotency_key).await
    }

    /// Changes what is at `path` as `body` says.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        self.send(Method::PATCH, path, Some(body), None).await
    }

    /// Deletes what is at `path`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.send(Method::DELETE, path, None, None).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Refusal> {
        read(self.call(self.request(method, path, body, idempotency_key)?).await?).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Request<Body>, Refusal> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let mut request = request.body(body).map_err(|error| {
            // A form may hold anything; the API would refuse it for the same reason.
            tracing::debug!(%error, "a request of the console cannot be written");
            Refusal::new(StatusCode::BAD_REQUEST, "This cannot be sent.")
        })?;
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        Ok(request)
    }

    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let answered = self.api.clone().oneshot(request).await;
        let response = answered.unwrap_or_else(|never| match never {});
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let retry_after_seconds =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let problem: Problem = read(response).await?;
        Err(Refusal { status, detail: problem.detail, faults: problem.errors, retry_after_seconds })
    }
}

async fn read<T: DeserializeOwned>(response: Response<Body>) -> Result<T, Refusal> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the console does not understand an answer of the admin API");
        Refusal::internal()
    };
    let bytes = response.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| failed(&error))
}

impl Refusal {
    /// A refusal with this status, said in one sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), faults: Vec::new(), retry_after_seconds: None }
    }

    /// Something is wrong here, not with the request.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong in the control plane. Its log says what.")
    }

    /// Whether a person can put it right in the form that was sent.
    pub fn is_about_form(&self) -> bool {
        matches!(
            self.status,
            StatusCode::BAD_REQUEST
                | StatusCode::CONFLICT
                | StatusCode::UNPROCESSABLE_ENTITY
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
        )
    }
}

/// A path with a query. Fields that are empty are left out.
pub fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut fields = query.iter().filter(|(_, value)| !value.is_empty()).peekable();
    if fields.peek().is_none() {
        return path.to_owned();
    }
    let mut serializer = Serializer::new(String::new());
    serializer.extend_pairs(fields);
    format!("{path}?{}", serializer.finish())
}
