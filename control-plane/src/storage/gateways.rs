//! Gateways in the database.

use portcullis_core::api::Access;
use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, GatewayId};
use portcullis_core::key::PlainKey;
use portcullis_core::wire::Revision;
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::audit::{Action, Entry};
use crate::domain::gateway::{Gateway, Scope, Serves};
use crate::domain::name::Name;

const GATEWAYS: Columns = Columns("gateways");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    digest: Vec<u8>,
    masked: String,
    created_at: i64,
    apis: Option<String>,
    scope_revision: i64,
    max_staleness_ms: Option<i64>,
}

impl TryFrom<Row> for Gateway {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let apis: Option<Vec<ApiId>> = GATEWAYS.json_if_any(row.apis.as_deref())?;
        Ok(Self {
            id: to_id(row.id),
            name: GATEWAYS.name(&row.name)?,
            digest: GATEWAYS.digest(&row.digest)?,
            masked: row.masked,
            created_at: GATEWAYS.instant(row.created_at)?,
            serves: apis.map_or(Serves::Everything, Serves::Apis),
            scope_revision: GATEWAYS.count(row.scope_revision)?,
            max_staleness_ms: row.max_staleness_ms.map(|ms| GATEWAYS.count(ms)).transpose()?,
        })
    }
}

/// What a gateway is created with.
#[derive(Debug, Clone)]
pub struct NewGateway {
    /// Its name.
    pub name: Name,
    /// Which APIs it serves.
    pub serves: Serves,
    /// See [`Gateway::max_staleness_ms`].
    pub max_staleness_ms: Option<u64>,
}

impl View<'_> {
    /// The gateway with this id.
    pub async fn gateway(&mut self, id: GatewayId) -> Result<Option<Gateway>, StorageError> {
        let row: Option<Row> =
            sql("SELECT * FROM gateways WHERE id = $1").bind(from_id(id)).optional(self.session()).await?;
        row.map(Gateway::try_from).transpose()
    }

    /// The gateway whose token has this digest. The digests are compared once more, in constant time.
    pub async fn gateway_of_token(&mut self, digest: Digest) -> Result<Option<Gateway>, StorageError> {
        let row: Option<Row> = sql("SELECT * FROM gateways WHERE digest = $1")
            .bind(digest.as_bytes().as_slice())
            .optional(self.session())
            .await?;
        let found = row.map(Gateway::try_from).transpose()?;
        Ok(found.filter(|gateway| gateway.digest == digest))
    }

    /// Every gateway, oldest first.
    pub async fn gateways(&mut self) -> Result<Vec<Gateway>, StorageError> {
        let rows: Vec<Row> = sql("SELECT * FROM gateways ORDER BY id").all(self.session()).await?;
        rows.into_iter().map(Gateway::try_from).collect()
    }

    async fn gateway_named(&mut self, name: &Name) -> Result<Option<Gateway>, StorageError> {
        let row: Option<Row> =
            sql("SELECT * FROM gateways WHERE name = $1").bind(name.as_str()).optional(self.session()).await?;
        row.map(Gateway::try_from).transpose()
    }

    /// What `serves` comes to: the APIs of it that are there, with whose keys open them.
    pub(super) async fn scope(&mut self, serves: &Serves) -> Result<Scope, StorageError> {
        let Serves::Apis(ids) = serves else {
            return Ok(Scope::Everything);
        };
        let apis = self.apis().await?;
        let served = apis.into_iter().filter(|api| ids.contains(&api.id));
        Ok(Scope::Apis(served.map(|api| (api.id, api.access)).collect::<Vec<(ApiId, Access)>>()))
    }
}

fn stored(serves: &Serves) -> Result<Option<String>, StorageError> {
    match serves {
        Serves::Everything => Ok(None),
        Serves::Apis(apis) => to_json(apis).map(Some),
    }
}

