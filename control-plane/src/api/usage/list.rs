//! `GET /v1/usage`: what was used, told apart by whatever is asked for, in JSON or CSV.
//!
//! A page's cursor is the place of its last key, user or organization. Without one of them there is one page.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use serde::Deserialize;
use utoipa::IntoParams;

use super::accept::Format;
use super::csv;
use super::view::UsageList;
use crate::api::caller::Caller;
use crate::api::extract::QueryOf;
use crate::api::keys::{KindName, handled};
use crate::api::organizations::named;
use crate::api::refusals::{Always, BadQuery, NotFound, OneError};
use crate::api::{App, cursor};
use crate::domain::actor::Actor;
use crate::domain::authority::Sight;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage_query::{Asked, AskedError, Grouping, GroupingError};
use crate::problem::Problem;
use crate::storage::{StorageError, UsageQuery, UsageScope, View};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;

/// What usage to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageParameters {
    /// By what to tell it apart: some of `key`, `user`, `organization`, `api`, `hour`, `day` and `outcome`, with commas
    /// between them. `hour` and `day` exclude each other, and so do `key`, `user` and `organization`. Left out, it is one
    /// item of everything.
    #[param(
        pattern = "^((key|user|organization|api|hour|day|outcome)(,(key|user|organization|api|hour|day|outcome)){0,3})?$",
        example = "key,day"
    )]
    group_by: Option<String>,
    /// From when on, rounded down to a full hour or, by the day and where hours are no longer kept, to a full day. Left
    /// out it is the beginning of this month.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Until when, rounded up likewise. Left out it is now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Only that of this key, by id.
    key: Option<String>,
    /// Only that of the keys which this user has issued, by id.
    user: Option<String>,
    /// Only that of this API, by id or name.
    api: Option<String>,
    /// Only that of the keys of this organization, by id or name.
    organization: Option<String>,
    /// Only that of APIs of this kind which there still are.
    kind: Option<KindName>,
    /// How many keys, users or organizations a page holds.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$")]
    cursor: Option<String>,
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// It cannot be grouped so.
    #[error("group_by: {0}.")]
    Grouping(#[from] GroupingError),
    /// There is no such time, or it is too long.
    #[error(transparent)]
    Asked(#[from] AskedError),
    /// Not an instant.
    #[error("{0}: expected an instant like 2027-01-01T00:00:00Z.")]
    Instant(&'static str),
    /// Not a page size.
    #[error("limit: expected 1 to {LIMIT_MAX}.")]
    Limit,
    /// Not a cursor that a page has shown.
    #[error("cursor: expected the next_cursor of a page.")]
    Cursor,
    /// What it names is not there, or not for the caller to see.
    #[error(transparent)]
    One(#[from] OneError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for UsageError {
    fn into_response(self) -> Response {
        match self {
            Self::Grouping(_) | Self::Asked(_) | Self::Instant(_) | Self::Limit | Self::Cursor => {
                Problem::new(StatusCode::BAD_REQUEST, self).into_response()
            }
            Self::One(error) => error.into_response(),
            Self::Storage(error) => Problem::from(error).into_response(),
        }
    }
}

/// What was used: everywhere for an operator, in the organization for an admin, with their own keys for a member.
///
/// With `Accept: text/csv` it is all pages as one table. They are read one after the other: what is counted meanwhile is
/// in those that come later.
#[utoipa::path(
    get, path = "/v1/usage", tag = "usage", params(UsageParameters),
    responses(
        (status = 200, description = "A page of usage; all of it as CSV",
         content((UsageList = "application/json"), (String = "text/csv"))),
        Always, NotFound, BadQuery,
    )
)]
pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    QueryOf(parameters): QueryOf<UsageParameters>,
) -> Result<Response, UsageError> {
    let query = parse(&parameters, app.store.clock().now())?;
    let query = resolve(&mut app.store.read().await?.view(), actor, &parameters, query).await?;
    match Format::of(&headers) {
        Format::Json => {
            let page = app.store.usage(&query).await?;
            Ok(Json(UsageList::new(page, &query.grouping, actor)).into_response())
        }
        Format::Csv => {
            let query = UsageQuery { limit: LIMIT_MAX, ..query };
            let first = app.store.usage(&query).await?;
            Ok(csv::stream(app.store, query, first, actor))
        }
    }
}

