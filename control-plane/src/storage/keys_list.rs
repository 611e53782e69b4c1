//! Lists of keys: filtered, sorted, in pages that stay right while keys come and go.
//!
//! A page begins after a place, which is the sorted value and the id of the last key before it; so it neither
//! repeats nor skips a key that has stayed what it was. Every order has an index that yields it. The ids of a page are
//! found first, and only these keys are then read in full.
//!
//! A search for something rare asks an index of all triples of characters. A search for one or two characters, or
//! for something that many keys have, walks the list instead, at most [`WALK_MAX`] keys for one page: then a page may
//! be short, or empty, and still have a next one. PostgreSQL knows by its statistics what is rare; SQLite is asked to
//! count to [`RARE_MAX`] first.

use portcullis_core::id::{KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;

use super::View;
use super::error::StorageError;
use super::keys::{COLUMNS, JOINS, Row};
use super::rows::{from_id, from_instant, to_id};
use super::sql::{Dialect, Statement, sql};
use crate::domain::authority::Sight;
use crate::domain::key::{Key, KeyStatus};
use crate::domain::timestamp::Timestamp;

/// The most keys that one page of a walk looks at.
const WALK_MAX: i64 = 5_000;
/// The most matches of something rare.
const RARE_MAX: i64 = 2_000;
/// The shortest text that the index of a search knows, in characters.
const INDEXED_CHARACTERS_MIN: usize = 3;

/// Which keys to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only those that the caller sees.
    pub sight: Sight,
    /// Only keys of this kind.
    pub kind: Option<ApiKind>,
    /// Only keys with this status. `None` lists all but revoked ones.
    pub status: Option<KeyStatus>,
    /// Only keys of this organization.
    pub organization: Option<OrganizationId>,
    /// Only keys that this user issued.
    pub created_by: Option<UserId>,
    /// Only keys whose name or masked value contains this, in any case.
    pub search: Option<String>,
}

/// What a list is sorted by. Keys of equal value stand in the order in which they were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySort {
    /// When they were issued.
    Issued,
    /// Their names, in any case.
    Name,
    /// When they end; those that never do come last.
    Expiry,
    /// When they were last used; those that never were come first.
    LastUse,
}

/// A place in a sorted list: a key's value, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the order of issue, where the id says it all.
    Issued(KeyId),
    /// In the order of names.
    Name(String, KeyId),
    /// In the order of an instant.
    Instant(i64, KeyId),
}

/// What page to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrder {
    /// What the list is sorted by.
    pub sort: KeySort,
    /// Whether it goes down.
    pub descending: bool,
    /// The place after which the page begins.
    pub after: Option<KeyPlace>,
    /// How many keys the page holds.
    pub limit: u32,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<Key>,
    /// The place after which the next page begins, if there is one.
    pub next: Option<KeyPlace>,
}

impl KeySort {
    const fn column(self) -> &'static str {
        match self {
            Self::Issued => "k.id",
            Self::Name => "k.search_text",
            Self::Expiry => "coalesce(k.expires_at, 9223372036854775807)",
            Self::LastUse => "coalesce(k.last_used_at, -1)",
        }
    }

    fn place(self, row: &Row) -> KeyPlace {
        let id = to_id(row.id);
        match self {
            Self::Issued => KeyPlace::Issued(id),
            Self::Name => KeyPlace::Name(row.search_text.clone(), id),
            Self::Expiry => KeyPlace::Instant(row.expires_at.unwrap_or(i64::MAX), id),
            Self::LastUse => KeyPlace::Instant(row.last_used_at.unwrap_or(-1), id),
        }
    }
}

/// How the keys of a page are found.
#[derive(Debug, Clone)]
pub(super) enum Finding {
    /// All that pass the filter.
    All,
    /// Those in which an index finds this.
    Indexed(String),
    /// Those in which this stands, looking at one after the other.
    Walk(String),
}

