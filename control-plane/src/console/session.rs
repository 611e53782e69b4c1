//! Who is signed in.
//!
//! The session is an access token of the admin API that ends after 12 hours, in a cookie that no script can read
//! (RFC 6265bis: `HttpOnly`, `SameSite=Lax`, and under TLS `Secure` with the prefix `__Host-`). So there is no state of its
//! own to keep, sessions can be listed and ended like any other token, and a deleted user is signed out at once.
//!
//! Forms carry a token that is derived from the session's, which only our own pages know.

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cookie::{Cookie, SameSite};
use portcullis_core::digest::Digest;
use portcullis_core::id::OrganizationId;

use super::Console;
use super::client::{Client, Refusal};
use super::failure::Failure;
use super::html::frame::Frame;
use super::model::{Me, Organization};
use crate::api::caller::Peer;
use crate::api::sessions::SESSION as SESSION_LENGTH;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::RoleName;

/// How long a session lasts, in seconds.
pub const SECONDS: i64 = SESSION_LENGTH.as_secs().cast_signed();
const SESSION: &str = "portcullis-session";
const VISITOR: &str = "portcullis-visitor";
const ORGANIZATION: &str = "portcullis-organization";
const SIGN_ON: &str = "portcullis-sign-on";

/// A cookie of ours, by its name without prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jar {
    /// The access token of whoever is signed in.
    Session,
    /// Something random, for the forms of who is not.
    Visitor,
    /// The organization that an operator looks at.
    Organization,
    /// A sign-in that a provider is asked about.
    SignOn,
}

impl Jar {
    fn name(self, is_secure: bool) -> String {
        let name = match self {
            Self::Session => SESSION,
            Self::Visitor => VISITOR,
            Self::Organization => ORGANIZATION,
            Self::SignOn => SIGN_ON,
        };
        if is_secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// What a browser sent.
    pub fn read(self, console: &Console, headers: &HeaderMap) -> Option<String> {
        let name = self.name(console.settings.is_secure());
        let sent = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = sent.flat_map(Cookie::split_parse).filter_map(Result::ok);
        cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
    }

    /// The header that has a browser keep `value` for so long, or forget it if there is none.
    pub fn write(self, console: &Console, value: Option<&str>, seconds: i64) -> HeaderValue {
        let is_secure = console.settings.is_secure();
        let seconds = if value.is_some() { seconds } else { 0 };
        let cookie = Cookie::build((self.name(is_secure), value.unwrap_or_default()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(is_secure)
            .max_age(time::Duration::seconds(seconds))
            .build();
        // Names and values are ours and ASCII; a value that is not is forgotten.
        HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The answer, with a cookie.
pub fn with_cookie(answer: impl IntoResponse, cookie: HeaderValue) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// What a form has to carry that belongs to this secret of a browser.
pub fn form_token(secret: &str) -> String {
    Digest::of(format!("portcullis console form\n{secret}").as_bytes()).to_string()
}

/// Someone who is signed in.
pub struct Session {
    /// The admin API, called by them.
    pub client: Client,
    /// Who they are.
    pub me: Me,
    /// What is around every page of theirs.
    pub frame: Frame,
    /// The instant of this request.
    pub now: Timestamp,
}

impl Session {
    /// The organization whose things are shown, by id: an operator's choice; empty for all that one sees.
    pub fn organization(&self) -> &str {
        self.frame.organization.as_ref().map_or("", |organization| organization.id.as_str())
    }

    /// Refuses a form that only operators could send.
    pub fn operates(&self) -> Result<(), Failure> {
        let forbidden = || Refusal::new(StatusCode::FORBIDDEN, "Your role does not allow this.").into();
        if self.is_operator() { Ok(()) } else { Err(forbidden()) }
    }

    /// Whether they are an operator.
    pub fn is_operator(&self) -> bool {
        self.me.role == RoleName::Operator
    }
}

impl FromRequestParts<Console> for Session {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let next = if parts.method.is_safe() { parts.uri.to_string() } else { String::new() };
        let sign_in = || Failure::SignIn { next: next.clone() };
        let token = Jar::Session.read(console, &parts.headers).ok_or_else(sign_in)?;
        let peer = parts.extensions.get::<Peer>().copied();
        let client = Client::new(console.api.clone(), Some(token.clone()), peer);
        let me: Me = client.get("/v1/me", &[]).await.map_err(|refusal| match refusal.into() {
            Failure::SignIn { .. } => sign_in(),
            other @ (Failure::Forged | Failure::Refused(_)) => other,
        })?;
        let organization = match me.role {
            RoleName::Operator => chosen(console, &parts.headers, &client).await,
            RoleName::Admin | RoleName::Member => None,
        };
        let frame = Frame {
            name: me.name.clone(),
            role: me.role,
            home: me.organization_name.clone(),
            organization,
            form_token: form_token(&token),
        };
        Ok(Self { client, me, frame, now: console.app.store.clock().now() })
    }
}

/// The organization that an operator has chosen, if it is still there.
async fn chosen(console: &Console, headers: &HeaderMap, client: &Client) -> Option<Organization> {
    let id: OrganizationId = Jar::Organization.read(console, headers)?.parse().ok()?;
    client.get(&format!("/v1/organizations/{id}"), &[]).await.ok()
}