/// The part of the question that the parameters say by themselves.
fn parse(parameters: &UsageParameters, now: Timestamp) -> Result<UsageQuery, UsageError> {
    let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(UsageError::Limit);
    }
    let grouping = Grouping::parse(parameters.group_by.as_deref().unwrap_or_default())?;
    let instant = |name, text: &Option<String>| {
        text.as_deref().map(Timestamp::parse_bound).transpose().map_err(|_| UsageError::Instant(name))
    };
    let (from, to) = (instant("from", &parameters.from)?, instant("to", &parameters.to)?);
    let after = parameters.cursor.as_deref().map(|text| cursor::read(text).ok_or(UsageError::Cursor)).transpose()?;
    if after.is_some() && grouping.subject.is_none() {
        return Err(UsageError::Cursor);
    }
    Ok(UsageQuery {
        scope: UsageScope::Nothing,
        api: None,
        kind: parameters.kind.map(ApiKind::from),
        asked: Asked::new(from, to, now, grouping.bucket)?,
        grouping,
        after,
        limit,
    })
}

/// The rest of the question, as far as `actor` sees what the parameters name.
async fn resolve(
    view: &mut View<'_>,
    actor: Actor,
    parameters: &UsageParameters,
    query: UsageQuery,
) -> Result<UsageQuery, UsageError> {
    let mut scope = match actor.sight() {
        Sight::Everything => UsageScope::Everything,
        Sight::Organization(organization) => UsageScope::Organization(organization),
        Sight::Own(user) => UsageScope::User(user, None),
    };
    if let Some(reference) = &parameters.organization {
        scope = within(scope, named(view, actor, reference).await?);
    }
    if let Some(reference) = &parameters.user {
        let id = reference.parse::<UserId>().map_err(|_| OneError::Unknown("user"))?;
        let user = view.user_ever(id).await?.ok_or(OneError::Unknown("user"))?;
        actor.sees_user(&user).map_err(|denied| OneError::Denied(denied, "user"))?;
        scope = of_user(scope, id);
    }
    if let Some(reference) = &parameters.key {
        let id = reference.parse::<KeyId>().map_err(|_| OneError::Unknown("key"))?;
        let key = handled(view, id, actor).await?;
        scope = of_key(scope, UsageScope::Key { key: id, organization: key.organization, user: key.created_by });
    }
    let api = match &parameters.api {
        Some(reference) => Some(api(view, actor, reference).await?),
        None => None,
    };
    Ok(UsageQuery { scope, api, ..query })
}

/// An operator may name an API that has been deleted, by its id: what was used of it stays.
async fn api(view: &mut View<'_>, actor: Actor, reference: &str) -> Result<ApiId, UsageError> {
    match view.api_named(reference).await? {
        Some(found) => {
            actor.sees_api(&found).map_err(|denied| OneError::Denied(denied, "API"))?;
            Ok(found.id)
        }
        None if actor.operates().is_ok() => Ok(reference.parse().map_err(|_| OneError::Unknown("API"))?),
        None => Err(OneError::Unknown("API").into()),
    }
}

/// What of `scope` is in this organization.
fn within(scope: UsageScope, organization: OrganizationId) -> UsageScope {
    match scope {
        UsageScope::Everything => UsageScope::Organization(organization),
        UsageScope::User(user, None) => UsageScope::User(user, Some(organization)),
        UsageScope::Organization(own) | UsageScope::User(_, Some(own)) | UsageScope::Key { organization: own, .. }
            if own == organization =>
        {
            scope
        }
        UsageScope::Organization(_) | UsageScope::User(..) | UsageScope::Key { .. } | UsageScope::Nothing => {
            UsageScope::Nothing
        }
    }
}

/// What of `scope` was used with keys that this user has issued.
fn of_user(scope: UsageScope, user: UserId) -> UsageScope {
    match scope {
        UsageScope::Everything => UsageScope::User(user, None),
        UsageScope::Organization(organization) => UsageScope::User(user, Some(organization)),
        UsageScope::User(own, _) | UsageScope::Key { user: own, .. } if own == user => scope,
        UsageScope::User(..) | UsageScope::Key { .. } | UsageScope::Nothing => UsageScope::Nothing,
    }
}

/// What of `scope` was used with this key.
fn of_key(scope: UsageScope, key: UsageScope) -> UsageScope {
    let UsageScope::Key { organization, user, .. } = key else { return UsageScope::Nothing };
    let is_in = match scope {
        UsageScope::Everything => true,
        UsageScope::Organization(own) => own == organization,
        UsageScope::User(own, home) => own == user && home.is_none_or(|home| home == organization),
        UsageScope::Key { .. } | UsageScope::Nothing => false,
    };
    if is_in { key } else { UsageScope::Nothing }
}
