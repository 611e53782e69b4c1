//! Questions about usage.
//!
//! A question is turned into slots. Each is a place in the table, of which the primary key names whose it is, and the
//! subject that it is shown under; so what a page reads is found by slots and periods alone, and the table is never read
//! as a whole. Where rows are told apart by key, user or organization, the subjects of a page are found by walking their
//! own table in the order of ids, and asking of each whether anything was used in that time. A walk looks at
//! a bounded number of them for one page ([`slots`]): then a page may be short, or empty, and still have a next one.
//!
//! A page is read in one transaction, and says the same in all its parts. Pages are read one after the other, and what
//! is counted between two of them is in the later one only.

use std::collections::HashMap;

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::outcome::Outcome;
use sqlx::FromRow;

use super::error::StorageError;
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::{Dialect, Statement, sql};
use super::{Store, View};
use crate::domain::cost::in_picos;
use crate::domain::period::Piece;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage_query::{Amounts, Asked, Grouping, Range, Tally};

mod names;
pub(super) mod slots;

pub use names::{ApiName, SubjectName};
use slots::{Slot, Source};

const USAGE: Columns = Columns("usage");
/// How many subjects are read by one statement. Those that are told apart by time have many rows each.
const BATCH: usize = 100;
const BATCH_BY_TIME: usize = 10;
/// The most rows of a page after which it takes in another batch.
const ROWS_MAX: usize = 20_000;

/// Whose usage is asked for, as far as the caller may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageScope {
    /// All there is.
    Everything,
    /// That of one organization.
    Organization(OrganizationId),
    /// That of the keys which a user has issued: in one organization, or in all of them.
    User(UserId, Option<OrganizationId>),
    /// That of one key.
    Key {
        /// The key.
        key: KeyId,
        /// Whose it is.
        organization: OrganizationId,
        /// Who issued it.
        user: UserId,
    },
    /// None: what is asked for contradicts itself.
    Nothing,
}

/// A question.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// Whose usage.
    pub scope: UsageScope,
    /// Only that of this API.
    pub api: Option<ApiId>,
    /// Only that of APIs of this kind.
    pub kind: Option<ApiKind>,
    /// When.
    pub asked: Asked,
    /// By what it is told apart.
    pub grouping: Grouping,
    /// The subject after which the page begins, by its number.
    pub after: Option<u64>,
    /// How many subjects the page holds.
    pub limit: u32,
}

/// A page of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePage {
    /// Over which time it is.
    pub range: Range,
    /// The rows, in the order of their subjects, then of time, API and outcome.
    pub rows: Vec<UsageRow>,
    /// Everything that was asked for, on this page and on all others.
    pub total: Tally,
    /// The subject after which the next page begins, if there is one.
    pub next: Option<u64>,
    /// What the subjects of the rows are called, by their numbers.
    pub subjects: HashMap<u64, SubjectName>,
    /// The APIs of the rows that there still are.
    pub apis: HashMap<ApiId, ApiName>,
}

/// What was used in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The number of the key, user or organization; 0 where rows are not told apart by any.
    pub subject: u64,
    /// When the hour or the day began, if rows are told apart by that.
    pub start: Option<Timestamp>,
    /// Where, if rows are told apart by that.
    pub api: Option<ApiId>,
    /// How it ended, if rows are told apart by that.
    pub outcome: Option<Outcome>,
    /// How much it was.
    pub tally: Tally,
}

impl Store {
    /// A page of the answer to `query`.
    pub async fn usage(&self, query: &UsageQuery) -> Result<UsagePage, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let page = View(transaction.session()).usage(query).await?;
        transaction.commit().await?;
        Ok(page)
    }
}

