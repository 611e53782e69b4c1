//! `POST /advice/mend`: follow a piece of advice.
//!
//! The form says which advice is meant, not what to do: that is asked of the admin API once more, and exactly what it
//! advises is done.

use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};

use super::show::name;
use super::{PATH, read};
use crate::api::advice::ReasonName;
use crate::console::done::{Said, lead_back};
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::model::Written;

/// Follows it. Where there is no such advice any more, nothing is done.
pub async fn mend(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let advice = read(&session, fields.text("reason"), fields.text("cursor")).await?;
    let (key, reason) = (fields.text("key"), fields.text("reason"));
    let found = advice.items.into_iter().find(|item| item.key.id == key && name(item.reason) == reason);
    let shown = [("reason", fields.text("shown")), ("cursor", fields.text("cursor"))];
    let Some(item) = found else {
        return Ok(lead_back(PATH, &shown, Said::Settled, &Written { propagation: None }).into_response());
    };
    if item.mend.method != Method::PATCH.as_str() {
        // A deletion is asked about first.
        return Ok(Redirect::to(&format!("/keys/{}/delete", item.key.id)).into_response());
    }
    let written: Written = session.client.patch(&item.mend.path, item.mend.body.unwrap_or_default()).await?;
    let said = match item.reason {
        // A deletion has its own page, which says so.
        ReasonName::Unused => Said::Saved,
        ReasonName::Expiring => Said::Extended,
        ReasonName::NeverExpires => Said::Limited,
        ReasonName::UnusedScopes | ReasonName::Unscoped => Said::Confined,
    };
    Ok(lead_back(PATH, &shown, said, &written).into_response())
}
