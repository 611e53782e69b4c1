//! Signing in, by password, with a provider or with an access token, and out.
//!
//! Either way a new access token is made for this browser alone, which ends after 12 hours; signing out deletes it.

pub mod oidc;
pub mod password;
pub mod token;
mod view;

#[cfg(test)]
pub(super) use view::SignInView;

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde_json::Value;

use super::Console;
use super::client::Client;
use super::forms::Posted;
use super::keys::PATH;
use super::session::{Jar, SECONDS, with_cookie};
use crate::api::caller::Peer;

/// A client for someone who is not signed in.
fn anonymous(console: &Console, peer: Option<Peer>) -> Client {
    Client::new(console.api.clone(), None, peer)
}

/// Has the browser keep the access token, and goes on to where they wanted to go.
pub fn begin(console: &Console, token: &str, next: &str) -> Response {
    let cookie = Jar::Session.write(console, Some(token), SECONDS);
    with_cookie(Redirect::to(place(next)), cookie)
}

/// Where to go after signing in: a page of this console, whatever was asked for.
fn place(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/sign-")
        && !next.contains(|character: char| character == '\\' || character.is_control());
    if is_ours { next } else { PATH }
}

/// Ends the session.
pub async fn sign_out(State(console): State<Console>, Posted { session, .. }: Posted) -> Response {
    let path = format!("/v1/tokens/{}", session.me.token);
    if let Err(refusal) = session.client.delete::<Value>(&path).await {
        // It ends by itself; the browser forgets it either way.
        tracing::warn!(status = refusal.status.as_u16(), "a session could not be ended");
    }
    let answer = with_cookie(Redirect::to("/sign-in"), Jar::Session.write(&console, None, 0));
    // Whoever signs in next chooses for themselves.
    with_cookie(answer, Jar::Organization.write(&console, None, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere_after_signing_in() {
        for next in ["/keys?kind=dedicated", "/usage"] {
            assert_eq!(place(next), next);
        }
        for next in ["", "https://evil.example", "//evil.example", "/\\evil.example", "keys", "/sign-out", "/\tx"] {
            assert_eq!(place(next), PATH, "{next:?}");
        }
    }
}
