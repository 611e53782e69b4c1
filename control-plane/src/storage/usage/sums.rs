//! Sums of what was used, in memory and in the table.

use std::collections::BTreeMap;

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::outcome::Outcome;
use portcullis_core::wire::Counts;

use super::super::error::StorageError;
use super::super::rows::{from_id, from_instant, to_json};
use super::super::sql::sql;
use super::super::write::Write;
use super::known::amounts;
use crate::domain::cost::Cost;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;

/// Adds rows to those in the table. A sum ends at the largest cost, and any other at the same number, rather than that
/// a number without end would keep its worker from ever being counted again.
macro_rules! upsert {
    ($($sum:literal),+) => {
        concat!(
            " WHERE true ON CONFLICT (grain, period, organization_id, subject_id, start, api_id, outcome) DO UPDATE SET ",
            $(upsert!(@capped $sum, concat!("usage.", $sum, " + excluded.", $sum)), ", ",)+
            upsert!(@capped "cost_micros", "usage.cost_micros + excluded.cost_micros
                + (usage.cost_picos + excluded.cost_picos) / 1000000"),
            ", cost_picos = (usage.cost_picos + excluded.cost_picos) % 1000000"
        )
    };
    (@capped $sum:literal, $value:expr) => {
        concat!($sum, " = CASE WHEN ", $value, " > 1000000000000000000 THEN 1000000000000000000 ELSE ", $value, " END")
    };
}

const ADD: &str = upsert!(
    "requests",
    "request_bytes",
    "response_bytes",
    "prompt_tokens",
    "completion_tokens",
    "estimated",
    "unknown"
);

/// Whose usage a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) key: KeyId,
    pub(super) user: UserId,
    pub(super) organization: OrganizationId,
}

/// The primary key of the table, in the order in which the table is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    grain: &'static str,
    period: &'static str,
    organization: i64,
    subject: i64,
    start: i64,
    api: i64,
    outcome: &'static str,
}

/// What a report adds to the table.
#[derive(Debug)]
pub(super) struct Sums {
    /// The periods to which all of it belongs, with their beginnings.
    periods: Vec<(&'static str, i64)>,
    places: BTreeMap<Place, (Counts, Cost)>,
}

impl Sums {
    /// Nothing yet of this hour. It counts in its day and its month only if it is before `hours_from`.
    pub(super) fn new(hour: Timestamp, hours_from: Timestamp) -> Self {
        let periods = [Period::Hour, Period::Day, Period::Month].into_iter();
        let kept = periods.filter(|period| *period != Period::Hour || hour >= hours_from);
        let periods = kept.map(|period| (period.name(), from_instant(period.floor(hour)))).collect();
        Self { periods, places: BTreeMap::new() }
    }

    /// Adds a row: to the total, and to its key, its user and its organization if it is known whose it is.
    pub(super) fn add(&mut self, whose: Option<Whose>, api: ApiId, outcome: Outcome, counts: Counts, cost: Cost) {
        let (api, outcome) = (from_id(api), outcome.label());
        let of_whom = whose.map(|Whose { key, user, organization }| {
            let organization = from_id(organization);
            [
                ("key", organization, from_id(key)),
                ("user", organization, from_id(user)),
                ("organization", organization, 0),
            ]
        });
        for (grain, organization, subject) in of_whom.into_iter().flatten().chain([("total", 0, 0)]) {
            for &(period, start) in &self.periods {
                let place = Place { grain, period, organization, subject, start, api, outcome };
                let sum = self.places.entry(place).or_default();
                *sum = (sum.0.plus(counts), sum.1.plus(cost));
            }
        }
    }

    /// As a JSON list of lists, in the order of the table's columns.
    fn to_json(&self) -> Result<String, StorageError> {
        let rows = self.places.iter().map(|(place, (counts, cost))| {
            let Place { grain, period, organization, subject, start, api, outcome } = *place;
            let cost = (cost.micros, cost.picos);
            (grain, period, organization, subject, start, api, outcome, amounts(counts), cost)
        });
        to_json(&rows.collect::<Vec<_>>())
    }
}

impl Write {
    /// Adds these sums to those in the table.
    pub(super) async fn add_usage(&mut self, sums: &Sums) -> Result<(), StorageError> {
        if sums.places.is_empty() {
            return Ok(());
        }
        let mut upsert = sql("INSERT INTO usage (grain, period, organization_id, subject_id, start, api_id, outcome,
                 requests, request_bytes, response_bytes, prompt_tokens, completion_tokens, estimated, unknown,
                 cost_micros, cost_picos)
             SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
                 CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT), value ->> 6,
                 CAST(value -> 7 ->> 0 AS BIGINT), CAST(value -> 7 ->> 1 AS BIGINT), CAST(value -> 7 ->> 2 AS BIGINT),
                 CAST(value -> 7 ->> 3 AS BIGINT), CAST(value -> 7 ->> 4 AS BIGINT), CAST(value -> 7 ->> 5 AS BIGINT),
                 CAST(value -> 7 ->> 6 AS BIGINT),
                 CAST(value -> 8 ->> 0 AS BIGINT), CAST(value -> 8 ->> 1 AS BIGINT)
             FROM ");
        upsert.push_list(self.session().dialect(), sums.to_json()?).push(ADD);
        upsert.execute(self.session()).await.map(|_| ())
    }
}
