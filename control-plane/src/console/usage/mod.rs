//! Usage: what was used over time, by whom and of what, and what it cost.

mod csv;
mod over_time;
mod question;
mod show;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use show::UsageView;

use axum::Router;
use axum::routing::get;

use super::Console;

/// Where the page is.
const PATH: &str = "/usage";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new().route(PATH, get(show::show)).route("/usage.csv", get(csv::download))
}
