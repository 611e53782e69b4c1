//! One's own account: the password, and access tokens.

mod password;
mod show;
mod tokens;

#[cfg(test)]
pub(super) use {show::AccountView, tokens::TokenView};

use axum::Router;
use axum::routing::{get, post};

use super::Console;

/// Where the page is.
const PATH: &str = "/account";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(show::show))
        .route("/account/password", post(password::change))
        .route("/account/tokens", post(tokens::create))
        .route("/account/tokens/delete", post(tokens::delete))
}
