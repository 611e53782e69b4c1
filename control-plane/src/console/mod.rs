//! The console: API Key Management for people, in a browser.
//!
//! Pages are rendered here and complete without JavaScript; the one script copies, shows instants in the viewer's zone
//! and keeps receipts current. Whatever a page shows or does is a call of the admin API, made inside this process with the
//! access token of whoever is signed in (`client`): so the console can do nothing that the API does not allow, and each
//! click is checked, audited and refused like any other call.
//!
//! ```text
//! browser ── cookie ──► session ──► page ──► client ──► admin API
//!         ── form ────► forms (Origin, token) ─┘
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `session` | who is signed in: the cookie holds an access token that ends after 12 hours |
//! | `forms` | what a form says, and that it is one of ours |
//! | `address`, `done` | what an address says, and what it says of something that was just done |
//! | `client`, `model` | the admin API as its first client sees it |
//! | `headers`, `assets` | what a browser may do with a page; stylesheet, script and icon |
//! | `html` | the frame around a page, and the parts that pages share |
//! | the others | one folder or file for each page of the menu, one file for each thing to be done there |
//!
//! A page is a `View`: data that was read, and how it is written as HTML. Each has sample data, and one test renders
//! all of them with it.

mod account;
mod address;
mod advice;
mod apis;
mod assets;
mod audit;
mod client;
mod done;
mod failure;
mod forms;
mod gateways;
mod headers;
mod html;
mod keys;
mod members;
mod model;
mod organizations;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use tower::ServiceExt;

use client::Refusal;
use failure::Failure;

use crate::api::App;
use crate::domain::public_url::PublicUrl;
use crate::oidc;

/// Where the console is, as browsers and callers see it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The console's own address; not known if it is left out.
    pub public_url: Option<PublicUrl>,
    /// Where callers reach the gateway.
    pub gateway_url: Option<PublicUrl>,
    /// Who else signs people in.
    pub single_sign_on: Option<oidc::Provider>,
}

impl Settings {
    /// Whether browsers reach the console by TLS.
    fn is_secure(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_secure)
    }
}

/// What pages are made with. Clones share it.
#[derive(Debug, Clone)]
pub struct Console {
    app: App,
    /// The admin API, as a service.
    api: Router,
    settings: Arc<Settings>,
}

impl Console {
    /// 128 bits that nobody can predict, as text.
    fn random(&self) -> Result<String, Failure> {
        let random = self.app.store.entropy().bytes().map_err(|_| Refusal::internal())?;
        Ok(format!("{:032x}", u128::from_ne_bytes(random)))
    }
}

/// What is no page is the admin API's. A browser that asks for something that is not there is answered with a page.
async fn elsewhere(State(console): State<Console>, request: Request) -> Response {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_browser = accept.contains("text/html") && !request.uri().path().starts_with("/v1/");
    let answered = console.api.oneshot(request).await;
    let response = answered.unwrap_or_else(|never| match never {});
    if is_browser && response.status() == StatusCode::NOT_FOUND {
        return headers::protected(Failure::not_found().into_response());
    }
    response
}

/// The console, in front of the admin API: what is no page goes there.
pub fn router(app: App, api: Router, settings: Settings) -> Router {
    let console = Console { app, api, settings: Arc::new(settings) };
    Router::new()
        .route("/", get(async || Redirect::to(keys::PATH)))
        .route("/sign-in", get(sign_in::password::show).post(sign_in::password::sign_in))
        .route("/sign-in/oidc", get(sign_in::oidc::ask))
        .route(oidc::CALLBACK, get(sign_in::oidc::answered))
        .route("/sign-in/token", post(sign_in::token::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(keys::router())
        .merge(apis::router())
        .merge(usage::router())
        .merge(advice::router())
        .merge(members::router())
        .merge(organizations::router())
        .merge(gateways::router())
        .merge(audit::router())
        .merge(account::router())
        .layer(axum::middleware::from_fn(headers::protect))
        .route(assets::STYLE.path(), get(async || assets::STYLE.serve()))
        .route(assets::SCRIPT.path(), get(async || assets::SCRIPT.serve()))
        .route(assets::ICON.path(), get(async || assets::ICON.serve()))
        .fallback(elsewhere)
        .with_state(console)
}
