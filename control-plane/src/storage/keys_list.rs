//! Lists of keys: filtered, sorted, in pages that stay right while keys come and go.
//!
//! A page begins after a place, which is the sorted value and the id of the last key before it; so it neither
//! repeats nor skips a key that has stayed what it was. Every order has an index that yields it.
//!
//! A search for three characters or more asks an index of such triples. A shorter one walks the list, at most
//! [`WALK_MAX`] keys for one page: then a page may be short, or empty, and still have a next one.

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

/// The most keys that one page of a search for one or two characters looks at.
const WALK_MAX: i64 = 20_000;
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

/// How a search finds its keys.
enum Search<'a> {
    None,
    /// By the index of triples.
    Indexed(&'a str),
    /// By looking at one key after the other.
    Walk(&'a str),
}

impl KeyFilter {
    fn search(&self) -> Search<'_> {
        match self.search.as_deref() {
            None => Search::None,
            Some(text) if text.chars().nth(INDEXED_CHARACTERS_MIN - 1).is_some() => Search::Indexed(text),
            Some(text) => Search::Walk(text),
        }
    }
}

impl View<'_> {
    /// A page of the keys that pass `filter`, with their status as it is at `now`.
    pub async fn keys(
        &mut self,
        filter: &KeyFilter,
        order: &KeyOrder,
        now: Timestamp,
    ) -> Result<KeyPage, StorageError> {
        // One more than asked tells whether there is a next page.
        let more = i64::from(order.limit) + 1;
        let dialect = self.session().dialect();
        let mut query = match filter.search() {
            Search::None | Search::Indexed(_) => select(filter, order, now, dialect),
            Search::Walk(text) => walk(select(filter, order, now, dialect), text, order, dialect),
        };
        query.push(" LIMIT ").push_bind(more);
        let rows: Vec<Row> = query.all(self.session()).await?;
        let limit = usize::try_from(order.limit).unwrap_or(usize::MAX);
        let next = if rows.len() > limit {
            rows.get(limit.saturating_sub(1)).map(|last| order.sort.place(last))
        } else if matches!(filter.search(), Search::Walk(_)) {
            self.end_of_walk(filter, order, now).await?
        } else {
            None
        };
        let keys = rows.into_iter().take(limit).map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(KeyPage { keys, next })
    }

    /// The place up to which a walk has looked, if that is not the end of the list.
    async fn end_of_walk(
        &mut self,
        filter: &KeyFilter,
        order: &KeyOrder,
        now: Timestamp,
    ) -> Result<Option<KeyPlace>, StorageError> {
        let mut query = select(filter, order, now, self.session().dialect());
        query.push(" LIMIT 1 OFFSET ").push_bind(WALK_MAX - 1);
        let last: Option<Row> = query.optional(self.session()).await?;
        Ok(last.map(|row| order.sort.place(&row)))
    }
}

/// Selects what passes `filter`, in `order`. A short search is left to [`walk`].
fn select(filter: &KeyFilter, order: &KeyOrder, now: Timestamp, dialect: Dialect) -> Statement {
    let mut query = sql("SELECT ");
    query.push(COLUMNS);
    match (filter.search(), dialect) {
        (Search::Indexed(text), Dialect::Sqlite) => {
            // Between double quotes nothing has a meaning but they themselves.
            let phrase = format!("\"{}\"", text.to_lowercase().replace('"', "\"\""));
            query.push(" FROM keys_search s CROSS JOIN keys k ON k.id = s.rowid").push(JOINS);
            query.push(" WHERE s.search_text MATCH ").push_bind(phrase);
        }
        (Search::Indexed(text), Dialect::Postgres) => {
            let literal = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            query.push(" FROM keys k").push(JOINS).push(" WHERE k.search_text LIKE ");
            query.push_bind(format!("%{literal}%"));
        }
        (Search::None | Search::Walk(_), _) => {
            query.push(" FROM keys k").push(JOINS).push(" WHERE 1 = 1");
        }
    }
    push_filter(&mut query, filter, now);
    push_place(&mut query, order);
    push_order(&mut query, order);
    query
}

/// Looks for `text` in the first keys of what is selected.
fn walk(mut selected: Statement, text: &str, order: &KeyOrder, dialect: Dialect) -> Statement {
    selected.wrap("SELECT * FROM (", " LIMIT ");
    selected.push_bind(WALK_MAX);
    // Not LIKE: nothing in what people search for has a special meaning.
    selected.push(match dialect {
        Dialect::Sqlite => ") AS k WHERE instr(k.search_text, ",
        Dialect::Postgres => ") AS k WHERE strpos(k.search_text, ",
    });
    selected.push_bind(text.to_lowercase()).push(") > 0");
    push_order(&mut selected, order);
    selected
}

fn push_filter(query: &mut Statement, filter: &KeyFilter, now: Timestamp) {
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
        query.push(" AND k.kind = ").push_bind(kind.name());
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
    let Some(after) = &order.after else {
        return;
    };
    let beyond = if order.descending { " < " } else { " > " };
    match after {
        KeyPlace::Issued(id) => {
            query.push(" AND k.id").push(beyond).push_bind(from_id(*id));
        }
        KeyPlace::Name(name, id) => {
            query.push(" AND (k.search_text, k.id)").push(beyond).push("(").push_bind(name.as_str());
            query.push(", ").push_bind(from_id(*id)).push(")");
        }
        KeyPlace::Instant(instant, id) => {
            query.push(" AND (").push(order.sort.column()).push(", k.id)").push(beyond).push("(");
            query.push_bind(*instant).push(", ").push_bind(from_id(*id)).push(")");
        }
    }
}

fn push_order(query: &mut Statement, order: &KeyOrder) {
    let direction = if order.descending { " DESC" } else { " ASC" };
    query.push(" ORDER BY ");
    if order.sort != KeySort::Issued {
        query.push(order.sort.column()).push(direction).push(", ");
    }
    query.push("k.id").push(direction);
}
