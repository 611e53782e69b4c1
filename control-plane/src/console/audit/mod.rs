//! The audit: who did what, and what was refused. For operators and admins.

mod entry;
mod list;
#[cfg(test)]
mod tests;
mod words;

#[cfg(test)]
pub(super) use list::AuditView;

use axum::Router;
use axum::routing::get;

use super::Console;

/// Where the page is.
const PATH: &str = "/audit";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new().route(PATH, get(list::show))
}
