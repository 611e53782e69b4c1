//! The change log, read for deltas.
//!
//! The log says which keys and APIs a revision touched; what has become of them is read from their tables by the same
//! statement, so that the two cannot contradict each other. What of it a worker is told is decided by
//! [`portcullis_core::push::delta`]. A page takes a few statements, however much it says.
//!
//! Whoever is too far behind, so that a snapshot costs less, is told so.

use portcullis_core::api;
use portcullis_core::digest::Digest;
pub use portcullis_core::push::delta::Delta;
use portcullis_core::push::delta::{Change, Gathering, Room, Subject};
use portcullis_core::wire::{ApiRecord, KeyRecord, Revision};
use sqlx::FromRow;

use super::error::StorageError;
use super::keys::RecordRow;
use super::rows::{Columns, to_id};
use super::sql::{Session, sql};
use super::{Store, View, control};
use crate::domain::gateway::Serves;
use crate::domain::rate_limit::RateLimit;

const CHANGES: Columns = Columns("changes");
/// The most logged changes that a worker may be behind and still be told of them one by one.
const CHANGES_MAX: i64 = 50_000;
/// How many logged changes are read at once: more than a page of usual keys holds.
const BATCH: i64 = 500;
/// Reads the next so many changes of the log after a place in it, each with what has become of its subject: a key's
/// secret, the former secret of a key while it works (which ends with the overlap, or with the key before that), or
/// an API. Sequences grow with revisions, so the pair is a place in the log.
const CHANGES_NOW: &str = "SELECT c.sequence, c.revision, c.key_digest, c.reach_before, c.api_id,
        coalesce(k.id, o.id) AS key_id, coalesce(k.kind, o.kind) AS key_kind,
        coalesce(k.organization_id, o.organization_id) AS key_organization,
        coalesce(k.created_by, o.created_by) AS key_user,
        CASE WHEN k.id IS NOT NULL THEN k.expires_at
             WHEN o.expires_at < f.ends_at THEN o.expires_at ELSE f.ends_at END AS key_expires_at,
        CASE WHEN k.id IS NOT NULL THEN k.apis ELSE o.apis END AS key_apis,
        coalesce(k.rate_limit_enabled, o.rate_limit_enabled) AS key_rate_limit_enabled,
        coalesce(k.over_budget_since, o.over_budget_since) IS NOT NULL AS key_over_budget,
        a.kind AS api_kind, a.organization_id AS api_organization, a.hosts AS api_hosts,
        a.path_prefix AS api_path_prefix, a.forward_credential AS api_forward_credential,
        a.rate_limit AS api_rate_limit, a.price_version AS api_price_version, a.count_tokens AS api_count_tokens,
        c.organization_id, g.over_budget_since IS NOT NULL AND g.deleted_at IS NULL AS organization_over_budget
    FROM (SELECT sequence, revision, key_digest, reach_before, api_id, organization_id FROM changes
          WHERE revision >= $1 AND (revision > $1 OR sequence > $2) AND revision <= $3
          ORDER BY revision, sequence LIMIT $4) c
    LEFT JOIN keys k ON k.digest = c.key_digest AND k.revoked_at IS NULL
    LEFT JOIN former_secrets f ON f.digest = c.key_digest AND f.live
    LEFT JOIN keys o ON o.id = f.key_id
    LEFT JOIN apis a ON a.id = c.api_id
    LEFT JOIN organizations g ON g.id = c.organization_id
    ORDER BY c.revision, c.sequence";

impl Store {
    /// What changed after `from` and up to `head` at least for a gateway that `serves` this.
    pub async fn delta(&self, from: Revision, head: Revision, serves: &Serves) -> Result<Delta, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let position = control::position(transaction.session()).await?;
        // A database that is behind what was heard of it has gone back: a snapshot of it says so to the worker.
        let delta =
            if from < position.pruned || head > position.head.revision || is_far(transaction.session(), from).await? {
                Delta::TooFar
            } else {
                let scope = View(transaction.session()).scope(serves).await?;
                if matches!(serves, Serves::Apis(served) if scope.lacks_any_of(served)) {
                    Delta::TooFar
                } else {
                    gather(transaction.session(), Gathering::new(from, head, scope), from, head).await?
                }
            };
        transaction.commit().await?;
        Ok(delta)
    }
}

/// Whether more is logged after `from` than a worker is told of one by one. Sequences have few gaps, so their
/// distance says how much it is.
async fn is_far(mut session: Session<'_>, from: Revision) -> Result<bool, StorageError> {
    let next: Option<(i64,)> =
        sql("SELECT sequence FROM changes WHERE revision > $1 ORDER BY revision, sequence LIMIT 1")
            .bind(from.cast_signed())
            .optional(session.reborrow())
            .await?;
    let Some((next,)) = next else { return Ok(false) };
    let (last,): (i64,) = sql("SELECT max(sequence) FROM changes").one(session).await?;
    Ok(last.saturating_sub(next) >= CHANGES_MAX)
}

