//! `/usage.csv`: what the page shows, as the admin API's table, in pieces as they come.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::question::{By, Question};
use crate::console::address::Query;
use crate::console::client::Refusal;
use crate::console::failure::Failure;
use crate::console::session::Session;
use crate::domain::period::Period;

/// Hands the table on.
pub async fn download(session: Session, Query(question): Query<Question>) -> Result<Response<Body>, Failure> {
    let (from, to) = question.bounds(session.now).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "There is no table of these days: Usage says what is wrong with them.")
    })?;
    let group_by = match (question.by, question.bucket()) {
        (By::Day, Period::Hour) => "hour",
        (By::Day, Period::Day | Period::Month) => "day",
        (by, _) => by.name(),
    };
    let query = [
        ("group_by", group_by),
        ("from", &from),
        ("to", &to),
        ("key", &question.key),
        ("user", &question.user),
        ("api", &question.api),
        ("organization", session.organization()),
    ];
    Ok(session.client.get_as("/v1/usage", &query, "text/csv").await?)
}
