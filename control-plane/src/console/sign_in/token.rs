//! `/sign-in/token`: sign in with an access token, as the first operator does, who has no password yet.
//!
//! The browser is not given this token but another one of the same user, which ends with the session: so signing out does
//! not revoke the one that a program may be using.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::password::{again, refused};
use super::{anonymous, begin};
use crate::api::caller::Peer;
use crate::api::sessions::SESSION;
use crate::console::Console;
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Unsigned};
use crate::console::model::IssuedToken;
use crate::domain::name::Name;

const WRONG: &str = "This access token is not valid, or no longer.";

/// Signs in; or shows the page again, with why not.
pub async fn sign_in(
    State(console): State<Console>,
    peer: Option<Extension<Peer>>,
    Unsigned { visitor, fields }: Unsigned,
) -> Result<Response, Failure> {
    let token = fields.text("token");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return again(&console, &visitor, fields, Faults::one("/token", WRONG));
    }
    let client = anonymous(&console, peer.map(|Extension(peer)| peer)).with_token(token.to_owned());
    let end = console.app.store.clock().now().after(SESSION);
    let body = json!({"name": Name::session().as_str(), "expires_at": end});
    match client.post::<IssuedToken>("/v1/tokens", body, None).await {
        Ok(session) => Ok(begin(&console, &session.token, fields.text("next"))),
        Err(refusal) => {
            let mut faults = refused(refusal, WRONG)?;
            if let Some(detail) = faults.detail.take() {
                faults = Faults::one("/token", detail);
            }
            again(&console, &visitor, fields, faults)
        }
    }
}
