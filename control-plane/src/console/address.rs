//! What an address says beside its path.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::client::Refusal;
use super::failure::Failure;

/// The query of an address. One that no page of ours leads to is refused with a page.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read = AxumQuery::from_request_parts(parts, state).await;
        let unknown = || Refusal::new(StatusCode::BAD_REQUEST, "No page of the console has this address.").into();
        read.map(|AxumQuery(fields)| Self(fields)).map_err(|_| unknown())
    }
}