impl Write {
    /// Creates a gateway with `token`, or returns `None` if the name is taken.
    pub async fn create_gateway(&mut self, new: NewGateway, token: &PlainKey) -> Result<Option<Gateway>, StorageError> {
        if self.view().gateway_named(&new.name).await?.is_some() {
            return Ok(None);
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let mut gateway = Gateway {
            id: entropy.id(now)?,
            name: new.name,
            digest: token.digest(),
            masked: token.masked(),
            created_at: now,
            serves: new.serves,
            scope_revision: 0,
            max_staleness_ms: new.max_staleness_ms,
        };
        while !self.insert_gateway(&gateway).await? {
            gateway.id = entropy.id(now)?;
        }
        self.audit(Entry::new(Action::GatewayCreate, None, Some(&gateway))).await?;
        Ok(Some(gateway))
    }

    /// Whether the gateway was inserted: not if its id is taken.
    async fn insert_gateway(&mut self, gateway: &Gateway) -> Result<bool, StorageError> {
        let insert = sql("INSERT INTO gateways (id, name, digest, masked, created_at, apis, max_staleness_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING")
        .bind(from_id(gateway.id))
        .bind(gateway.name.as_str())
        .bind(gateway.digest.as_bytes().as_slice())
        .bind(gateway.masked.as_str())
        .bind(from_instant(gateway.created_at))
        .bind(stored(&gateway.serves)?)
        .bind(gateway.max_staleness_ms.map(u64::cast_signed));
        Ok(insert.execute(self.session()).await? == 1)
    }

    /// Renames a gateway, gives it other APIs or another bound on staleness; `None` if the name is taken by another. Its
    /// workers start over from a snapshot if its APIs changed.
    pub async fn change_gateway(&mut self, before: &Gateway, after: Gateway) -> Result<Option<Gateway>, StorageError> {
        if *before == after {
            return Ok(Some(after));
        }
        let taken = self.view().gateway_named(&after.name).await?;
        if taken.is_some_and(|other| other.id != after.id) {
            return Ok(None);
        }
        let mut after = after;
        if before.serves != after.serves {
            after.scope_revision = self.rescope().await?;
        }
        if before.max_staleness_ms != after.max_staleness_ms {
            // Nothing is logged for it: the bound goes with every answer, and the revision shows who has had one.
            self.rescope().await?;
        }
        self.update_gateway(&after).await?;
        self.audit(Entry::new(Action::GatewayChange, Some(before), Some(&after))).await?;
        Ok(Some(after))
    }

    /// Gives a gateway another token: once this is committed the old one opens nothing.
    pub async fn reissue_gateway(&mut self, before: &Gateway, token: &PlainKey) -> Result<Gateway, StorageError> {
        let after = Gateway { digest: token.digest(), masked: token.masked(), ..before.clone() };
        self.update_gateway(&after).await?;
        self.announce_gateway_change().await?;
        self.audit(Entry::new(Action::GatewayReissue, Some(before), Some(&after))).await?;
        Ok(after)
    }

    async fn update_gateway(&mut self, gateway: &Gateway) -> Result<(), StorageError> {
        let rows = sql("UPDATE gateways SET name = $1, digest = $2, masked = $3, apis = $4, scope_revision = $5,
             max_staleness_ms = $6 WHERE id = $7")
        .bind(gateway.name.as_str())
        .bind(gateway.digest.as_bytes().as_slice())
        .bind(gateway.masked.as_str())
        .bind(stored(&gateway.serves)?)
        .bind(gateway.scope_revision.cast_signed())
        .bind(gateway.max_staleness_ms.map(u64::cast_signed))
        .bind(from_id(gateway.id))
        .execute(self.session())
        .await?;
        exactly_one("changing a gateway", rows)
    }

    /// The revision of this write, from which a gateway's workers are told something else.
    async fn rescope(&mut self) -> Result<Revision, StorageError> {
        self.announce_gateway_change().await?;
        self.count_up().await
    }

    /// Has the gateways that serve this API, which is gone, let go of it and of the keys that came with it.
    pub(super) async fn rescope_gateways_of(&mut self, api: ApiId) -> Result<(), StorageError> {
        for gateway in self.view().gateways().await? {
            let Serves::Apis(apis) = &gateway.serves else {
                continue;
            };
            if !apis.contains(&api) {
                continue;
            }
            let apis = apis.iter().copied().filter(|served| *served != api).collect();
            let scope_revision = self.rescope().await?;
            let after = Gateway { serves: Serves::Apis(apis), scope_revision, ..gateway.clone() };
            self.update_gateway(&after).await?;
            self.audit(Entry::new(Action::GatewayChange, Some(&gateway), Some(&after))).await?;
        }
        Ok(())
    }

    /// Deletes a gateway: once this is committed its token opens nothing, and its open polls end.
    pub async fn delete_gateway(&mut self, gateway: &Gateway) -> Result<(), StorageError> {
        let rows = sql("DELETE FROM gateways WHERE id = $1").bind(from_id(gateway.id)).execute(self.session()).await?;
        exactly_one("deleting a gateway", rows)?;
        self.announce_gateway_change().await?;
        self.audit(Entry::new(Action::GatewayDelete, Some(gateway), None)).await
    }
}
