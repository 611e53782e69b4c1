//! `/sign-in/oidc`: sign in with the OpenID Connect provider; `/sign-in/oidc/callback`: where it sends the browser back.
//!
//! The provider says who somebody is, and a user of that name must be here already. What the browser has to bring back is
//! in a cookie of ten minutes, with the page that they wanted to see.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use super::begin;
use super::password::{Asked, page};
use crate::api::caller::Peer;
use crate::api::sessions::open_vouched;
use crate::console::Console;
use crate::console::address::Query;
use crate::console::failure::Failure;
use crate::console::forms::Faults;
use crate::console::session::{Jar, with_cookie};
use crate::domain::name::Name;
use crate::oidc::{OidcError, Pending, Provider};

/// How long the provider may take, in seconds.
const PENDING_SECONDS: i64 = 10 * 60;
/// What stands between a pending sign-in and the page to go to in the cookie: in neither of them.
const SEPARATOR: char = '~';

/// Sends the browser to the provider.
pub async fn ask(
    State(console): State<Console>,
    Query(Asked { next }): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    match provider(&console)?.begin().await {
        Ok(begun) => {
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            let kept = format!("{}{SEPARATOR}{}", begun.pending.to_cookie(), next.replace(SEPARATOR, "%7E"));
            let cookie = Jar::SignOn.write(&console, Some(&kept), PENDING_SECONDS);
            Ok(with_cookie(Redirect::to(&begun.url), cookie))
        }
        Err(error) => page(&console, &headers, next, not_signed_in(error.to_string())),
    }
}

/// Signs in whom the provider vouches for; or shows the page again, with why not. Either way the answer is used up.
pub async fn answered(
    State(console): State<Console>,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let kept = Jar::SignOn.read(&console, &headers).unwrap_or_default();
    let (pending, next) = kept.split_once(SEPARATOR).unwrap_or((&kept, ""));
    let next: String = form_urlencoded::parse(next.as_bytes()).map(|(next, _)| next.into_owned()).collect();
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect::<Vec<_>>();
    let origin = peer.map(|Extension(Peer(address))| address.ip());
    let answer = match identified(provider(&console)?, pending, &query).await {
        Ok(name) => match open_vouched(&console.app, &name, origin).await {
            Ok(Some(token)) => begin(&console, token.reveal(), &next),
            Ok(None) => {
                let detail = format!("Nobody is called {name} here. An admin has to create you first.");
                page(&console, &headers, next, not_signed_in(detail))?
            }
            // It is in the log.
            Err(error) => error.into_response(),
        },
        Err(error) => page(&console, &headers, next, not_signed_in(error.to_string()))?,
    };
    Ok(with_cookie(answer, Jar::SignOn.write(&console, None, 0)))
}

fn provider(console: &Console) -> Result<&Provider, Failure> {
    console.settings.single_sign_on.as_ref().ok_or_else(Failure::not_found)
}

async fn identified(provider: &Provider, pending: &str, query: &[(String, String)]) -> Result<Name, OidcError> {
    let pending = Pending::from_cookie(pending).ok_or(OidcError::State)?;
    Ok(provider.finish(pending, query).await?.name)
}

fn not_signed_in(detail: String) -> Faults {
    Faults { detail: Some(detail), ..Faults::default() }
}
