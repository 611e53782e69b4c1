//! Advice: keys that could do with less, and one click that mends each.

mod mend;
mod show;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use show::AdviceView;

use axum::Router;
use axum::routing::{get, post};

use super::Console;
use super::client::Refusal;
use super::model::{AdviceItem, List};
use super::session::Session;

/// Where the page is.
const PATH: &str = "/advice";
/// How many keys a page goes through, of each of which it may say more than one thing. 60 KB have room for that.
const LIMIT: &str = "25";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new().route(PATH, get(show::show)).route("/advice/mend", post(mend::mend))
}

/// A page of advice for one reason, or for every one if it is empty.
async fn read(session: &Session, reason: &str, cursor: &str) -> Result<List<AdviceItem>, Refusal> {
    let query = [("reason", reason), ("cursor", cursor), ("limit", LIMIT), ("organization", session.organization())];
    session.client.get("/v1/advice", &query).await
}
