//! `GET /v1/advice`: advice on active keys, in the order in which they were issued, in pages.
//!
//! A page's cursor is the place of the last key that was looked at. All advice on a key is on one page.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::KeyId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AdviceItem, ReasonName};
use crate::api::caller::Caller;
use crate::api::extract::QueryOf;
use crate::api::organizations::named;
use crate::api::refusals::{Always, BadQuery, NotFound, OneError};
use crate::api::{App, cursor};
use crate::domain::advice::{Reason, Terms};
use crate::problem::Problem;
use crate::storage::{AdviceFilter, StorageError};

const UNUSED_DAYS: u32 = 30;
const UNUSED_DAYS_MAX: u32 = 400;
const EXPIRING_DAYS: u32 = 14;
/// Less than what a key is advised to live on, so that the advice is gone when it has been followed.
const EXPIRING_DAYS_MAX: u32 = 180;
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// What advice to give.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AdviceQuery {
    /// For how many days a key has not been used that is unused. As many days are looked at for which APIs it has called.
    #[param(minimum = 1, maximum = 400, default = 30)]
    unused_days: Option<u32>,
    /// Within how many days a key ends that ends soon.
    #[param(minimum = 1, maximum = 180, default = 14)]
    expiring_days: Option<u32>,
    /// Only advice for this reason.
    reason: Option<ReasonName>,
    /// Only on keys of this organization, by id or name.
    organization: Option<String>,
    /// On how many keys a page has advice.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$")]
    cursor: Option<String>,
}

/// A page of advice.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdviceList {
    items: Vec<AdviceItem>,
    /// The cursor of the next page; null if this is the last one. Where few keys need advice, a page may have advice on
    /// fewer than it could, or none, and still have a next one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Why there is no advice.
#[derive(Debug, thiserror::Error)]
pub enum AdviceError {
    /// Not a number of days.
    #[error("{0}: expected 1 to {1}.")]
    Days(&'static str, u32),
    /// Not a page size.
    #[error("limit: expected 1 to {LIMIT_MAX}.")]
    Limit,
    /// Not a cursor that a page has shown.
    #[error("cursor: expected the next_cursor of a page.")]
    Cursor,
    /// The organization is not there, or not for the caller to see.
    #[error(transparent)]
    One(#[from] OneError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for AdviceError {
    fn into_response(self) -> Response {
        match self {
            Self::Days(..) | Self::Limit | Self::Cursor => Problem::new(StatusCode::BAD_REQUEST, self).into_response(),
            Self::One(error) => error.into_response(),
            Self::Storage(error) => Problem::from(error).into_response(),
        }
    }
}

/// Advice on active keys: on all for an operator, on those of the organization for an admin, on their own for a member.
///
/// Each piece of advice has the call that mends it, which whoever sees it may make.
#[utoipa::path(
    get, path = "/v1/advice", tag = "advice", params(AdviceQuery),
    responses((status = 200, body = AdviceList, description = "A page of advice"), Always, NotFound, BadQuery)
)]
pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    QueryOf(query): QueryOf<AdviceQuery>,
) -> Result<Json<AdviceList>, AdviceError> {
    let days = |name, days: Option<u32>, default, most| {
        let days = days.unwrap_or(default);
        if (1..=most).contains(&days) { Ok(days) } else { Err(AdviceError::Days(name, most)) }
    };
    let terms = Terms {
        now: app.store.clock().now(),
        unused_days: days("unused_days", query.unused_days, UNUSED_DAYS, UNUSED_DAYS_MAX)?,
        expiring_days: days("expiring_days", query.expiring_days, EXPIRING_DAYS, EXPIRING_DAYS_MAX)?,
    };
    let limit = query.limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let limit = limit.or(query.limit.is_none().then_some(LIMIT_DEFAULT)).ok_or(AdviceError::Limit)?;
    let after = query.cursor.as_deref().map(|text| cursor::read(text).ok_or(AdviceError::Cursor)).transpose()?;
    let organization = match &query.organization {
        Some(reference) => Some(named(&mut app.store.read().await?.view(), actor, reference).await?),
        None => None,
    };
    let reason = query.reason.map(Reason::from);
    let filter = AdviceFilter { sight: actor.sight(), organization, reason, terms };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = app.store.advice(&filter, after.map(KeyId::from_number), limit).await?;
    let items = page
        .keys
        .into_iter()
        .flat_map(|(key, advice)| advice.into_iter().map(|advice| AdviceItem::new(&key, advice)).collect::<Vec<_>>());
    Ok(Json(AdviceList { items: items.collect(), next_cursor: page.next.map(|key| cursor::write(key.number())) }))
}
