//! What was used, put into the table as counting would have put it there.

use std::collections::BTreeMap;

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::outcome::Outcome;

use super::super::rows::{from_id, from_instant};
use super::super::sql::sql;
use super::super::*;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;

/// What was used with one key at one API in one hour.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    pub(crate) key: KeyId,
    pub(crate) user: UserId,
    pub(crate) organization: OrganizationId,
    pub(crate) api: ApiId,
    pub(crate) outcome: Outcome,
    pub(crate) at: Timestamp,
    /// Requests, bytes of both, tokens of both, estimated and unknown.
    pub(crate) counts: [u64; 7],
    /// Millionths of a millionth of the currency.
    pub(crate) cost_picos: u64,
}

impl Used {
    /// One request with this key, of which nothing else is known.
    pub(crate) fn once(key: &crate::domain::key::Key, api: ApiId, outcome: Outcome, at: Timestamp) -> Self {
        let (user, organization) = (key.created_by, key.organization);
        Self { key: key.id, user, organization, api, outcome, at, counts: [1, 0, 0, 0, 0, 0, 0], cost_picos: 0 }
    }
}

/// Grain, period, organization, subject, start, API and outcome.
type Place = (&'static str, &'static str, i64, i64, i64, i64, &'static str);

impl Store {
    /// Says of these keys that they were last used then.
    pub(crate) async fn set_last_use(&self, keys: &[String], at: Timestamp) {
        let mut open = self.0.database.begin().await.unwrap();
        for key in keys {
            let key: KeyId = key.parse().unwrap();
            let update = sql("UPDATE keys SET last_used_at = $1 WHERE id = $2");
            update.bind(from_instant(at)).bind(from_id(key)).execute(open.session()).await.unwrap();
        }
        open.commit().await.unwrap();
    }

    /// Puts it into an empty table.
    pub(crate) async fn fill_usage(&self, used: &[Used]) {
        let mut sums: BTreeMap<Place, ([u64; 7], u64)> = BTreeMap::new();
        for one in used {
            let (organization, api) = (from_id(one.organization), from_id(one.api));
            let grains = [
                ("key", organization, from_id(one.key)),
                ("user", organization, from_id(one.user)),
                ("organization", organization, 0),
                ("total", 0, 0),
            ];
            for (grain, organization, subject) in grains {
                for period in [Period::Hour, Period::Day, Period::Month] {
                    let start = from_instant(period.floor(one.at));
                    let place = (grain, period.name(), organization, subject, start, api, one.outcome.label());
                    let (counts, cost) = sums.entry(place).or_default();
                    counts.iter_mut().zip(one.counts).for_each(|(sum, more)| *sum += more);
                    *cost += one.cost_picos;
                }
            }
        }
        let mut open = self.0.database.begin().await.unwrap();
        for ((grain, period, organization, subject, start, api, outcome), (counts, cost)) in sums {
            let mut insert =
                sql("INSERT INTO usage VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                                                            $15, $16)");
            insert = insert.bind(grain).bind(period).bind(organization).bind(subject).bind(start).bind(api);
            insert = insert.bind(outcome);
            for amount in counts.into_iter().chain([cost / 1_000_000, cost % 1_000_000]) {
                insert = insert.bind(amount.cast_signed());
            }
            insert.execute(open.session()).await.unwrap();
        }
        open.commit().await.unwrap();
    }
}
