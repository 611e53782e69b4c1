//! `GET /v1/keys`: keys, filtered, sorted and in pages.
//!
//! A page's cursor is the place of its last key, so that pages neither repeat nor skip anything while keys come
//! and go between them.

#![allow(unused_qualifications, reason = "in what utoipa makes of the query's type")]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{KeyView, KindName, StatusName, cursor};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::QueryOf;
use crate::api::refusals::{Always, BadQuery};
use crate::domain::actor::Actor;
use crate::domain::name::NAME_CHARACTERS_MAX;
use crate::problem::Problem;
use crate::storage::{KeyFilter, KeyOrder, KeySort, StorageError};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// What a list of keys is sorted by; `-` in front turns it round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum SortName {
    /// Oldest first.
    #[serde(rename = "issued_at")]
    Issued,
    /// Newest first.
    #[default]
    #[serde(rename = "-issued_at")]
    IssuedDown,
    /// By name, in any case.
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDown,
    /// Those that end first come first; those that never do come last.
    #[serde(rename = "expires_at")]
    Expiry,
    /// Those that never end come first.
    #[serde(rename = "-expires_at")]
    ExpiryDown,
    /// Those that were never used come first, then those that were not used for longest.
    #[serde(rename = "last_used_at")]
    LastUse,
    /// Those that were used last come first.
    #[serde(rename = "-last_used_at")]
    LastUseDown,
}

impl SortName {
    const fn read(self) -> (KeySort, bool) {
        match self {
            Self::Issued => (KeySort::Issued, false),
            Self::IssuedDown => (KeySort::Issued, true),
            Self::Name => (KeySort::Name, false),
            Self::NameDown => (KeySort::Name, true),
            Self::Expiry => (KeySort::Expiry, false),
            Self::ExpiryDown => (KeySort::Expiry, true),
            Self::LastUse => (KeySort::LastUse, false),
            Self::LastUseDown => (KeySort::LastUse, true),
        }
    }
}

