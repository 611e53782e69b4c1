//! Access tokens of the admin API, and the first of them.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::id::{OrganizationId, TokenId, UserId};
use portcullis_core::key::PlainKey;
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::sql::sql;
use super::users::role;
use super::write::Write;
use crate::domain::actor::Actor;
use crate::domain::audit::{Action, Entry, OwnedToken};
use crate::domain::authority::Sight;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{AccessToken, Role, User};

const ACCESS_TOKENS: Columns = Columns("access_tokens");

/// What setting the bootstrap token changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// There was none before.
    Created,
    /// There was another one, which opens nothing any more.
    Rotated,
    /// It is the one that was there.
    Unchanged,
}

/// What is known of the holder of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// Whose token it is.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The token.
    pub token: TokenId,
    /// Whether it opens anything: it is neither expired nor revoked, and its owner is still there.
    pub live: bool,
}

/// What a token is created with.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: Name,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    user_id: i64,
    name: String,
    digest: Vec<u8>,
    masked: String,
    bootstrap: bool,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    user_name: String,
    organization_id: Option<i64>,
}

/// How long a token is listed after its end: whose program has stopped working should find out why.
const LISTED_AFTER_END: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const COLUMNS: &str = "SELECT t.id, t.user_id, t.name, t.digest, t.masked, t.bootstrap, t.created_at, t.expires_at,
    t.revoked_at, u.name AS user_name, u.organization_id FROM access_tokens t JOIN users u ON u.id = t.user_id";

impl TryFrom<Row> for AccessToken {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            user: to_id(row.user_id),
            user_name: ACCESS_TOKENS.name(&row.user_name)?,
            name: ACCESS_TOKENS.name(&row.name)?,
            digest: ACCESS_TOKENS.digest(&row.digest)?,
            masked: row.masked,
            bootstrap: row.bootstrap,
            created_at: ACCESS_TOKENS.instant(row.created_at)?,
            expires_at: ACCESS_TOKENS.instant_if_any(row.expires_at)?,
            revoked_at: ACCESS_TOKENS.instant_if_any(row.revoked_at)?,
        })
    }
}

#[derive(FromRow)]
struct BearerRow {
    token_id: i64,
    user_id: i64,
    digest: Vec<u8>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    role: String,
    organization_id: Option<i64>,
    deleted_at: Option<i64>,
}

/// The token of a row, and the organization of its owner.
fn owned(row: Row) -> Result<(AccessToken, Option<OrganizationId>), StorageError> {
    let organization = row.organization_id.map(to_id);
    Ok((row.try_into()?, organization))
}

