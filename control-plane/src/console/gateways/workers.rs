//! `POST /gateways/{id}/workers/delete`: a worker is gone for good, so that receipts no longer wait for it.

use axum::extract::Path;
use axum::response::Redirect;

use super::{PATH, api_path};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::model::Written;

/// Tells the admin API.
pub async fn forget(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Redirect, Failure> {
    let worker = fields.text("worker");
    let is_name = (1..=64).contains(&worker.len())
        && worker.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_name {
        return Err(Failure::not_found());
    }
    let path = format!("{}/workers/{worker}", api_path(&id)?);
    let written: Written = session.client.delete(&path).await?;
    Ok(lead(&format!("{PATH}/{id}"), Said::Forgotten, &written))
}
