//! Who calls: the holder of an access token.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;
use super::refused::Slot;
use crate::bearer::{self, BearerError};
use crate::domain::actor::Actor;
use crate::problem::Problem;

/// The other end of the connection; the server adds it to each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// From where a request comes; `None` where there is no connection.
#[derive(Debug, Clone, Copy)]
pub struct Origin(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(origin_of(parts)))
    }
}

fn origin_of(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<Peer>().map(|peer| peer.0.ip())
}

/// An authenticated caller. An operation that takes one cannot be reached without a valid token.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Actor);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let digest = bearer::digest_of(&parts.headers)?;
        let now = app.store.clock().now();
        let found = app.store.read().await?.view().bearer(digest, now).await?;
        let bearer = found.ok_or(BearerError::Malformed)?;
        let actor = Actor { user: bearer.user, token: bearer.token, role: bearer.role, origin: origin_of(parts) };
        if let Some(slot) = parts.extensions.get::<Slot>() {
            slot.set(actor);
        }
        if bearer.live { Ok(Self(actor)) } else { Err(BearerError::Malformed.into()) }
    }
}

/// A caller who is an operator. Everyone else is refused before the request is read any further.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub Actor);

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        actor.operates().map(|()| Self(actor)).map_err(|denied| Problem::denied(denied, "resource"))
    }
}

/// A caller who is an operator or an admin. Everyone else is refused before the request is read any further.
#[derive(Debug, Clone, Copy)]
pub struct Administrator(pub Actor);

impl FromRequestParts<App> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        actor.administers().map(|()| Self(actor)).map_err(|denied| Problem::denied(denied, "resource"))
    }
}
