//! `POST /organizations/choose`: which organization an operator looks at, until they choose another one.

use axum::extract::State;
use axum::response::{Redirect, Response};
use portcullis_core::id::OrganizationId;

use super::PATH;
use crate::console::Console;
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::keys;
use crate::console::session::{Jar, SECONDS, with_cookie};

/// Has the browser keep the choice; nothing stands for all of them.
pub async fn choose(State(console): State<Console>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    session.operates()?;
    let Some(chosen) = fields.given("organization") else {
        return Ok(with_cookie(Redirect::to(PATH), Jar::Organization.write(&console, None, 0)));
    };
    let id: OrganizationId = chosen.parse().map_err(|_| Failure::not_found())?;
    let cookie = Jar::Organization.write(&console, Some(&id.to_string()), SECONDS);
    Ok(with_cookie(Redirect::to(keys::PATH), cookie))
}
