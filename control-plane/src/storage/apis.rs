//! APIs in the database.

use portcullis_core::api::Access;
use portcullis_core::id::ApiId;
use portcullis_core::key::ApiKind;
use portcullis_core::path::Prefix;
use portcullis_core::wire::PRICE_VERSION_FIRST;
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::api::{Api, Price, Route};
use crate::domain::audit::{Action, Entry};
use crate::domain::name::Name;
use crate::domain::rate_limit::RateLimit;

const APIS: Columns = Columns("apis");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    kind: String,
    organization_id: Option<i64>,
    hosts: String,
    path_prefix: String,
    rate_limit: Option<String>,
    price: Option<String>,
    price_version: i64,
    count_tokens: bool,
    forward_credential: bool,
    created_at: i64,
}

impl TryFrom<Row> for Api {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let access = match (APIS.kind(&row.kind)?, row.organization_id) {
            (ApiKind::Serverless, None) => Access::Serverless,
            (ApiKind::Dedicated, Some(owner)) => Access::Dedicated(to_id(owner)),
            (ApiKind::Serverless, Some(_)) | (ApiKind::Dedicated, None) => {
                return Err(APIS.corrupt("an owner that does not go with the kind"));
            }
        };
        let prefix = Prefix::read(&row.path_prefix).map_err(|error| APIS.corrupt(error))?;
        Ok(Self {
            id: to_id(row.id),
            name: APIS.name(&row.name)?,
            access,
            route: Route { hosts: APIS.json(&row.hosts)?, path_prefix: prefix },
            rate_limit: APIS.json_if_any(row.rate_limit.as_deref())?,
            price: APIS.json_if_any(row.price.as_deref())?,
            price_version: u32::try_from(row.price_version).map_err(|_| APIS.corrupt("no number of a price"))?,
            count_tokens: row.count_tokens,
            forward_credential: row.forward_credential,
            created_at: APIS.instant(row.created_at)?,
        })
    }
}

/// What an API is created with.
#[derive(Debug, Clone)]
pub struct NewApi {
    /// Its name.
    pub name: Name,
    /// Whose keys open it.
    pub access: Access,
    /// Where it answers.
    pub route: Route,
    /// Its policy, if any.
    pub rate_limit: Option<RateLimit>,
    /// Its price, if any.
    pub price: Option<Price>,
    /// Whether the tokens of responses are counted.
    pub count_tokens: bool,
    /// Whether its upstream is shown the caller's credential.
    pub forward_credential: bool,
}

/// Why an API cannot be as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiConflict {
    /// Another API has this name.
    #[error("There is an API with this name already.")]
    Name,
    /// This API answers at the same place.
    #[error("The API {other:?} answers at the same hosts and path prefix.", other = .0.as_str())]
    Route(Name),
}

impl View<'_> {
    /// The API with this id.
    pub async fn api(&mut self, id: ApiId) -> Result<Option<Api>, StorageError> {
        let row: Option<Row> =
            sql("SELECT * FROM apis WHERE id = $1").bind(from_id(id)).optional(self.session()).await?;
        row.map(Api::try_from).transpose()
    }

    /// The API that a request names, by id or by name.
    pub async fn api_named(&mut self, reference: &str) -> Result<Option<Api>, StorageError> {
        if let Ok(id) = reference.parse() {
            return self.api(id).await;
        }
        // PostgreSQL takes no NUL in a text.
        if reference.contains('\0') {
            return Ok(None);
        }
        let row: Option<Row> =
            sql("SELECT * FROM apis WHERE name = $1").bind(reference).optional(self.session()).await?;
        row.map(Api::try_from).transpose()
    }

    /// Every API, oldest first.
    pub async fn apis(&mut self) -> Result<Vec<Api>, StorageError> {
        let rows: Vec<Row> = sql("SELECT * FROM apis ORDER BY id").all(self.session()).await?;
        rows.into_iter().map(Api::try_from).collect()
    }

    /// What stands in the way of an API with this name and route. `own` is the API's own id, if it has one.
    async fn api_conflict(
        &mut self,
        own: Option<ApiId>,
        name: &Name,
        route: &Route,
    ) -> Result<Option<ApiConflict>, StorageError> {
        let rows: Vec<Row> = sql("SELECT * FROM apis WHERE name = $1 OR path_prefix = $2")
            .bind(name.as_str())
            .bind(route.path_prefix.as_str())
            .all(self.session())
            .await?;
        for row in rows {
            let other = Api::try_from(row)?;
            if own == Some(other.id) {
                continue;
            }
            if other.name == *name {
                return Ok(Some(ApiConflict::Name));
            }
            if other.route.overlaps(route) {
                return Ok(Some(ApiConflict::Route(other.name)));
            }
        }
        Ok(None)
    }
}

