//! Members: who may sign in, and what they may do. For operators and admins.

mod delete;
mod edit;
mod list;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use {delete::DeleteView, edit::EditView, list::ListView};

use axum::Router;
use axum::routing::get;
use portcullis_core::id::UserId;

use super::Console;
use super::failure::Failure;

/// Where the list is.
const PATH: &str = "/members";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list::show))
        .route("/members/new", get(edit::begin).post(edit::create))
        .route("/members/{id}", get(edit::show).post(edit::change))
        .route("/members/{id}/delete", get(delete::show).post(delete::delete))
}

/// The path of a user in the admin API.
fn api_path(id: &str) -> Result<String, Failure> {
    let id: UserId = id.parse().map_err(|_| Failure::not_found())?;
    Ok(format!("/v1/users/{id}"))
}