impl View<'_> {
    /// The holder of the token with this digest. The digests are compared once more, in constant time.
    pub async fn bearer(&mut self, digest: Digest, now: Timestamp) -> Result<Option<Bearer>, StorageError> {
        let row: Option<BearerRow> = sql("SELECT t.id AS token_id, t.user_id, t.digest, t.expires_at, t.revoked_at,
                 u.role, u.organization_id, u.deleted_at
             FROM access_tokens t JOIN users u ON u.id = t.user_id WHERE t.digest = $1")
        .bind(digest.as_bytes().as_slice())
        .optional(self.session())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let unexpired = row.expires_at.is_none_or(|end| end > from_instant(now));
        let bearer = Bearer {
            user: to_id(row.user_id),
            role: role(&row.role, row.organization_id)?,
            token: to_id(row.token_id),
            live: unexpired && row.revoked_at.is_none() && row.deleted_at.is_none(),
        };
        Ok((ACCESS_TOKENS.digest(&row.digest)? == digest).then_some(bearer))
    }

    /// Whether anybody has come in, or can: there is an access token that was not revoked, or an operator with a
    /// password.
    pub async fn has_way_in(&mut self) -> Result<bool, StorageError> {
        let way: Option<(i64,)> = sql("SELECT id FROM access_tokens WHERE revoked_at IS NULL
             UNION ALL SELECT id FROM users
             WHERE role = 'operator' AND deleted_at IS NULL AND password_hash IS NOT NULL LIMIT 1")
        .optional(self.session())
        .await?;
        Ok(way.is_some())
    }

    /// The access token with this id, and the organization of its owner.
    pub async fn token(&mut self, id: TokenId) -> Result<Option<(AccessToken, Option<OrganizationId>)>, StorageError> {
        let mut query = sql(COLUMNS);
        query.push(" WHERE t.id = ").push_bind(from_id(id));
        let row: Option<Row> = query.optional(self.session()).await?;
        row.map(owned).transpose()
    }

    /// The access token with this digest, whatever has become of it, and the organization of its owner.
    pub(super) async fn token_of_digest(
        &mut self,
        digest: Digest,
    ) -> Result<Option<(AccessToken, Option<OrganizationId>)>, StorageError> {
        let mut query = sql(COLUMNS);
        query.push(" WHERE t.digest = ").push_bind(digest.as_bytes().as_slice());
        let row: Option<Row> = query.optional(self.session()).await?;
        row.map(owned).transpose()
    }

    /// The tokens that someone sees, newest first: neither revoked nor, a week ago, at their end.
    pub async fn tokens(&mut self, sight: Sight, now: Timestamp) -> Result<Vec<AccessToken>, StorageError> {
        let mut query = sql(COLUMNS);
        query.push(" WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ");
        query.push_bind(from_instant(now.before(LISTED_AFTER_END))).push(")");
        match sight {
            Sight::Everything => {}
            Sight::Organization(organization) => {
                query.push(" AND u.organization_id = ").push_bind(from_id(organization));
            }
            Sight::Own(user) => {
                query.push(" AND t.user_id = ").push_bind(from_id(user));
            }
        }
        query.push(" ORDER BY t.id DESC");
        let rows: Vec<Row> = query.all(self.session()).await?;
        rows.into_iter().map(AccessToken::try_from).collect()
    }
}

impl Write {
    /// Creates a token of `owner` with this secret.
    pub async fn create_token(
        &mut self,
        owner: &User,
        new: NewToken,
        secret: &PlainKey,
    ) -> Result<AccessToken, StorageError> {
        let token = self.new_token(owner, new, secret).await?;
        let owned = OwnedToken(&token, owner.role.organization());
        self.audit(Entry::new(Action::TokenCreate, None, Some(&owned))).await?;
        Ok(token)
    }

    /// Creates the token of a sign-in at `origin`. Whoever signs in acts from here on, by the token that they get.
    pub async fn create_session(
        &mut self,
        owner: &User,
        new: NewToken,
        secret: &PlainKey,
        origin: Option<IpAddr>,
    ) -> Result<AccessToken, StorageError> {
        let token = self.new_token(owner, new, secret).await?;
        self.actor = Some(Actor { user: owner.id, token: token.id, role: owner.role, origin });
        let owned = OwnedToken(&token, owner.role.organization());
        self.audit(Entry::new(Action::SessionCreate, None, Some(&owned))).await?;
        Ok(token)
    }

    async fn new_token(&mut self, owner: &User, new: NewToken, secret: &PlainKey) -> Result<AccessToken, StorageError> {
        let (now, entropy) = (self.now, self.entropy.clone());
        let mut token = AccessToken {
            id: entropy.id(now)?,
            user: owner.id,
            user_name: owner.name.clone(),
            name: new.name,
            digest: secret.digest(),
            masked: secret.masked(),
            bootstrap: false,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        while !self.insert_token(&token).await? {
            token.id = entropy.id(now)?;
        }
        Ok(token)
    }

    /// Whether the token was inserted: not if its id is taken.
    async fn insert_token(&mut self, token: &AccessToken) -> Result<bool, StorageError> {
        let insert =
            sql("INSERT INTO access_tokens (id, user_id, name, digest, masked, bootstrap, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING")
            .bind(from_id(token.id))
            .bind(from_id(token.user))
            .bind(token.name.as_str())
            .bind(token.digest.as_bytes().as_slice())
            .bind(token.masked.as_str())
            .bind(token.bootstrap)
            .bind(from_instant(token.created_at))
            .bind(token.expires_at.map(from_instant));
        Ok(insert.execute(self.session()).await? == 1)
    }

    /// Gives a live token another secret, in place of one that was lost on its way.
    pub async fn replace_token_secret(
        &mut self,
        before: &AccessToken,
        organization: Option<OrganizationId>,
        secret: &PlainKey,
    ) -> Result<AccessToken, StorageError> {
        let after = AccessToken { digest: secret.digest(), masked: secret.masked(), ..before.clone() };
        let rows = sql("UPDATE access_tokens SET digest = $1, masked = $2 WHERE id = $3 AND revoked_at IS NULL")
            .bind(after.digest.as_bytes().as_slice())
            .bind(after.masked.as_str())
            .bind(from_id(after.id))
            .execute(self.session())
            .await?;
        exactly_one("replacing a token's secret", rows)?;
        let (before, after_owned) = (OwnedToken(before, organization), OwnedToken(&after, organization));
        self.audit(Entry::new(Action::TokenCreate, Some(&before), Some(&after_owned))).await?;
        Ok(after)
    }

    /// Revokes a token for good. `action` is why.
    pub async fn revoke_token(
        &mut self,
        token: &AccessToken,
        organization: Option<OrganizationId>,
        action: Action,
    ) -> Result<AccessToken, StorageError> {
        let now = self.now;
        let rows = sql("UPDATE access_tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(from_instant(now))
            .bind(from_id(token.id))
            .execute(self.session())
            .await?;
        exactly_one("revoking a token", rows)?;
        let after = AccessToken { revoked_at: Some(now), ..token.clone() };
        let (before, owned) = (OwnedToken(token, organization), OwnedToken(&after, organization));
        self.audit(Entry::new(action, Some(&before), Some(&owned))).await?;
        Ok(after)
    }

    /// Revokes every token of a user but `kept`. The audit entry of what led to it speaks for them.
    pub(super) async fn revoke_tokens_of(&mut self, user: UserId, kept: Option<TokenId>) -> Result<(), StorageError> {
        let now = from_instant(self.now);
        sql("UPDATE access_tokens SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL AND id <> $3")
            .bind(now)
            .bind(from_id(user))
            .bind(kept.map_or(-1, from_id))
            .execute(self.session())
            .await?;
        Ok(())
    }

    /// Makes the token with this digest the one bootstrap token, and an operator's: of the one who has it, or of
    /// the user `operator`. So it opens everything again, whatever has become of its user since.
    pub async fn set_bootstrap_token(&mut self, digest: Digest) -> Result<Bootstrap, StorageError> {
        let current = self.bootstrap_token().await?;
        let (now, holder) = (self.now, current.as_ref().and_then(|current| current.operator));
        let unchanged = current.as_ref().is_some_and(|current| current.digest == digest);
        if unchanged && holder.is_some() {
            return Ok(Bootstrap::Unchanged);
        }
        let user = match holder {
            Some(holder) => holder,
            None => self.bootstrap_user().await?,
        };
        if let Some(current) = current.as_ref().filter(|_| !unchanged) {
            let rows = sql("UPDATE access_tokens SET revoked_at = $1 WHERE id = $2")
                .bind(from_instant(now))
                .bind(current.id)
                .execute(self.session())
                .await?;
            exactly_one("revoking the bootstrap token", rows)?;
        }
        let token: TokenId = self.entropy.id(now)?;
        // A token that was there before may come back.
        let (restored,): (i64,) = sql("INSERT INTO access_tokens (id, user_id, name, digest, bootstrap, created_at)
             VALUES ($1, $2, 'bootstrap', $3, $4, $5)
             ON CONFLICT (digest) DO UPDATE SET revoked_at = NULL, expires_at = NULL,
                 bootstrap = excluded.bootstrap, user_id = excluded.user_id
             RETURNING id")
        .bind(from_id(token))
        .bind(from_id(user))
        .bind(digest.as_bytes().as_slice())
        .bind(true)
        .bind(from_instant(now))
        .one(self.session())
        .await?;
        let (action, outcome) = match current {
            None => (Action::BootstrapCreate, Bootstrap::Created),
            Some(_) => (Action::BootstrapRotate, Bootstrap::Rotated),
        };
        let token: TokenId = to_id(restored);
        let subject = token.to_string();
        self.audit(Entry { action, subject, organization: None, before: None, after: None }).await?;
        Ok(outcome)
    }

    async fn bootstrap_token(&mut self) -> Result<Option<BootstrapToken>, StorageError> {
        let row: Option<(i64, Vec<u8>, Option<i64>)> = sql("SELECT t.id, t.digest,
                 CASE WHEN u.role = 'operator' AND u.deleted_at IS NULL THEN u.id END
             FROM access_tokens t JOIN users u ON u.id = t.user_id WHERE t.bootstrap AND t.revoked_at IS NULL")
        .optional(self.session())
        .await?;
        let Some((id, digest, operator)) = row else {
            return Ok(None);
        };
        Ok(Some(BootstrapToken { id, digest: ACCESS_TOKENS.digest(&digest)?, operator: operator.map(to_id) }))
    }

    /// The operator called `operator`, who is created if there is none; under another name if somebody else has
    /// that one.
    async fn bootstrap_user(&mut self) -> Result<UserId, StorageError> {
        let (mut name, mut number) = ("operator".to_owned(), 1_u32);
        while let Some((user, _)) = self.view().user_named(&name).await? {
            if user.role == Role::Operator {
                return Ok(user.id);
            }
            number += 1;
            name = format!("operator-{number}");
        }
        let (now, id) = (self.now, self.entropy.id::<portcullis_core::id::User>(self.now)?);
        let rows = sql("INSERT INTO users (id, name, role, created_at) VALUES ($1, $2, 'operator', $3)")
            .bind(from_id(id))
            .bind(name)
            .bind(from_instant(now))
            .execute(self.session())
            .await?;
        exactly_one("creating the first operator", rows)?;
        Ok(id)
    }
}

/// The bootstrap token that is there.
struct BootstrapToken {
    id: i64,
    digest: Digest,
    /// Whose it is, if that is an operator still.
    operator: Option<UserId>,
}
