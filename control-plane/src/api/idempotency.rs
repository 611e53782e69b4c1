//! `Idempotency-Key`: a POST that can be sent again without doing anything twice
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! For 24 hours the same key of the same access token stands for the same request: its method, its path and the
//! digest of its body. What the request made is remembered by its id. A retry gets that again, with
//! `Idempotency-Replayed: true`; where a secret belongs to it, a new one in place of the one that got lost on its
//! way. A secret cannot be repeated, as it is stored nowhere.
//!
//! The same key with another request is refused with 422. So is, with 409, a retry that comes so late that what the
//! request made has been given yet another secret: that one is somebody's, and stays.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use portcullis_core::digest::Digest;
use portcullis_core::id::{Id, Named};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::actor::Actor;
use crate::problem::Problem;
use crate::storage::{Earlier, StorageError, Write};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// The header, as the OpenAPI document lists it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description matters")]
pub struct IdempotencyHeader {
    /// Makes a retry safe: within 24 hours the same key with the same request makes nothing twice.
    #[serde(rename = "Idempotency-Key")]
    #[param(min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$")]
    idempotency_key: Option<String>,
}

/// Why a retry is no retry.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The `Idempotency-Key` stands for another request.
    #[error("This Idempotency-Key was used with another request.")]
    OtherRequest,
    /// What it made has a later secret.
    #[error("What this request made has been given another secret since.")]
    Superseded,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::OtherRequest => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            ReplayError::Superseded => Self::new(StatusCode::CONFLICT, error),
            ReplayError::Storage(error) => error.into(),
        }
    }
}

/// What an earlier request made.
pub struct Made<K> {
    /// Its id.
    pub id: Id<K>,
    secret: Option<Digest>,
}

impl<K> Made<K> {
    /// Checks that what has the secret `current` now has had no other since the earlier request.
    pub fn check(&self, current: Digest) -> Result<(), ReplayError> {
        if self.secret.is_none_or(|secret| secret == current) { Ok(()) } else { Err(ReplayError::Superseded) }
    }
}

/// The `Idempotency-Key` of a request, if it has one, and where the request goes.
#[derive(Debug)]
pub struct Idempotency {
    key: Option<String>,
    method: Method,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed = || {
            let detail =
                format!("Idempotency-Key: expected 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters.");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        };
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = values.next().map(|value| {
            let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&value.len());
            let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
            value.to_str().ok().filter(|_| fits && visible).map(str::to_owned).ok_or_else(malformed)
        });
        if values.next().is_some() {
            return Err(malformed());
        }
        Ok(Self { key: key.transpose()?, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

impl Idempotency {
    /// What the same request made before, if this is a retry. `body` is the digest of its body.
    pub async fn earlier<K: Named>(
        &self,
        write: &mut Write,
        actor: Actor,
        body: Digest,
    ) -> Result<Option<Made<K>>, ReplayError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let Some(earlier) = write.earlier_request(actor, key).await? else {
            return Ok(None);
        };
        if earlier.request != self.request(body) {
            return Err(ReplayError::OtherRequest);
        }
        // Another sort of id cannot come from the same path.
        let id = earlier.subject.parse().map_err(|_| ReplayError::OtherRequest)?;
        Ok(Some(Made { id, secret: earlier.secret }))
    }

    /// Remembers what this request has made, and with which secret.
    pub async fn remember<K: Named>(
        &self,
        write: &mut Write,
        actor: Actor,
        body: Digest,
        made: Id<K>,
        secret: Option<Digest>,
    ) -> Result<(), StorageError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let made = Earlier { request: self.request(body), subject: made.to_string(), secret };
        write.remember_request(actor, key, &made).await
    }

    fn request(&self, body: Digest) -> Digest {
        Digest::of(format!("{} {}\n{body}", self.method, self.path).as_bytes())
    }
}

/// Marks the answer to a retry.
pub fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}