impl View<'_> {
    /// A page of the keys that pass `filter`, with their status as it is at `now`.
    pub async fn keys(
        &mut self,
        filter: &KeyFilter,
        order: &KeyOrder,
        now: Timestamp,
    ) -> Result<KeyPage, StorageError> {
        let finding = self.finding(filter).await?;
        // One more than asked tells whether there is a next page.
        let more = i64::from(order.limit) + 1;
        let query = in_full(page(filter, order, now, &finding, self.session().dialect(), more), order);
        let rows: Vec<Row> = query.all(self.session()).await?;
        let limit = usize::try_from(order.limit).unwrap_or(usize::MAX);
        let next = if rows.len() > limit {
            rows.get(limit.saturating_sub(1)).map(|last| order.sort.place(last))
        } else if matches!(finding, Finding::Walk(_)) {
            self.end_of_walk(filter, order, now).await?
        } else {
            None
        };
        let keys = rows.into_iter().take(limit).map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(KeyPage { keys, next })
    }

    /// How to go about a search.
    pub(super) async fn finding(&mut self, filter: &KeyFilter) -> Result<Finding, StorageError> {
        let Some(text) = filter.search.as_deref().map(str::to_lowercase) else {
            return Ok(Finding::All);
        };
        if text.chars().nth(INDEXED_CHARACTERS_MIN - 1).is_none() {
            return Ok(Finding::Walk(text));
        }
        if self.session().dialect() == Dialect::Postgres {
            return Ok(Finding::Indexed(text));
        }
        let (matches,): (i64,) = sql("SELECT count(*) FROM
                 (SELECT rowid FROM keys_search WHERE search_text MATCH $1 LIMIT $2) AS found")
        .bind(phrase(&text))
        .bind(RARE_MAX + 1)
        .one(self.session())
        .await?;
        Ok(if matches > RARE_MAX { Finding::Walk(text) } else { Finding::Indexed(text) })
    }

    /// The place up to which a walk has looked, if that is not the end of the list.
    async fn end_of_walk(
        &mut self,
        filter: &KeyFilter,
        order: &KeyOrder,
        now: Timestamp,
    ) -> Result<Option<KeyPlace>, StorageError> {
        let mut last = page(filter, order, now, &Finding::All, self.session().dialect(), 1);
        last.push(" OFFSET ").push_bind(WALK_MAX - 1);
        let last: Option<Row> = in_full(last, order).optional(self.session()).await?;
        Ok(last.map(|row| order.sort.place(&row)))
    }
}

/// Text as SQLite's index wants it: between double quotes nothing has a meaning but they themselves.
fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Selects the ids of the first `limit` keys that pass `filter` and are found so, in `order`.
pub(super) fn page(
    filter: &KeyFilter,
    order: &KeyOrder,
    now: Timestamp,
    finding: &Finding,
    dialect: Dialect,
    limit: i64,
) -> Statement {
    let column = order.sort.column();
    let mut query = sql("SELECT k.id");
    match (finding, dialect) {
        (Finding::All, _) => {
            query.push(" FROM keys k WHERE true");
        }
        (Finding::Indexed(text), Dialect::Sqlite) => {
            query.push(" FROM keys_search s CROSS JOIN keys k ON k.id = s.rowid WHERE s.search_text MATCH ");
            query.push_bind(phrase(text));
        }
        (Finding::Indexed(text), Dialect::Postgres) => {
            let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            query.push(" FROM keys k WHERE k.search_text LIKE ").push_bind(format!("%{literal}%"));
        }
        (Finding::Walk(_), _) => {
            query.push(", k.search_text, ").push(column).push(" AS place FROM keys k WHERE true");
        }
    }
    push_filter(&mut query, filter, order.sort, dialect, now);
    push_place(&mut query, order);
    push_order(&mut query, order, column, "k.id");
    query.push(" LIMIT ");
    let Finding::Walk(text) = finding else {
        query.push_bind(limit);
        return query;
    };
    query.push_bind(WALK_MAX).wrap("SELECT w.id FROM (", ") AS w WHERE ");
    // Not LIKE: nothing in what people search for has a special meaning.
    query.push(match dialect {
        Dialect::Sqlite => "instr(w.search_text, ",
        Dialect::Postgres => "strpos(w.search_text, ",
    });
    query.push_bind(text.as_str()).push(") > 0");
    push_order(&mut query, order, "w.place", "w.id");
    query.push(" LIMIT ").push_bind(limit);
    query
}

