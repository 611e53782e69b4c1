//! The refusals that many operations share, as they are answered and as the OpenAPI document lists them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{self, IntoResponse};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::idempotency::ReplayError;
use crate::domain::authority::Denied;
use crate::domain::environment::EntropyError;
use crate::domain::fault::Faults;
use crate::domain::throttle::Locked;
use crate::hasher::HasherError;
use crate::problem::{MEDIA_TYPE, Problem};
use crate::storage::{ApiConflict, StorageError};

/// Why an operation on one thing, named by its id, does nothing.
#[derive(Debug, thiserror::Error)]
pub enum OneError {
    /// Nothing of this sort has the id.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The caller may not do it, or not even know of it.
    #[error("not allowed")]
    Denied(Denied, &'static str),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for OneError {
    fn into_response(self) -> response::Response {
        match self {
            Self::Unknown(what) => Problem::not_found(what),
            Self::Denied(denied, what) => Problem::denied(denied, what),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Why a write does nothing, for operations that need no list of their own.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Nothing of this sort has the id.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The caller may not do it, or not even know of it.
    #[error("not allowed")]
    Denied(Denied, &'static str),
    /// Fields are wrong.
    #[error("fields are wrong")]
    Fields(Faults),
    /// Something that exists stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// The request is no retry of the one with its `Idempotency-Key`.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// What this request made before has been deleted since.
    #[error("What this request made has been deleted since.")]
    Gone,
    /// No secret could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// Too many wrong passwords came before this one.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WriteError {
    /// The caller may not do this to anything of this sort, or may not know of this one.
    pub fn denied(what: &'static str) -> impl Fn(Denied) -> Self {
        move |denied| Self::Denied(denied, what)
    }
}

impl From<OneError> for WriteError {
    fn from(error: OneError) -> Self {
        match error {
            OneError::Unknown(what) => Self::Unknown(what),
            OneError::Denied(denied, what) => Self::Denied(denied, what),
            OneError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<Faults> for WriteError {
    fn from(faults: Faults) -> Self {
        Self::Fields(faults)
    }
}

impl From<ApiConflict> for WriteError {
    fn from(conflict: ApiConflict) -> Self {
        Self::Conflict(conflict.to_string())
    }
}

impl IntoResponse for WriteError {
    fn into_response(self) -> response::Response {
        match self {
            Self::Unknown(what) => Problem::not_found(what),
            Self::Denied(denied, what) => Problem::denied(denied, what),
            Self::Fields(faults) => faults.into(),
            Self::Conflict(_) | Self::Gone => Problem::new(StatusCode::CONFLICT, self),
            Self::Replay(error) => error.into(),
            Self::Entropy(error) => error.into(),
            Self::Hasher(error) => error.into(),
            Self::Locked(locked) => Problem::locked(locked),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems<const N: usize>(refusals: [(&str, &str); N]) -> Responses {
    let of = |description: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        ResponseBuilder::new().description(description).content(MEDIA_TYPE, content).build()
    };
    refusals.into_iter().map(|(status, description)| (status.to_owned(), RefOr::T(of(description)))).collect()
}

/// Every operation behind a token can refuse like this.
#[derive(Debug)]
pub enum Always {}

impl IntoResponses for Always {
    fn responses() -> Responses {
        problems([
            ("401", "No valid token"),
            ("500", "Something is wrong with the control plane"),
            ("503", "The database is locked or full; try again later"),
        ])
    }
}

/// An operation with an id in its path can refuse like this.
#[derive(Debug)]
pub enum NotFound {}

impl IntoResponses for NotFound {
    fn responses() -> Responses {
        problems([("404", "Nothing has this id")])
    }
}

/// An operation that not everyone may do refuses like this.
#[derive(Debug)]
pub enum Forbidden {}

impl IntoResponses for Forbidden {
    fn responses() -> Responses {
        problems([("403", "The caller may not do this")])
    }
}

/// An operation with a query can refuse like this.
#[derive(Debug)]
pub enum BadQuery {}

impl IntoResponses for BadQuery {
    fn responses() -> Responses {
        problems([("400", "A field of the query is unknown or wrong")])
    }
}

/// An operation with a body can refuse like this.
#[derive(Debug)]
pub enum BadBody {}

impl IntoResponses for BadBody {
    fn responses() -> Responses {
        problems([
            ("400", "The body is not JSON"),
            ("408", "The body took too long to arrive"),
            ("413", "The body is too long"),
            ("415", "The body is not declared as JSON"),
            ("422", "Fields are unknown or wrong; `errors` names them"),
        ])
    }
}

/// An operation that something else can stand in the way of refuses like this.
#[derive(Debug)]
pub enum Conflict {}

impl IntoResponses for Conflict {
    fn responses() -> Responses {
        problems([("409", "Something that exists stands in the way; the detail names it")])
    }
}

/// An operation that takes a password can refuse like this.
#[derive(Debug)]
pub enum TooManyAttempts {}

impl IntoResponses for TooManyAttempts {
    fn responses() -> Responses {
        problems([("429", "Too many wrong passwords; try again after the time that `Retry-After` says")])
    }
}
