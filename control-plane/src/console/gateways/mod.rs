//! Gateways, for operators: fleets of Envoys, their workers, and how far behind each is.

mod delete;
mod edit;
mod issued;
mod list;
mod reissue;
mod show;
#[cfg(test)]
mod tests;
mod workers;

#[cfg(test)]
pub(super) use {
    delete::DeleteView, edit::EditView, issued::IssuedView, list::ListView, reissue::ReissueView, show::ShowView,
};

use axum::Router;
use axum::routing::{get, post};
use portcullis_core::id::GatewayId;

use super::Console;
use super::failure::Failure;
use super::model::{Gateway, Worker};

/// Where the list is.
const PATH: &str = "/gateways";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list::show))
        .route("/gateways/new", get(edit::begin).post(edit::create))
        .route("/gateways/{id}", get(show::show))
        .route("/gateways/{id}/change", get(edit::show).post(edit::change))
        .route("/gateways/{id}/reissue", get(reissue::show).post(reissue::reissue))
        .route("/gateways/{id}/delete", get(delete::show).post(delete::delete))
        .route("/gateways/{id}/workers/delete", post(workers::forget))
}

/// The path of a gateway in the admin API.
fn api_path(id: &str) -> Result<String, Failure> {
    let id: GatewayId = id.parse().map_err(|_| Failure::not_found())?;
    Ok(format!("/v1/gateways/{id}"))
}

/// What happens to workers whose token opens nothing any more.
fn cut_off(gateway: &Gateway) -> String {
    let known = "Workers that run go on with the keys that they have, but hear of no change, deleted keys included";
    match gateway.max_staleness_seconds {
        None => known.to_owned(),
        Some(seconds) => format!("{known}; after {seconds} s they refuse everything"),
    }
}

/// How many workers that is.
fn workers(count: usize) -> String {
    if count == 1 { "1 worker".to_owned() } else { format!("{count} workers") }
}

/// How far behind a worker is, in words, and how that is coloured.
fn lag(worker: &Worker) -> (&'static str, String) {
    match worker.lag {
        Some(0) => ("good", "Up to date".to_owned()),
        Some(1) => ("warn", "1 revision behind".to_owned()),
        Some(lag) => ("warn", format!("{lag} revisions behind")),
        None => ("warn", "No snapshot yet".to_owned()),
    }
}
