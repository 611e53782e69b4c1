//! `/sign-in`: sign in with name and password.
//!
//! It is a call of `POST /v1/sessions`, which answers a wrong name and a wrong password alike and has whoever guesses
//! wait.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::view::SignInView;
use super::{anonymous, begin};
use crate::api::caller::Peer;
use crate::console::Console;
use crate::console::address::Query;
use crate::console::client::Refusal;
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields, Unsigned};
use crate::console::session::{Jar, SECONDS, form_token, with_cookie};

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub next: String,
}

#[derive(Deserialize)]
struct Session {
    token: String,
}

/// Shows the page.
pub async fn show(
    State(console): State<Console>,
    Query(Asked { next }): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    page(&console, &headers, next, Faults::default())
}

/// The page, which gives a browser something random by which its forms are known.
pub fn page(console: &Console, headers: &HeaderMap, next: String, faults: Faults) -> Result<Response, Failure> {
    let visitor = match Jar::Visitor.read(console, headers) {
        Some(visitor) => visitor,
        None => console.random()?,
    };
    let view = SignInView {
        form_token: form_token(&visitor),
        next,
        single_sign_on: label(console),
        fields: Fields::default(),
        faults,
    };
    Ok(with_cookie(view.page(), Jar::Visitor.write(console, Some(&visitor), SECONDS)))
}

/// What the button for single sign-on says, if there is one.
fn label(console: &Console) -> Option<String> {
    console.settings.single_sign_on.as_ref().map(|provider| provider.label().to_owned())
}

/// Signs in; or shows the page again, with why not.
pub async fn sign_in(
    State(console): State<Console>,
    peer: Option<Extension<Peer>>,
    Unsigned { visitor, fields }: Unsigned,
) -> Result<Response, Failure> {
    let client = anonymous(&console, peer.map(|Extension(peer)| peer));
    let body = json!({"name": fields.text("name"), "password": fields.raw("password")});
    match client.post::<Session>("/v1/sessions", body, None).await {
        Ok(Session { token }) => Ok(begin(&console, &token, fields.text("next"))),
        Err(refusal) => again(&console, &visitor, fields, refused(refusal, "Wrong name or password.")?),
    }
}

/// What is wrong, where 401 is a matter of what was typed.
pub fn refused(refusal: Refusal, wrong: &str) -> Result<Faults, Failure> {
    if refusal.status == StatusCode::UNAUTHORIZED {
        return Ok(Faults { detail: Some(wrong.to_owned()), ..Faults::default() });
    }
    Faults::try_from(refusal)
}

/// The page again, with what is wrong.
pub fn again(console: &Console, visitor: &str, fields: Fields, faults: Faults) -> Result<Response, Failure> {
    let next = fields.text("next").to_owned();
    let view = SignInView { form_token: form_token(visitor), next, single_sign_on: label(console), fields, faults };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, view.page()).into_response())
}