/// Which keys to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only keys of this kind.
    kind: Option<KindName>,
    /// Only keys with this status. Revoked keys are listed only if asked for.
    status: Option<StatusName>,
    /// Only keys whose name or masked value contains this text, in any case.
    #[param(max_length = 100)]
    q: Option<String>,
    /// The order of the list; `-issued_at`, newest first, if it is left out.
    #[param(inline)]
    sort: Option<SortName>,
    /// How many keys a page holds.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before, which must have had the same order.
    #[param(pattern = "^[A-Za-z0-9_-]{1,2048}$")]
    cursor: Option<String>,
    /// Only keys of this organization, by id or name.
    organization: Option<String>,
    /// Only keys that this user issued, by id.
    created_by: Option<String>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    items: Vec<KeyView>,
    /// The cursor of the next page; null if this is the last one. A search for one or two characters may find
    /// less than a page holds, and still have a next one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Why nothing is listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not a page size.
    #[error("limit: expected 1 to {LIMIT_MAX}.")]
    Limit,
    /// Not a cursor that a page in this order has shown.
    #[error("cursor: expected the next_cursor of a page in the same order.")]
    Cursor,
    /// Longer than anything that it could be found in, or with control characters.
    #[error("q: expected at most {NAME_CHARACTERS_MAX} characters, and no control characters.")]
    Search,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for ListError {
    fn into_response(self) -> Response {
        match self {
            Self::Limit | Self::Cursor | Self::Search => Problem::new(StatusCode::BAD_REQUEST, self),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Keys: all of them for an operator, the organization's for an admin, their own for a member. Never a secret.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", params(ListQuery),
    responses((status = 200, body = KeyList, description = "A page of keys"), Always, BadQuery)
)]
pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<KeyList>, ListError> {
    let (organization, creator) = (query.organization.clone(), query.created_by.clone());
    let (mut filter, order) = parse(query, actor)?;
    let now = app.store.clock().now();
    let mut read = app.store.read().await?;
    let mut view = read.view();
    // An organization or a user that is not there has no keys.
    let nothing = || Ok(Json(KeyList { items: Vec::new(), next_cursor: None }));
    if let Some(reference) = organization {
        let Some(found) = view.organization_named(&reference).await? else {
            return nothing();
        };
        filter.organization = Some(found.id);
    }
    if let Some(creator) = creator {
        let Ok(creator) = creator.parse::<UserId>() else {
            return nothing();
        };
        filter.created_by = Some(creator);
    }
    let page = view.keys(&filter, &order, now).await?;
    Ok(Json(KeyList {
        items: page.keys.into_iter().map(|key| KeyView::new(key, now)).collect(),
        next_cursor: page.next.map(|place| cursor::write(order.sort, &place)),
    }))
}

fn parse(query: ListQuery, actor: Actor) -> Result<(KeyFilter, KeyOrder), ListError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ListError::Limit);
    }
    let (sort, descending) = query.sort.unwrap_or_default().read();
    let after = query.cursor.as_deref().map(|text| cursor::read(sort, text).ok_or(ListError::Cursor)).transpose()?;
    let search = query.q.filter(|text| !text.is_empty());
    if let Some(text) = &search {
        let too_long = text.chars().count() > NAME_CHARACTERS_MAX;
        if too_long || text.chars().any(char::is_control) {
            return Err(ListError::Search);
        }
    }
    let filter = KeyFilter {
        sight: actor.sight(),
        kind: query.kind.map(Into::into),
        status: query.status.map(Into::into),
        organization: None,
        created_by: None,
        search,
    };
    Ok((filter, KeyOrder { sort, descending, after, limit }))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;
    use std::time::Duration;

    async fn names(harness: &Harness, query: &str) -> Vec<String> {
        let page = harness.get(&format!("/v1/keys?{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|key| text(key, "name").to_owned()).collect()
    }

    #[tokio::test]
    async fn keys_are_listed_newest_first_and_filtered() {
        let harness = Harness::furnished().await;
        harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let bodies = [
            json!({"kind": "serverless", "name": "Alpha 100%", "organization": "acme"}),
            json!({"kind": "dedicated", "name": "beta_1", "organization": "acme", "expires_at": "2027-01-01T00:00:02Z"}),
            json!({"kind": "serverless", "name": "betaX1", "organization": "other"}),
            json!({"kind": "serverless", "name": "ÜBER", "organization": "other"}),
        ];
        let mut last = json!(null);
        for body in bodies {
            harness.advance(Duration::from_millis(1));
            last = harness.post("/v1/keys", body).await.expect(201);
        }
        harness.delete(&format!("/v1/keys/{}", text(&last, "id"))).await.expect(200);
        harness.advance(Duration::from_secs(5));
        let tail = text(&last, "masked").rsplit('…').next().unwrap();
        let cases = [
            ("", &["betaX1", "beta_1", "Alpha 100%"][..]),
            ("kind=dedicated", &["beta_1"]),
            ("kind=sls", &["betaX1", "Alpha 100%"]),
            ("status=active", &["betaX1", "Alpha 100%"]),
            ("status=expired", &["beta_1"]),
            ("status=revoked", &["ÜBER"]),
            ("organization=other", &["betaX1"]),
            ("organization=nobody", &[]),
            ("q=BETA", &["betaX1", "beta_1"]),
            ("q=beta_", &["beta_1"]),
            ("q=%25", &["Alpha 100%"]),
            ("q=", &["betaX1", "beta_1", "Alpha 100%"]),
            ("q=%C3%BCber&status=revoked", &["ÜBER"]),
            (&format!("q={}&status=revoked", tail.to_uppercase()), &["ÜBER"]),
        ];
        for (query, expected) in cases {
            assert_eq!(names(&harness, query).await, expected, "{query}");
        }
    }

    #[tokio::test]
    async fn pages_neither_repeat_nor_skip_while_keys_come_and_go() {
        let harness = Harness::furnished().await;
        let mut ids = Vec::new();
        for number in 0..5 {
            harness.advance(Duration::from_millis(1));
            ids.insert(0, text(&harness.issue(&number.to_string()).await, "id").to_owned());
        }
        let mut seen = Vec::new();
        let mut query = "/v1/keys?limit=2".to_owned();
        loop {
            let page = harness.get(&query).await.expect(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|key| text(key, "id").to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            query = format!("/v1/keys?limit=2&cursor={cursor}");
            // A new key comes, and the one at the cursor goes.
            harness.advance(Duration::from_millis(1));
            harness.issue("new").await;
            harness.delete(&format!("/v1/keys/{}", seen.last().unwrap())).await.expect(200);
        }
        assert_eq!(seen, ids);
    }

    #[tokio::test]
    async fn a_wrong_query_is_refused() {
        let harness = Harness::new().await;
        let long = format!("q={}", "x".repeat(101));
        let wrong =
            ["limit=0", "limit=201", "limit=x", "cursor=x", "kind=adm", "status=dead", "q=%00", "sort=masked", &long];
        for query in wrong {
            harness.get(&format!("/v1/keys?{query}")).await.expect(400);
        }
        harness.assert_guarded("GET", "/v1/keys").await;
    }
}
