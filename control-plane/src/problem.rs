//! Refusals as RFC 9457 problem documents, `application/problem+json`.
//!
//! Each operation has its own closed list of refusals and turns each into one of these. What is said outside
//! never contains what the database said inside: that goes to the log.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::bearer::BearerError;
use crate::domain::authority::Denied;
use crate::domain::environment::EntropyError;
use crate::domain::fault::{Fault, Faults};
use crate::domain::name::NameError;
use crate::domain::throttle::Locked;
use crate::hasher::HasherError;
use crate::storage::StorageError;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";
const DATABASE_BUSY: &str = "The database cannot serve this request now. Try again in a moment.";

const TOO_MANY_ATTEMPTS: &str = "Too many failed attempts. The Retry-After header says when the next one counts.";
/// RFC 6750, section 3.1: no error code for a request that presented nothing.
const CHALLENGE: &str = r#"Bearer realm="portcullis""#;

/// On an answer: it was refused because of who asked.
#[derive(Debug, Clone, Copy)]
pub struct DeniedMark;

/// Why a request was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: status and detail say it all.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Unprocessable Entity")]
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16, example = 422)]
    status: u16,
    /// What is wrong, for a person.
    detail: String,
    /// Which fields are wrong, where fields are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    #[serde(skip)]
    hint: Hint,
    /// Whether it was refused because of who asked.
    #[serde(skip)]
    denied: bool,
}

/// The header that goes with a problem.
#[derive(Debug, Clone, Copy)]
enum Hint {
    None,
    RetryAfter(u64),
    Challenge(&'static str),
}

impl Problem {
    /// A problem with this status, said in one sentence.
    pub fn new(status: StatusCode, detail: impl ToString) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.to_string(),
            errors: Vec::new(),
            hint: Hint::None,
            denied: false,
        }
    }

    /// The caller may not do it. What they may not know of looks as if it were not there.
    pub fn denied(denied: Denied, what: &str) -> Self {
        let problem = match denied {
            Denied::Hidden => Self::not_found(what),
            Denied::Forbidden => Self::new(StatusCode::FORBIDDEN, "Your role does not allow this."),
        };
        Self { denied: true, ..problem }
    }

    /// Nothing has this id, or nothing that the caller may see.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// It cannot be done now; the same request may succeed in a second.
    pub fn unavailable(detail: &str) -> Self {
        Self { hint: Hint::RetryAfter(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Too many failed attempts: none counts before that time is over.
    pub fn locked(locked: Locked) -> Self {
        let seconds = u64::try_from(locked.retry_after.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
        Self { hint: Hint::RetryAfter(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY_ATTEMPTS) }
    }

    /// The name or the password is wrong. Which of them is not said.
    pub fn not_signed_in() -> Self {
        Self { hint: Hint::Challenge(CHALLENGE), ..Self::new(StatusCode::UNAUTHORIZED, "Wrong name or password.") }
    }

    /// What a refusal with this status can look like, for the description of the API.
    pub fn example(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => BearerError::Missing.into(),
            StatusCode::NOT_FOUND => Self::not_found("key"),
            StatusCode::UNPROCESSABLE_ENTITY => Faults::one("/name", NameError).into(),
            StatusCode::INTERNAL_SERVER_ERROR => Self::internal(),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(DATABASE_BUSY),
            StatusCode::TOO_MANY_REQUESTS => Self::new(status, TOO_MANY_ATTEMPTS),
            StatusCode::BAD_REQUEST => Self::new(status, "limit: expected 1 to 200."),
            StatusCode::CONFLICT => Self::new(status, "There is an organization with this name already."),
            _ => Self::new(status, "What is wrong, in a sentence."),
        }
    }

    /// Something is wrong here, not with the request.
    pub fn internal() -> Self {
        let detail = "Something went wrong in the control plane. Its log says what.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (hint, denied) = (self.hint, self.denied);
        let mut response = (status, Json(self)).into_response();
        if denied {
            response.extensions_mut().insert(DeniedMark);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match hint {
            Hint::None => {}
            Hint::RetryAfter(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Hint::Challenge(challenge) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        response
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        Self { errors: faults.into_vec(), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Some fields are not right.") }
    }
}

impl From<BearerError> for Problem {
    fn from(error: BearerError) -> Self {
        let challenge = match error {
            BearerError::Missing => CHALLENGE,
            BearerError::Ambiguous | BearerError::Malformed => r#"Bearer realm="portcullis", error="invalid_token""#,
        };
        Self {
            hint: Hint::Challenge(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, format!("Not authenticated: {error}."))
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        if error.is_passing() {
            tracing::warn!(%error, "the database cannot serve a request now");
            Self::unavailable(DATABASE_BUSY)
        } else {
            tracing::error!(%error, "the database failed");
            Self::internal()
        }
    }
}

impl From<EntropyError> for Problem {
    fn from(error: EntropyError) -> Self {
        tracing::error!(%error, "no secret can be made");
        Self::internal()
    }
}

impl From<HasherError> for Problem {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy => Self::unavailable("Too many passwords are being checked. Try again in a moment."),
            HasherError::Hash(_) | HasherError::Stopped => {
                tracing::error!(%error, "a password cannot be hashed");
                Self::internal()
            }
        }
    }
}
