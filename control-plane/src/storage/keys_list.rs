//! Lists of keys: filtered, newest first, in pages that stay right while keys come and go.

use portcullis_core::id::{KeyId, OrganizationId};
use portcullis_core::key::ApiKind;
use sqlx::{QueryBuilder, Sqlite};

use super::View;
use super::error::StorageError;
use super::keys::Row;
use super::rows::{from_id, from_instant};
use crate::domain::key::{Key, KeyStatus};
use crate::domain::timestamp::Timestamp;

/// Which keys to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only keys of this kind.
    pub kind: Option<ApiKind>,
    /// Only keys with this status. `None` lists all but revoked ones.
    pub status: Option<KeyStatus>,
    /// Only keys of this organization.
    pub organization: Option<OrganizationId>,
    /// Only keys whose name or masked value contains this, in any case.
    pub search: Option<String>,
    /// Only keys that come after this one.
    pub after: Option<KeyId>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, newest first.
    pub keys: Vec<Key>,
    /// The last key of this page, if there are more after it.
    pub next: Option<KeyId>,
}

impl View<'_> {
    /// The first `limit` keys that pass `filter`, with their status as it is at `now`.
    pub async fn keys(&mut self, filter: &KeyFilter, limit: u32, now: Timestamp) -> Result<KeyPage, StorageError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM keys WHERE ");
        push_status(&mut query, filter.status, now);
        if let Some(kind) = filter.kind {
            query.push(" AND kind = ").push_bind(kind.name());
        }
        if let Some(organization) = filter.organization {
            query.push(" AND organization_id = ").push_bind(from_id(organization));
        }
        if let Some(search) = &filter.search {
            // Not LIKE: nothing in what people search for has a special meaning.
            query.push(" AND instr(search_text, ").push_bind(search.to_lowercase()).push(") > 0");
        }
        if let Some(after) = filter.after {
            query.push(" AND id < ").push_bind(from_id(after));
        }
        // One more than asked tells whether there is a next page.
        let more = i64::from(limit) + 1;
        query.push(" ORDER BY id DESC LIMIT ").push_bind(more);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *self.0).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        let keys = rows.into_iter().take(limit).map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
        let next = keys.last().filter(|_| has_more).map(|key| key.id);
        Ok(KeyPage { keys, next })
    }
}

fn push_status(query: &mut QueryBuilder<Sqlite>, status: Option<KeyStatus>, now: Timestamp) {
    let now = from_instant(now);
    match status {
        None => query.push("revoked_at IS NULL"),
        Some(KeyStatus::Active) => {
            query.push("revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ").push_bind(now).push(")")
        }
        Some(KeyStatus::Expired) => query.push("revoked_at IS NULL AND expires_at <= ").push_bind(now),
        Some(KeyStatus::Revoked) => query.push("revoked_at IS NOT NULL"),
    };
}
