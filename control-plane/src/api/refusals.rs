//! The refusals that many operations share, as they are answered and as the OpenAPI document lists them.

use std::collections::BTreeMap;

use axum::response::{self, IntoResponse};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::problem::{MEDIA_TYPE, Problem};
use crate::storage::StorageError;

/// Why an operation on one thing, named by its id, does nothing.
#[derive(Debug, thiserror::Error)]
pub enum OneError {
    /// Nothing of this sort has the id.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for OneError {
    fn into_response(self) -> response::Response {
        match self {
            Self::Unknown(what) => Problem::not_found(what),
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