/// Reads the log until the page is full or there is no more.
async fn gather(
    mut session: Session<'_>,
    mut page: Gathering,
    from: Revision,
    head: Revision,
) -> Result<Delta, StorageError> {
    let mut after = (from.cast_signed(), i64::MAX);
    loop {
        let rows: Vec<Row> = sql(CHANGES_NOW)
            .bind(after.0)
            .bind(after.1)
            .bind(head.cast_signed())
            .bind(BATCH)
            .all(session.reborrow())
            .await?;
        let Some(last) = rows.last() else {
            return Ok(page.finish()?);
        };
        after = (last.revision, last.sequence);
        for row in rows {
            if page.add(row.try_into()?)? == Room::Full {
                return Ok(page.finish()?);
            }
        }
    }
}

/// A change, with what has become of its subject.
#[derive(FromRow)]
struct Row {
    sequence: i64,
    revision: i64,
    key_digest: Option<Vec<u8>>,
    reach_before: Option<String>,
    api_id: Option<i64>,
    key_id: Option<i64>,
    key_kind: Option<String>,
    key_organization: Option<i64>,
    key_user: Option<i64>,
    key_expires_at: Option<i64>,
    key_apis: Option<String>,
    key_rate_limit_enabled: Option<bool>,
    key_over_budget: bool,
    api_kind: Option<String>,
    api_organization: Option<i64>,
    api_hosts: Option<String>,
    api_path_prefix: Option<String>,
    api_forward_credential: Option<bool>,
    api_rate_limit: Option<String>,
    api_price_version: Option<i64>,
    api_count_tokens: Option<bool>,
    organization_id: Option<i64>,
    organization_over_budget: bool,
}

impl TryFrom<Row> for Change {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let revision = CHANGES.count(row.revision)?;
        let subject = match (&row.key_digest, row.api_id, row.organization_id) {
            (Some(digest), None, None) => {
                let digest = CHANGES.digest(digest)?;
                let before = CHANGES.json_if_any(row.reach_before.as_deref())?;
                Subject::Key { digest, before, now: row.key(digest)? }
            }
            (None, Some(id), None) => Subject::Api { id: to_id(id), now: row.api(id)? },
            (None, None, Some(id)) => {
                Subject::Organization { id: to_id(id), over_budget: row.organization_over_budget }
            }
            (Some(_) | None, Some(_) | None, Some(_) | None) => {
                return Err(CHANGES.corrupt("a change without one subject"));
            }
        };
        Ok(Self { revision, subject })
    }
}

impl Row {
    fn key(self, digest: Digest) -> Result<Option<KeyRecord>, StorageError> {
        let (Some(id), Some(kind), Some(organization_id), Some(created_by), Some(rate_limit_enabled)) =
            (self.key_id, self.key_kind, self.key_organization, self.key_user, self.key_rate_limit_enabled)
        else {
            return Ok(None);
        };
        let (digest, expires_at, apis) = (digest.as_bytes().to_vec(), self.key_expires_at, self.key_apis);
        let over_budget = self.key_over_budget;
        RecordRow { id, kind, organization_id, digest, created_by, expires_at, apis, rate_limit_enabled, over_budget }
            .try_into()
            .map(Some)
    }

    fn api(&self, id: i64) -> Result<Option<ApiRecord>, StorageError> {
        const APIS: Columns = Columns("apis");
        let (Some(kind), Some(hosts), Some(path_prefix)) = (&self.api_kind, &self.api_hosts, &self.api_path_prefix)
        else {
            return Ok(None);
        };
        let (Some(forward_credential), Some(price_version), Some(count_tokens)) =
            (self.api_forward_credential, self.api_price_version, self.api_count_tokens)
        else {
            return Ok(None);
        };
        let record = ApiRecord {
            id: to_id(id),
            kind: APIS.kind(kind)?,
            organization: self.api_organization.map(to_id),
            hosts: APIS.json(hosts)?,
            path_prefix: path_prefix.clone(),
            forward_credential,
            rate_limit: APIS.json_if_any::<RateLimit>(self.api_rate_limit.as_deref())?.as_ref().map(RateLimit::policy),
            price_version: u32::try_from(price_version).map_err(|_| APIS.corrupt("no number of a price"))?,
            count_tokens,
        };
        api::checked(&record).map_err(|error| APIS.corrupt(error))?;
        Ok(Some(record))
    }
}