impl View<'_> {
    async fn usage(&mut self, query: &UsageQuery) -> Result<UsagePage, StorageError> {
        let grouping = &query.grouping;
        let range = query.asked.rounded(grouping.bucket, self.usage_hours_from().await?);
        let reading = Reading { pieces: range.pieces(grouping.bucket), api: query.api, kind: query.kind };
        let source = Source::new(query.scope, grouping.subject);
        let (slots, mut next) = self.slots(&source, &reading, query.after, Some(query.limit)).await?;
        let mut rows: Vec<UsageRow> = Vec::new();
        let batch = if grouping.bucket.is_some() { BATCH_BY_TIME } else { BATCH };
        let mut batches = by_subject(&slots).peekable();
        while batches.peek().is_some() {
            let batch = batches.by_ref().take(batch).flatten().copied().collect::<Vec<_>>();
            rows.extend(self.usage_rows(&source, &reading, &batch, grouping).await?);
            if rows.len() > ROWS_MAX
                && let (Some(_), Some(last)) = (batches.peek(), batch.last())
            {
                next = Some(last.subject());
                break;
            }
        }
        let total =
            if grouping.subject.is_none() { sum(&rows) } else { self.usage_total(query.scope, &reading).await? };
        if grouping.dimensions().is_empty() && rows.is_empty() {
            rows.push(UsageRow { subject: 0, start: None, api: None, outcome: None, tally: Tally::default() });
        }
        let subjects = self.subject_names(grouping.subject, &rows).await?;
        let apis = if grouping.api { self.api_names().await? } else { HashMap::new() };
        Ok(UsagePage { range, rows, total, next, subjects, apis })
    }

    /// Everything in `scope`, whosever it is.
    async fn usage_total(&mut self, scope: UsageScope, reading: &Reading) -> Result<Tally, StorageError> {
        let source = Source::of_total(scope);
        let (slots, _) = self.slots(&source, reading, None, None).await?;
        let mut total = Tally::default();
        for batch in slots.chunks(BATCH) {
            let rows = self.usage_rows(&source, reading, batch, &Grouping::default()).await?;
            total.merge(&sum(&rows));
        }
        Ok(total)
    }

    /// The rows of these slots.
    pub(super) async fn usage_rows(
        &mut self,
        source: &Source,
        reading: &Reading,
        slots: &[Slot],
        grouping: &Grouping,
    ) -> Result<Vec<UsageRow>, StorageError> {
        if reading.pieces.is_empty() || slots.is_empty() {
            return Ok(Vec::new());
        }
        let statement = reading.sums(source, slots, grouping, self.session().dialect())?;
        let found: Vec<Row> = statement.all(self.session()).await?;
        fold(found, grouping)
    }
}

/// Slots with the same subject, which stand together, as one.
fn by_subject(slots: &[Slot]) -> impl Iterator<Item = &[Slot]> {
    slots.chunk_by(|one, other| one.subject() == other.subject())
}

fn sum(rows: &[UsageRow]) -> Tally {
    let mut total = Tally::default();
    for row in rows {
        total.merge(&row.tally);
    }
    total
}

/// What of each slot is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) pieces: Vec<Piece>,
    pub(super) api: Option<ApiId>,
    pub(super) kind: Option<ApiKind>,
}

impl Reading {
    /// Goes on with the condition that a row `u` is one of a piece, of a slot `s`.
    fn push_condition(&self, query: &mut Statement, source: &Source, piece: &Piece) {
        query.push(" WHERE u.grain = ").push_bind(source.grain());
        query.push(" AND u.period = ").push_bind(piece.period.name());
        query.push(" AND u.organization_id = s.organization AND u.subject_id = s.subject AND u.start >= ");
        query.push_bind(from_instant(piece.from)).push(" AND u.start < ").push_bind(from_instant(piece.to));
        if let Some(api) = self.api {
            query.push(" AND u.api_id = ").push_bind(from_id(api));
        }
        if let Some(kind) = self.kind {
            query.push(" AND u.api_id IN (SELECT id FROM apis WHERE kind = ").push_bind(kind.name()).push(")");
        }
    }

    /// Goes on with an expression that is null if nothing of slot `s` was used. It is one look-up for each piece, made
    /// until one finds something; PostgreSQL would make of EXISTS a list of the whole table.
    fn push_probe(&self, query: &mut Statement, source: &Source) {
        query.push("coalesce(NULL");
        for piece in &self.pieces {
            query.push(", (SELECT 1 FROM usage u");
            self.push_condition(query, source, piece);
            query.push(" LIMIT 1)");
        }
        query.push(")");
    }

