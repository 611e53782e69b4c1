//! Usage as CSV (RFC 4180), with names in the first line: a page at a time, as fast as the caller takes them in.
//!
//! A name that a spreadsheet would take for a formula gets an apostrophe in front, which spreadsheets do not show
//! (<https://owasp.org/www-community/attacks/CSV_Injection>). Everything else in a table is a number, an instant, an id or
//! a word of this program.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use csv::Writer;
use futures_util::stream;
use portcullis_core::outcome::Outcome;

use super::view::{Counts, UsageItem, UsageList};
use crate::domain::actor::Actor;
use crate::domain::usage_query::{Dimension, Grouping};
use crate::storage::{StorageError, Store, UsagePage, UsageQuery};

/// Why a table ends before its last line.
#[derive(Debug, thiserror::Error)]
enum CutError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("a table cannot be written: {0}")]
    Write(String),
}

/// The answer that begins with this page and goes on with all that follow.
pub fn stream(store: Store, query: UsageQuery, first: UsagePage, actor: Actor) -> Response {
    let head = header(&query.grouping);
    let pages = stream::try_unfold((Some(head), Some(first), query), move |(head, page, query)| {
        let store = store.clone();
        async move {
            let page = match (page, query.after) {
                (Some(page), _) => page,
                (None, Some(_)) => store.usage(&query).await?,
                (None, None) => return Ok(None),
            };
            let next = UsageQuery { after: page.next, ..query };
            let bytes = table(head, page, &next.grouping, actor)?;
            Ok::<_, CutError>(Some((bytes, (None, None, next))))
        }
    });
    let logged = futures_util::TryStreamExt::inspect_err(pages, |error| {
        tracing::warn!(%error, "a table of usage was cut off");
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    (headers, Body::from_stream(logged)).into_response()
}

/// The names of the columns.
fn header(grouping: &Grouping) -> Vec<&'static str> {
    let mut names = Vec::new();
    for dimension in grouping.dimensions() {
        names.extend_from_slice(match dimension {
            Dimension::Key => &["key", "key_name", "key_masked"][..],
            Dimension::User => &["user", "user_name"],
            Dimension::Organization => &["organization", "organization_name"],
            Dimension::Api => &["api", "api_name"],
            Dimension::Hour => &["hour"],
            Dimension::Day => &["day"],
            Dimension::Outcome => &["outcome"],
        });
    }
    names.extend(["requests", "calls", "refused"]);
    if !grouping.outcome {
        names.extend(Outcome::ALL.map(Outcome::label));
    }
    names.extend(["request_bytes", "response_bytes", "prompt_tokens", "completion_tokens", "total_tokens"]);
    names.extend(["estimated", "unknown", "cost_micros"]);
    names
}

/// The lines of a page, after the header if it is the first one.
fn table(
    header: Option<Vec<&'static str>>,
    page: UsagePage,
    grouping: &Grouping,
    actor: Actor,
) -> Result<Bytes, CutError> {
    let failed = |error: csv::Error| CutError::Write(error.to_string());
    let mut writer = Writer::from_writer(Vec::new());
    if let Some(header) = header {
        writer.write_record(header).map_err(failed)?;
    }
    let dimensions = grouping.dimensions();
    for item in UsageList::new(page, grouping, actor).items {
        writer.write_record(line(&item, &dimensions)).map_err(failed)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| CutError::Write(error.to_string()))
}

fn line(item: &UsageItem, dimensions: &[Dimension]) -> Vec<String> {
    let id = |id: Option<String>| id.unwrap_or_default();
    let name = |name: &Option<Option<String>>| harmless(name.iter().flatten().next().map_or("", String::as_str)).into();
    let mut cells: Vec<String> = Vec::new();
    for dimension in dimensions {
        match dimension {
            Dimension::Key => {
                cells.extend([id(item.key.map(|key| key.to_string())), name(&item.key_name), name(&item.key_masked)]);
            }
            Dimension::User => cells.extend([id(item.user.map(|user| user.to_string())), name(&item.user_name)]),
            Dimension::Organization => {
                let organization = item.organization.map(|organization| organization.to_string());
                cells.extend([id(organization), name(&item.organization_name)]);
            }
            Dimension::Api => cells.extend([id(item.api.map(|api| api.to_string())), name(&item.api_name)]),
            Dimension::Hour => cells.push(id(item.hour.map(|hour| hour.to_string()))),
            Dimension::Day => cells.push(id(item.day.map(|day| day.to_string()))),
            Dimension::Outcome => cells.push(item.outcome.unwrap_or_default().to_owned()),
        }
    }
    cells.extend(numbers(&item.counts).map(|number| number.to_string()));
    cells
}

fn numbers(counts: &Counts) -> impl Iterator<Item = u64> {
    let outcomes = counts
        .outcomes
        .iter()
        .flat_map(|outcomes| Outcome::ALL.map(|outcome| outcomes.get(outcome.label()).copied().unwrap_or_default()));
    let amounts = [
        counts.request_bytes,
        counts.response_bytes,
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.total_tokens,
        counts.estimated,
        counts.unknown,
        counts.cost_micros,
    ];
    [counts.requests, counts.calls, counts.refused].into_iter().chain(outcomes).chain(amounts)
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    // What begins with white space is trimmed by some of them first.
    let first = text.trim_start().chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => Cow::Owned(format!("'{text}")),
        Some(_) | None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_formula_is_made_harmless() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u{a0}=1", "＝1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for text in ["", "batch jobs", "a=1", "'", "pc_sls_Ab…wxyz"] {
            assert_eq!(harmless(text), text);
        }
    }
}