impl Write {
    /// Creates an API, unless another one is in its way.
    pub async fn create_api(&mut self, new: NewApi) -> Result<Result<Api, ApiConflict>, StorageError> {
        let conflict = self.view().api_conflict(None, &new.name, &new.route).await?;
        if let Some(conflict) = conflict {
            return Ok(Err(conflict));
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let mut api = Api {
            id: entropy.id(now)?,
            name: new.name,
            access: new.access,
            route: new.route,
            rate_limit: new.rate_limit,
            price: new.price,
            price_version: PRICE_VERSION_FIRST,
            count_tokens: new.count_tokens,
            forward_credential: new.forward_credential,
            created_at: now,
        };
        while !self.insert_api(&api).await? {
            api.id = entropy.id(now)?;
        }
        self.keep_price(&api).await?;
        self.log_api(api.id).await?;
        self.audit(Entry::new(Action::ApiCreate, None, Some(&api))).await?;
        Ok(Ok(api))
    }

    /// Whether the API was inserted: not if its id is taken.
    async fn insert_api(&mut self, api: &Api) -> Result<bool, StorageError> {
        let owner = match api.access {
            Access::Serverless => None,
            Access::Dedicated(owner) => Some(from_id(owner)),
        };
        let insert = sql("INSERT INTO apis (id, name, kind, organization_id, hosts, path_prefix, rate_limit,
                               price, price_version, count_tokens, forward_credential, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING")
        .bind(from_id(api.id))
        .bind(api.name.as_str())
        .bind(api.access.kind().name())
        .bind(owner)
        .bind(to_json(&api.route.hosts)?)
        .bind(api.route.path_prefix.as_str())
        .bind(api.rate_limit.as_ref().map(to_json).transpose()?)
        .bind(api.price.as_ref().map(to_json).transpose()?)
        .bind(i64::from(api.price_version))
        .bind(api.count_tokens)
        .bind(api.forward_credential)
        .bind(from_instant(api.created_at));
        Ok(insert.execute(self.session()).await? == 1)
    }

    /// Changes an API from `before` to `after`, unless another one is in its way, and returns it as it is stored: another
    /// price has the next number. Filters hear of the change only if it concerns them.
    pub async fn change_api(&mut self, before: &Api, after: Api) -> Result<Result<Api, ApiConflict>, StorageError> {
        let price_version = before.price_version.saturating_add(u32::from(before.price != after.price));
        let after = Api { price_version, ..after };
        if *before == after {
            return Ok(Ok(after));
        }
        let conflict = self.view().api_conflict(Some(after.id), &after.name, &after.route).await?;
        if let Some(conflict) = conflict {
            return Ok(Err(conflict));
        }
        self.update_api(&after).await?;
        if before.price_version != after.price_version {
            self.keep_price(&after).await?;
        }
        if before.record() != after.record() {
            self.log_api(after.id).await?;
        }
        self.audit(Entry::new(Action::ApiChange, Some(before), Some(&after))).await?;
        Ok(Ok(after))
    }

    async fn update_api(&mut self, api: &Api) -> Result<(), StorageError> {
        let rows = sql("UPDATE apis SET name = $1, hosts = $2, path_prefix = $3, rate_limit = $4, price = $5,
                 price_version = $6, count_tokens = $7, forward_credential = $8
             WHERE id = $9")
        .bind(api.name.as_str())
        .bind(to_json(&api.route.hosts)?)
        .bind(api.route.path_prefix.as_str())
        .bind(api.rate_limit.as_ref().map(to_json).transpose()?)
        .bind(api.price.as_ref().map(to_json).transpose()?)
        .bind(i64::from(api.price_version))
        .bind(api.count_tokens)
        .bind(api.forward_credential)
        .bind(from_id(api.id))
        .execute(self.session())
        .await?;
        exactly_one("changing an API", rows)
    }

    /// Deletes an API. Keys that are confined to it go on naming it, and open nothing there. Gateways that serve some
    /// APIs only let go of it, and of the keys that open none of their others.
    pub async fn delete_api(&mut self, api: &Api) -> Result<(), StorageError> {
        let rows = sql("DELETE FROM apis WHERE id = $1").bind(from_id(api.id)).execute(self.session()).await?;
        exactly_one("deleting an API", rows)?;
        self.log_api(api.id).await?;
        self.rescope_gateways_of(api.id).await?;
        self.audit(Entry::new(Action::ApiDelete, Some(api), None)).await
    }
}
