//! Why there is no page: a page that says so, or the way to sign in.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::client::{Refusal, link};
use super::html::frame;

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is signed in; afterwards they come back here.
    SignIn {
        /// Where they wanted to go.
        next: String,
    },
    /// A form was not sent from one of our pages.
    Forged,
    /// The admin API refuses it.
    Refused(Refusal),
}

impl Failure {
    /// There is nothing here.
    pub fn not_found() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "There is no such page, or it is not for you to see.").into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if refusal.status == StatusCode::UNAUTHORIZED {
            Self::SignIn { next: String::new() }
        } else {
            Self::Refused(refusal)
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title, detail) = match self {
            Self::SignIn { next } => return Redirect::to(&link("/sign-in", &[("next", &next)])).into_response(),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "This form is no longer valid",
                "It was not sent from a page of this console, or you have signed in again since. Nothing was changed. \
                 Go back, load the page again and send it once more."
                    .to_owned(),
            ),
            Self::Refused(refusal) => {
                let title = match refusal.status {
                    StatusCode::NOT_FOUND => "Not found",
                    StatusCode::FORBIDDEN => "Not allowed",
                    StatusCode::SERVICE_UNAVAILABLE => "Try again in a moment",
                    _ => "That did not work",
                };
                (refusal.status, title, refusal.detail)
            }
        };
        let body = html! {
            h1 { (title) }
            p { (detail) }
            p { a href="/" { "Go to the console" } }
        };
        (status, frame::bare(title, &body)).into_response()
    }
}
