//! `GET /v1/propagation/{revision}`: how far a revision has come.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use portcullis_core::wire::Revision;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{PropagationView, Wait};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::QueryOf;
use crate::api::refusals::{Always, BadQuery, NotFound};
use crate::problem::Problem;

/// Whether to wait.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PropagationQuery {
    /// How long to wait until every worker has applied it, in milliseconds.
    #[serde(default = "at_once")]
    #[param(value_type = u32, required = false, minimum = 0, maximum = 30_000, default = 0)]
    wait_ms: Wait,
}

const fn at_once() -> Wait {
    Wait::NONE
}

/// How far a revision has come: the receipt that the write which made it was answered with, as it would be now.
#[utoipa::path(
    get, path = "/v1/propagation/{revision}", tag = "propagation",
    params(("revision" = u64, Path, description = "A revision, as `propagation` of a write names it"),
           PropagationQuery),
    responses((status = 200, body = PropagationView, description = "Its receipt"), Always, NotFound, BadQuery)
)]
pub async fn get(
    State(app): State<App>,
    _: Caller,
    revision: Result<Path<Revision>, PathRejection>,
    QueryOf(query): QueryOf<PropagationQuery>,
) -> Result<Json<PropagationView>, Problem> {
    let unknown = || Problem::not_found("revision");
    let Path(revision) = revision.map_err(|_| unknown())?;
    // Another control plane may have committed it a moment ago.
    if revision > app.store.feed().news().revision {
        app.store.refresh().await?;
    }
    app.receipt(Some(revision), query.wait_ms).await.map(Json).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