/// Reads the keys of a page in full.
pub(super) fn in_full(mut page: Statement, order: &KeyOrder) -> Statement {
    page.wrap(" FROM (", ") AS page JOIN keys k ON k.id = page.id").push(JOINS);
    push_order(&mut page, order, order.sort.column(), "k.id");
    page.wrap(COLUMNS, "").wrap("SELECT ", "");
    page
}

fn push_filter(query: &mut Statement, filter: &KeyFilter, sort: KeySort, dialect: Dialect, now: Timestamp) {
    let now = from_instant(now);
    match filter.status {
        None => query.push(" AND k.revoked_at IS NULL"),
        Some(KeyStatus::Active) => {
            query.push(" AND k.revoked_at IS NULL AND coalesce(k.expires_at, 9223372036854775807) > ").push_bind(now)
        }
        Some(KeyStatus::Expired) => {
            query.push(" AND k.revoked_at IS NULL AND coalesce(k.expires_at, 9223372036854775807) <= ").push_bind(now)
        }
        Some(KeyStatus::Revoked) => query.push(" AND k.revoked_at IS NOT NULL"),
    };
    if let Some(kind) = filter.kind {
        // The index of a kind is in the order of issue. In any other one SQLite would read a whole kind to sort it, where
        // walking along the order finds a page soon; with a sign in front it looks for no index.
        query.push(match (sort, dialect) {
            (KeySort::Issued, _) | (_, Dialect::Postgres) => " AND k.kind = ",
            (KeySort::Name | KeySort::Expiry | KeySort::LastUse, Dialect::Sqlite) => " AND +k.kind = ",
        });
        query.push_bind(kind.name());
    }
    let (mut organizations, mut creators) = (vec![filter.organization], vec![filter.created_by]);
    match filter.sight {
        Sight::Everything => {}
        Sight::Organization(organization) => organizations.push(Some(organization)),
        Sight::Own(user) => creators.push(Some(user)),
    }
    for organization in organizations.into_iter().flatten() {
        query.push(" AND k.organization_id = ").push_bind(from_id(organization));
    }
    for user in creators.into_iter().flatten() {
        query.push(" AND k.created_by = ").push_bind(from_id(user));
    }
}

fn push_place(query: &mut Statement, order: &KeyOrder) {
    let beyond = if order.descending { " < " } else { " > " };
    let column = order.sort.column();
    match &order.after {
        // An end that is said is an end that the database need not look for.
        None if order.sort == KeySort::Issued => {
            query.push(" AND k.id").push(beyond).push_bind(if order.descending { i64::MAX } else { i64::MIN });
        }
        None => {}
        Some(KeyPlace::Issued(id)) => {
            query.push(" AND k.id").push(beyond).push_bind(from_id(*id));
        }
        Some(KeyPlace::Name(name, id)) => {
            query.push(" AND (").push(column).push(", k.id)").push(beyond).push("(").push_bind(name.as_str());
            query.push(", ").push_bind(from_id(*id)).push(")");
        }
        Some(KeyPlace::Instant(instant, id)) => {
            query.push(" AND (").push(column).push(", k.id)").push(beyond).push("(").push_bind(*instant);
            query.push(", ").push_bind(from_id(*id)).push(")");
        }
    }
}

fn push_order(query: &mut Statement, order: &KeyOrder, column: &'static str, id: &'static str) {
    let direction = if order.descending { " DESC" } else { " ASC" };
    query.push(" ORDER BY ");
    if order.sort != KeySort::Issued {
        query.push(column).push(direction).push(", ");
    }
    query.push(id).push(direction);
}
