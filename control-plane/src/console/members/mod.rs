//! Members: who may sign in, and what they may do. For operators and admins.

mod delete;
mod edit;
mod list;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use {delete::DeleteView, edit::EditView, list::ListView};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use portcullis_core::id::UserId;

use super::Console;
use super::client::Refusal;
use super::failure::Failure;
use super::session::Session;

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

/// The path of another user than whoever asks. Nobody takes their own role away or deletes themselves by mistake: that
/// would sign them out in the middle of it.
fn api_path_of_another(session: &Session, id: &str) -> Result<String, Failure> {
    let path = api_path(id)?;
    if path == api_path(&session.me.user)? {
        let detail = "This is you. Your password and your access tokens are on the page of your account; your name and \
                      your role are for another admin or operator to change.";
        return Err(Refusal::new(StatusCode::CONFLICT, detail).into());
    }
    Ok(path)
}
