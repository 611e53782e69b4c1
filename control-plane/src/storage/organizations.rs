//! Organizations in the database.

use portcullis_core::id::OrganizationId;
use sqlx::FromRow;

use super::View;
use super::error::StorageError;
use super::rows::{Columns, from_id, from_instant, to_id};
use super::write::Write;
use crate::domain::actor::Action;
use crate::domain::name::Name;
use crate::domain::organization::Organization;

const ORGANIZATIONS: Columns = Columns("organizations");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    created_at: i64,
}

impl TryFrom<Row> for Organization {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            name: ORGANIZATIONS.name(&row.name)?,
            created_at: ORGANIZATIONS.instant(row.created_at)?,
        })
    }
}

impl View<'_> {
    /// The organization with this id.
    pub async fn organization(&mut self, id: OrganizationId) -> Result<Option<Organization>, StorageError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM organizations WHERE id = ?")
            .bind(from_id(id))
            .fetch_optional(&mut *self.0)
            .await?;
        row.map(Organization::try_from).transpose()
    }

    /// The organization that a request names, by id or by name.
    pub async fn organization_named(&mut self, reference: &str) -> Result<Option<Organization>, StorageError> {
        if let Ok(id) = reference.parse() {
            return self.organization(id).await;
        }
        let row: Option<Row> = sqlx::query_as("SELECT * FROM organizations WHERE name = ?")
            .bind(reference)
            .fetch_optional(&mut *self.0)
            .await?;
        row.map(Organization::try_from).transpose()
    }

    /// The organization, if there is exactly one.
    pub async fn only_organization(&mut self) -> Result<Option<Organization>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM organizations LIMIT 2").fetch_all(&mut *self.0).await?;
        let Ok([row]) = <[Row; 1]>::try_from(rows) else {
            return Ok(None);
        };
        Organization::try_from(row).map(Some)
    }

    /// Every organization, oldest first.
    pub async fn organizations(&mut self) -> Result<Vec<Organization>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM organizations ORDER BY id").fetch_all(&mut *self.0).await?;
        rows.into_iter().map(Organization::try_from).collect()
    }
}

impl Write {
    /// Creates an organization, or returns `None` if the name is taken.
    pub async fn create_organization(&mut self, name: &Name) -> Result<Option<Organization>, StorageError> {
        if self.view().organization_named(name.as_str()).await?.is_some() {
            return Ok(None);
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let id = loop {
            let id: OrganizationId = entropy.id(now)?;
            let done = sqlx::query(
                "INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(from_id(id))
            .bind(name.as_str())
            .bind(from_instant(now))
            .execute(self.connection())
            .await?;
            if done.rows_affected() == 1 {
                break id;
            }
        };
        self.audit(Action::OrganizationCreated, &id.to_string()).await?;
        Ok(Some(Organization { id, name: name.clone(), created_at: now }))
    }
}
