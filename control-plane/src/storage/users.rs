//! Users in the database.

use portcullis_core::id::{OrganizationId, UserId};
use sqlx::FromRow;

use super::View;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id};
use super::sql::sql;
use super::write::Write;
use crate::domain::audit::{Action, Entry};
use crate::domain::name::Name;
use crate::domain::password::PasswordHash;
use crate::domain::user::{Role, RoleName, User};

const USERS: Columns = Columns("users");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    role: String,
    organization_id: Option<i64>,
    password_hash: Option<String>,
    created_at: i64,
    deleted_at: Option<i64>,
}

impl TryFrom<Row> for User {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            name: USERS.name(&row.name)?,
            role: role(&row.role, row.organization_id)?,
            has_password: row.password_hash.is_some(),
            created_at: USERS.instant(row.created_at)?,
            deleted_at: USERS.instant_if_any(row.deleted_at)?,
        })
    }
}

/// The role that two columns say.
pub(super) fn role(name: &str, organization: Option<i64>) -> Result<Role, StorageError> {
    let name = RoleName::ALL.into_iter().find(|role| role.name() == name);
    let role = name.and_then(|name| Role::new(name, organization.map(to_id)));
    role.ok_or_else(|| USERS.corrupt("an unknown role, or one that does not go with the organization"))
}

/// What a user is created with.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name by which they sign in.
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// What is stored of their password, if they have one.
    pub password_hash: Option<PasswordHash>,
}

impl View<'_> {
    /// The user with this id, unless deleted.
    pub async fn user(&mut self, id: UserId) -> Result<Option<User>, StorageError> {
        let row: Option<Row> = sql("SELECT * FROM users WHERE id = $1 AND deleted_at IS NULL")
            .bind(from_id(id))
            .optional(self.session())
            .await?;
        row.map(User::try_from).transpose()
    }

    /// The user with this id, deleted ones included.
    pub async fn user_ever(&mut self, id: UserId) -> Result<Option<User>, StorageError> {
        let row: Option<Row> =
            sql("SELECT * FROM users WHERE id = $1").bind(from_id(id)).optional(self.session()).await?;
        row.map(User::try_from).transpose()
    }

    /// The user with this name, unless deleted, and what is stored of their password.
    pub async fn user_named(&mut self, name: &str) -> Result<Option<(User, Option<PasswordHash>)>, StorageError> {
        let row: Option<Row> = sql("SELECT * FROM users WHERE name = $1 AND deleted_at IS NULL")
            .bind(name)
            .optional(self.session())
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let hash = row.password_hash.as_deref().map(PasswordHash::parse).transpose();
        let hash = hash.map_err(|error| USERS.corrupt(error))?;
        Ok(Some((row.try_into()?, hash)))
    }

    /// The users of an organization, or all of them, oldest first.
    pub async fn users(&mut self, organization: Option<OrganizationId>) -> Result<Vec<User>, StorageError> {
        let mut query = sql("SELECT * FROM users WHERE deleted_at IS NULL");
        if let Some(organization) = organization {
            query.push(" AND organization_id = ").push_bind(from_id(organization));
        }
        query.push(" ORDER BY id");
        let rows: Vec<Row> = query.all(self.session()).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Whether there is another operator: without one, nobody could put things right.
    pub async fn has_other_operator(&mut self, than: UserId) -> Result<bool, StorageError> {
        let other: Option<(i64,)> =
            sql("SELECT id FROM users WHERE role = 'operator' AND deleted_at IS NULL AND id <> $1 LIMIT 1")
                .bind(from_id(than))
                .optional(self.session())
                .await?;
        Ok(other.is_some())
    }
}

impl Write {
    /// Creates a user, or returns `None` if the name is taken.
    pub async fn create_user(&mut self, new: NewUser) -> Result<Option<User>, StorageError> {
        if self.view().user_named(new.name.as_str()).await?.is_some() {
            return Ok(None);
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let id = loop {
            let id: UserId = entropy.id(now)?;
            let insert = sql("INSERT INTO users (id, name, role, organization_id, password_hash, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING")
            .bind(from_id(id))
            .bind(new.name.as_str())
            .bind(new.role.name().name())
            .bind(new.role.organization().map(from_id))
            .bind(new.password_hash.as_ref().map(PasswordHash::to_phc))
            .bind(from_instant(now));
            if insert.execute(self.session()).await? == 1 {
                break id;
            }
        };
        let has_password = new.password_hash.is_some();
        let created = User { id, name: new.name, role: new.role, has_password, created_at: now, deleted_at: None };
        self.audit(Entry::new(Action::UserCreate, None, Some(&created))).await?;
        Ok(Some(created))
    }

    /// Changes a user's name, role or password; `None` if the name is taken by another. A new password ends every
    /// token of theirs but the one that changes it: whoever knew the old one is out.
    pub async fn change_user(
        &mut self,
        before: &User,
        after: User,
        password_hash: Option<PasswordHash>,
    ) -> Result<Option<User>, StorageError> {
        let taken = self.view().user_named(after.name.as_str()).await?;
        if taken.is_some_and(|(other, _)| other.id != after.id) {
            return Ok(None);
        }
        let new_password = password_hash.is_some();
        let after = User { has_password: before.has_password || new_password, ..after };
        if *before == after && !new_password {
            return Ok(Some(after));
        }
        let rows = sql("UPDATE users SET name = $1, role = $2, organization_id = $3,
                 password_hash = coalesce($4, password_hash) WHERE id = $5")
        .bind(after.name.as_str())
        .bind(after.role.name().name())
        .bind(after.role.organization().map(from_id))
        .bind(password_hash.map(|hash| hash.to_phc()))
        .bind(from_id(after.id))
        .execute(self.session())
        .await?;
        exactly_one("changing a user", rows)?;
        if new_password {
            let kept = self.actor.map(|actor| actor.token);
            self.revoke_tokens_of(after.id, kept).await?;
        }
        self.audit(Entry::new(Action::UserChange, Some(before), Some(&after))).await?;
        Ok(Some(after))
    }

    /// Deletes a user, and revokes every token of theirs. The row stays: keys and audit name it.
    pub async fn delete_user(&mut self, user: &User) -> Result<(), StorageError> {
        let now = from_instant(self.now);
        let rows = sql("UPDATE users SET deleted_at = $1, password_hash = NULL WHERE id = $2 AND deleted_at IS NULL")
            .bind(now)
            .bind(from_id(user.id))
            .execute(self.session())
            .await?;
        exactly_one("deleting a user", rows)?;
        self.revoke_tokens_of(user.id, None).await?;
        self.audit(Entry::new(Action::UserDelete, Some(user), None)).await
    }
}
