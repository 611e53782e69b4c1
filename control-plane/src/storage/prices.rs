//! The prices that APIs have had.
//!
//! Workers say which of an API's prices held when a request came, and tell of it later. So each price has a number and
//! is kept, also after its API is gone.

use std::collections::HashMap;

use portcullis_core::id::ApiId;
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::api::{Api, Price};

const PRICES: Columns = Columns("api_prices");

/// Prices by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prices {
    numbered: HashMap<u32, Option<Price>>,
    newest: u32,
}

impl Prices {
    /// The price with this number. A database that was restored may not know it: then it is the newest one that it does.
    pub(super) fn numbered(&self, version: u32) -> Option<Price> {
        self.numbered.get(&version).or_else(|| self.numbered.get(&self.newest)).copied().flatten()
    }
}

#[derive(FromRow)]
struct Row {
    api_id: i64,
    version: i64,
    price: Option<String>,
}

impl View<'_> {
    /// Of those of these APIs that there are or were, the prices with one of these numbers, and the newest ones.
    pub(super) async fn prices(
        &mut self,
        apis: &[ApiId],
        versions: &[u32],
    ) -> Result<HashMap<ApiId, Prices>, StorageError> {
        let apis = apis.iter().copied().map(from_id).collect::<Vec<_>>();
        let dialect = self.session().dialect();
        let mut query = sql("SELECT p.api_id, p.version, p.price FROM api_prices p
             WHERE p.api_id IN (SELECT CAST(value AS BIGINT) FROM ");
        query.push_list(dialect, to_json(&apis)?).push(") AND (p.version IN (SELECT CAST(value AS BIGINT) FROM ");
        query
            .push_list(dialect, to_json(&versions)?)
            .push(") OR p.version = (SELECT max(n.version) FROM api_prices n WHERE n.api_id = p.api_id))");
        let rows: Vec<Row> = query.all(self.session()).await?;
        let mut found: HashMap<ApiId, Prices> = HashMap::new();
        for row in rows {
            let version = u32::try_from(row.version).map_err(|_| PRICES.corrupt("no number of a price"))?;
            let prices = found.entry(to_id(row.api_id)).or_default();
            prices.newest = prices.newest.max(version);
            prices.numbered.insert(version, PRICES.json_if_any(row.price.as_deref())?);
        }
        Ok(found)
    }
}

impl Write {
    /// Keeps the price that this API has from now on, by its number.
    pub(super) async fn keep_price(&mut self, api: &Api) -> Result<(), StorageError> {
        let now = from_instant(self.now);
        let rows = sql("INSERT INTO api_prices (api_id, version, set_at, price) VALUES ($1, $2, $3, $4)")
            .bind(from_id(api.id))
            .bind(i64::from(api.price_version))
            .bind(now)
            .bind(api.price.as_ref().map(to_json).transpose()?)
            .execute(self.session())
            .await?;
        exactly_one("keeping a price", rows)
    }
}
