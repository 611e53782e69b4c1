//! Who calls: the holder of an access token.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;
use crate::bearer::{self, BearerError};
use crate::domain::actor::Actor;
use crate::problem::Problem;

/// The other end of the connection; the server adds it to each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// An authenticated caller. An operation that takes one cannot be reached without a valid token.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Actor);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let digest = bearer::digest_of(&parts.headers)?;
        let found = app.store.read().await?.view().operator_of_token(digest).await?;
        let (user, token) = found.ok_or(BearerError::Malformed)?;
        let origin = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        Ok(Self(Actor { user, token, origin }))
    }
}
