//! APIs: where they answer, what they cost, and the policy that each holds its callers to.

mod delete;
mod edit;
mod fields;
mod list;
mod rules;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use {delete::DeleteView, edit::EditView, list::ListView};

use axum::Router;
use axum::routing::{get, post};
use portcullis_core::id::ApiId;

use super::Console;
use super::failure::Failure;

/// Where the list is.
const PATH: &str = "/apis";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list::show))
        .route("/apis/new", get(edit::begin).post(edit::create))
        .route("/apis/preview", post(rules::preview))
        .route("/apis/{id}", get(edit::show).post(edit::change))
        .route("/apis/{id}/delete", get(delete::show).post(delete::delete))
}

/// The path of an API in the admin API.
fn api_path(id: &str) -> Result<String, Failure> {
    let id: ApiId = id.parse().map_err(|_| Failure::not_found())?;
    Ok(format!("/v1/apis/{id}"))
}
