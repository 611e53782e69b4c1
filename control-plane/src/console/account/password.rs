//! `POST /account/password`: change one's own password.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::PATH;
use super::show::view;
use crate::console::client::link;
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Posted};

/// Changes the password; or shows the page again, with what is wrong.
pub async fn change(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let mut body = json!({"password": fields.raw("password")});
    if session.me.has_password {
        body["current_password"] = json!(fields.raw("current_password"));
    }
    let faults = match session.client.patch::<Value>(&format!("/v1/users/{}", session.me.user), body).await {
        Ok(_) => return Ok(Redirect::to(&link(PATH, &[("done", "password")])).into_response()),
        Err(refusal) => Faults::try_from(refusal)?,
    };
    let page = session.frame.page(&view(&session, fields, faults).await?);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
