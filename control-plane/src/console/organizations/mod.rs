//! Organizations, for operators: who there is, what each may use in a month, and which one is looked at.

mod choose;
mod delete;
mod edit;
mod list;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use {delete::DeleteView, edit::EditView, list::ListView};

use axum::Router;
use axum::routing::{get, post};
use portcullis_core::id::OrganizationId;

use super::Console;
use super::failure::Failure;

/// Where the list is.
const PATH: &str = "/organizations";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list::show))
        .route("/organizations/choose", post(choose::choose))
        .route("/organizations/new", get(edit::begin).post(edit::create))
        .route("/organizations/{id}", get(edit::show).post(edit::change))
        .route("/organizations/{id}/delete", get(delete::show).post(delete::delete))
}

/// The path of an organization in the admin API.
fn api_path(id: &str) -> Result<String, Failure> {
    let id: OrganizationId = id.parse().map_err(|_| Failure::not_found())?;
    Ok(format!("/v1/organizations/{id}"))
}
