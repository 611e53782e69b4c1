//! What the rows of a report name, and whether they can be counted.

use std::collections::{BTreeSet, HashMap};

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::wire::{AMOUNT_MAX, Counts, ReportRow};
use sqlx::FromRow;

use super::super::View;
use super::super::error::StorageError;
use super::super::prices::Prices;
use super::super::rows::{Columns, from_id, to_id, to_json};
use super::super::sql::sql;
use crate::domain::api::Price;
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::timestamp::Timestamp;

/// The keys and APIs of a report, deleted ones included.
#[derive(Debug)]
pub(super) struct Known {
    keys: HashMap<KeyId, KnownKey>,
    /// The APIs that there are.
    apis: HashMap<ApiId, KnownApi>,
    /// Of every API that there is or was.
    prices: HashMap<ApiId, Prices>,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownKey {
    kind: ApiKind,
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
}

/// Whose keys open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownApi {
    kind: ApiKind,
    owner: Option<OrganizationId>,
}

impl KnownApi {
    fn is_opened_by(self, key: KnownKey) -> bool {
        self.kind == key.kind && self.owner.is_none_or(|owner| owner == key.organization)
    }
}

/// Why a row is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the hour has not begun by the control plane's clock")]
    Early,
    #[error("there is nothing to count")]
    Nothing,
    #[error("an amount is larger than {AMOUNT_MAX}")]
    Amount,
    #[error("what was refused has used no tokens")]
    RefusedUse,
    #[error("there is no such API")]
    Api,
    #[error("this gateway does not serve this API")]
    NotServed,
    #[error("there is no such key")]
    Key,
    #[error("a key of this kind and organization does not open this API, so it made no call there")]
    NotOpened,
}

impl Known {
    /// Whose key a row is about, if it is told, and the price that counts; or why the row cannot be counted.
    pub(super) fn check(&self, gateway: &Gateway, row: &ReportRow) -> Result<(Option<KnownKey>, Option<Price>), Unfit> {
        let amounts = amounts(&row.counts);
        if amounts.iter().all(|amount| *amount == 0) {
            return Err(Unfit::Nothing);
        }
        if amounts.iter().any(|amount| *amount > AMOUNT_MAX) {
            return Err(Unfit::Amount);
        }
        let is_used = row.counts.prompt_tokens > 0 || row.counts.completion_tokens > 0;
        if is_used && !row.outcome.is_call() {
            return Err(Unfit::RefusedUse);
        }
        let prices = self.prices.get(&row.api).ok_or(Unfit::Api)?;
        let api = self.apis.get(&row.api);
        if !serves(gateway, row.api) {
            return Err(Unfit::NotServed);
        }
        let key = row.key.map(|key| self.keys.get(&key).copied().ok_or(Unfit::Key)).transpose()?;
        let is_impossible = row.outcome.is_call() && api.zip(key).is_some_and(|(api, key)| !api.is_opened_by(key));
        if is_impossible {
            return Err(Unfit::NotOpened);
        }
        Ok((key, prices.numbered(row.price_version)))
    }
}

fn serves(gateway: &Gateway, api: ApiId) -> bool {
    match &gateway.serves {
        Serves::Everything => true,
        Serves::Apis(apis) => apis.contains(&api),
    }
}

/// Every number of a row, in the order in which the table has them.
pub(super) const fn amounts(counts: &Counts) -> [u64; 7] {
    let Counts { requests, request_bytes, response_bytes, prompt_tokens, completion_tokens, estimated, unknown } =
        *counts;
    [requests, request_bytes, response_bytes, prompt_tokens, completion_tokens, estimated, unknown]
}

#[derive(FromRow)]
struct KeyRow {
    id: i64,
    kind: String,
    organization_id: i64,
    created_by: i64,
}

#[derive(FromRow)]
struct ApiRow {
    id: i64,
    kind: String,
    organization_id: Option<i64>,
}

impl View<'_> {
    /// What these rows name.
    pub(super) async fn known(&mut self, rows: &[ReportRow]) -> Result<Known, StorageError> {
        let keys = rows.iter().filter_map(|row| row.key).collect::<BTreeSet<_>>();
        let apis = rows.iter().map(|row| row.api).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let versions = rows.iter().map(|row| row.price_version).collect::<BTreeSet<_>>();
        let prices = self.prices(&apis, &versions.into_iter().collect::<Vec<_>>()).await?;
        Ok(Known { keys: self.known_keys(&keys).await?, apis: self.known_apis(&apis).await?, prices })
    }

    async fn known_keys(&mut self, ids: &BTreeSet<KeyId>) -> Result<HashMap<KeyId, KnownKey>, StorageError> {
        const KEYS: Columns = Columns("keys");
        let ids = ids.iter().copied().map(from_id).collect::<Vec<_>>();
        let mut query = sql("SELECT id, kind, organization_id, created_by FROM keys
             WHERE id IN (SELECT CAST(value AS BIGINT) FROM ");
        query.push_list(self.session().dialect(), to_json(&ids)?).push(")");
        let rows: Vec<KeyRow> = query.all(self.session()).await?;
        let known = rows.into_iter().map(|row| {
            let (organization, user) = (to_id(row.organization_id), to_id(row.created_by));
            Ok((to_id(row.id), KnownKey { kind: KEYS.kind(&row.kind)?, organization, user }))
        });
        known.collect()
    }

    async fn known_apis(&mut self, ids: &[ApiId]) -> Result<HashMap<ApiId, KnownApi>, StorageError> {
        const APIS: Columns = Columns("apis");
        let ids = ids.iter().copied().map(from_id).collect::<Vec<_>>();
        let mut query = sql("SELECT id, kind, organization_id FROM apis
             WHERE id IN (SELECT CAST(value AS BIGINT) FROM ");
        query.push_list(self.session().dialect(), to_json(&ids)?).push(")");
        let rows: Vec<ApiRow> = query.all(self.session()).await?;
        let known = rows.into_iter().map(|row| {
            Ok((to_id(row.id), KnownApi { kind: APIS.kind(&row.kind)?, owner: row.organization_id.map(to_id) }))
        });
        known.collect()
    }

    /// From when on hours are kept.
    pub(in crate::storage) async fn usage_hours_from(&mut self) -> Result<Timestamp, StorageError> {
        let (from,): (i64,) = sql("SELECT usage_hours_from FROM control").one(self.session()).await?;
        Columns("control").instant(from)
    }
}
