//! `GET /v1/audit`: the audit, newest first, filtered and in pages.
//!
//! A page's cursor is the place of its last entry. Entries are only ever added at the other end, so pages neither
//! repeat nor skip anything while they come.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AuditEntry, OutcomeName};
use crate::api::caller::Administrator;
use crate::api::extract::QueryOf;
use crate::api::refusals::{Always, BadQuery, Forbidden};
use crate::api::{App, cursor};
use crate::domain::actor::Actor;
use crate::domain::audit::Action;
use crate::domain::authority::Sight;
use crate::domain::timestamp::Timestamp;
use crate::problem::Problem;
use crate::storage::{AuditFilter, StorageError, View};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;
const SUBJECT_CHARACTERS_MAX: usize = 100;

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what this user did or tried, by id.
    user: Option<String>,
    /// Only this action.
    action: Option<Action>,
    /// Only what was done to this, by id.
    #[param(max_length = 100)]
    subject: Option<String>,
    /// Only what was done, or only what was refused.
    outcome: Option<OutcomeName>,
    /// Only what concerns this organization, by id or name.
    organization: Option<String>,
    /// Only entries from this instant on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only entries before this instant.
    #[param(format = DateTime)]
    to: Option<String>,
    /// How many entries a page holds.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$")]
    cursor: Option<String>,
}

/// A page of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    items: Vec<AuditEntry>,
    /// The cursor of the next page; null if this is the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Why nothing is listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not a page size.
    #[error("limit: expected 1 to {LIMIT_MAX}.")]
    Limit,
    /// Not a cursor that a page has shown.
    #[error("cursor: expected the next_cursor of a page.")]
    Cursor,
    /// Not the id of anything.
    #[error("subject: expected at most {SUBJECT_CHARACTERS_MAX} characters, and no control characters.")]
    Subject,
    /// Not an instant.
    #[error("{0}: expected an instant like 2027-01-01T00:00:00Z.")]
    Instant(&'static str),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for ListError {
    fn into_response(self) -> Response {
        match self {
            Self::Limit | Self::Cursor | Self::Subject | Self::Instant(_) => {
                Problem::new(StatusCode::BAD_REQUEST, self)
            }
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// The audit: all of it for an operator, what concerns the organization for an admin. Never a secret.
///
/// Every write leaves an entry, and so does everything that was refused because of who asked or what was sent.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditList, description = "A page of the audit"), Always, Forbidden, BadQuery)
)]
pub async fn list(
    State(app): State<App>,
    Administrator(actor): Administrator,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<AuditList>, ListError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ListError::Limit);
    }
    let filter = parse(&query)?;
    let mut read = app.store.read().await?;
    let mut view = read.view();
    let Some(filter) = resolve(&mut view, actor, &query, filter).await? else {
        return Ok(Json(AuditList { items: Vec::new(), next_cursor: None }));
    };
    let page = view.audit(&filter, limit).await?;
    Ok(Json(AuditList {
        items: page.entries.into_iter().map(|entry| AuditEntry::new(entry, actor)).collect(),
        next_cursor: page.next.map(cursor::write),
    }))
}

/// The part of the filter that the query says by itself.
fn parse(query: &AuditQuery) -> Result<AuditFilter, ListError> {
    let instant = |name, text: &Option<String>| {
        text.as_deref().map(Timestamp::parse_bound).transpose().map_err(|_| ListError::Instant(name))
    };
    if let Some(subject) = &query.subject {
        let too_long = subject.chars().count() > SUBJECT_CHARACTERS_MAX;
        if too_long || subject.chars().any(char::is_control) {
            return Err(ListError::Subject);
        }
    }
    Ok(AuditFilter {
        organization: None,
        user: None,
        action: query.action,
        subject: query.subject.clone(),
        refused: query.outcome.map(|outcome| outcome == OutcomeName::Refused),
        from: instant("from", &query.from)?,
        to: instant("to", &query.to)?,
        before: query.cursor.as_deref().map(|text| cursor::read(text).ok_or(ListError::Cursor)).transpose()?,
    })
}

/// The rest of the filter, as far as `actor` sees what the query names; `None` if nothing can pass it.
async fn resolve(
    view: &mut View<'_>,
    actor: Actor,
    query: &AuditQuery,
    filter: AuditFilter,
) -> Result<Option<AuditFilter>, ListError> {
    let asked = match &query.organization {
        None => None,
        // By its id one finds what an organization did that has been deleted since.
        Some(reference) => match reference.parse() {
            Ok(id) => Some(id),
            Err(_) => match view.organization_named(reference).await? {
                Some(found) => Some(found.id),
                None => return Ok(None),
            },
        },
    };
    let organization = match (actor.sight(), asked) {
        (Sight::Everything, asked) => asked,
        (Sight::Organization(own), None) => Some(own),
        (Sight::Organization(own), Some(asked)) if asked == own => Some(own),
        (Sight::Organization(_), Some(_)) | (Sight::Own(_), _) => return Ok(None),
    };
    let user = match query.user.as_deref().map(str::parse::<UserId>).transpose() {
        Ok(user) => user,
        Err(_) => return Ok(None),
    };
    Ok(Some(AuditFilter { organization, user, ..filter }))
}

#[cfg(test)]
mod tests;