    /// Selects the sums of these slots, by outcome and by what is asked for.
    pub(super) fn sums(
        &self,
        source: &Source,
        slots: &[Slot],
        grouping: &Grouping,
        dialect: Dialect,
    ) -> Result<Statement, StorageError> {
        let (bucket, api) = (
            if grouping.bucket.is_some() { "u.start AS start" } else { "CAST(0 AS bigint) AS start" },
            if grouping.api { "u.api_id AS api" } else { "CAST(0 AS bigint) AS api" },
        );
        let slots = to_json(&slots)?;
        let mut query = sql("SELECT shown, start, api, outcome, CAST(sum(requests) AS bigint) AS requests,
             CAST(sum(request_bytes) AS bigint) AS request_bytes, CAST(sum(response_bytes) AS bigint) AS response_bytes,
             CAST(sum(prompt_tokens) AS bigint) AS prompt_tokens,
             CAST(sum(completion_tokens) AS bigint) AS completion_tokens, CAST(sum(estimated) AS bigint) AS estimated,
             CAST(sum(unknown) AS bigint) AS unknown, CAST(sum(cost_micros) AS bigint) AS cost_micros,
             CAST(sum(cost_picos) AS bigint) AS cost_picos FROM (");
        for (index, piece) in self.pieces.iter().enumerate() {
            query.push(if index == 0 { "SELECT s.shown, " } else { " UNION ALL SELECT s.shown, " });
            query.push(bucket).push(", ").push(api).push(
                ", u.outcome, u.requests, u.request_bytes, u.response_bytes, u.prompt_tokens, u.completion_tokens,
                 u.estimated, u.unknown, u.cost_micros, u.cost_picos FROM ",
            );
            slots::push_slots(&mut query, &slots, dialect);
            // The rows of one slot after the other. In SQLite that is what a CROSS JOIN means; PostgreSQL looks through
            // joins, and would rather read a whole period than believe that there are few slots.
            match dialect {
                Dialect::Sqlite => {
                    query.push(" AS s CROSS JOIN usage u");
                    self.push_condition(&mut query, source, piece);
                }
                Dialect::Postgres => {
                    query.push(" AS s CROSS JOIN LATERAL (SELECT * FROM usage u");
                    self.push_condition(&mut query, source, piece);
                    query.push(" OFFSET 0) AS u");
                }
            }
        }
        query.push(") AS used GROUP BY shown, start, api, outcome ORDER BY shown, start, api, outcome");
        Ok(query)
    }
}

#[derive(FromRow)]
struct Row {
    shown: i64,
    start: i64,
    api: i64,
    outcome: String,
    requests: i64,
    request_bytes: i64,
    response_bytes: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    estimated: i64,
    unknown: i64,
    cost_micros: i64,
    cost_picos: i64,
}

impl Row {
    fn amounts(&self) -> Result<Amounts, StorageError> {
        Ok(Amounts {
            request_bytes: USAGE.count(self.request_bytes)?,
            response_bytes: USAGE.count(self.response_bytes)?,
            prompt_tokens: USAGE.count(self.prompt_tokens)?,
            completion_tokens: USAGE.count(self.completion_tokens)?,
            estimated: USAGE.count(self.estimated)?,
            unknown: USAGE.count(self.unknown)?,
            cost_picos: in_picos(USAGE.count(self.cost_micros)?, USAGE.count(self.cost_picos)?),
        })
    }
}

/// One row for each subject, time, API and, if asked for, outcome.
fn fold(found: Vec<Row>, grouping: &Grouping) -> Result<Vec<UsageRow>, StorageError> {
    let mut rows: Vec<UsageRow> = Vec::new();
    for row in found {
        let (amounts, requests) = (row.amounts()?, USAGE.count(row.requests)?);
        let outcome = Outcome::try_from(row.outcome).map_err(|error| USAGE.corrupt(error))?;
        let new = UsageRow {
            subject: row.shown.cast_unsigned(),
            start: grouping.bucket.map(|_| USAGE.instant(row.start)).transpose()?,
            api: grouping.api.then(|| to_id(row.api)),
            outcome: grouping.outcome.then_some(outcome),
            tally: Tally::default(),
        };
        if rows.last().is_none_or(|last| last.place() != new.place()) {
            rows.push(new);
        }
        if let Some(last) = rows.last_mut() {
            last.tally.add(outcome, requests, &amounts);
        }
    }
    // The order of outcomes is not that of their names.
    rows.sort_by_key(UsageRow::place);
    Ok(rows)
}

impl UsageRow {
    /// Where it stands among the others.
    fn place(&self) -> (i64, Option<Timestamp>, Option<i64>, Option<usize>) {
        let outcome = self.outcome.and_then(|own| Outcome::ALL.iter().position(|outcome| *outcome == own));
        (self.subject.cast_signed(), self.start, self.api.map(from_id), outcome)
    }
}
