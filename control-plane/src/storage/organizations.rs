//! Organizations in the database.

use portcullis_core::id::OrganizationId;
use sqlx::FromRow;

use super::View;
use super::budgets::over_since;
use super::error::{StorageError, exactly_one};
use super::rows::{Columns, from_id, from_instant, to_id, to_json};
use super::sql::sql;
use super::write::Write;
use crate::domain::audit::{Action, Entry};
use crate::domain::budget::{Budget, Spent};
use crate::domain::name::Name;
use crate::domain::organization::Organization;

const ORGANIZATIONS: Columns = Columns("organizations");

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    monthly_budget: Option<String>,
    over_budget_since: Option<i64>,
    created_at: i64,
}

impl TryFrom<Row> for Organization {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: to_id(row.id),
            name: ORGANIZATIONS.name(&row.name)?,
            monthly_budget: ORGANIZATIONS.json_if_any(row.monthly_budget.as_deref())?,
            over_budget_since: ORGANIZATIONS.instant_if_any(row.over_budget_since)?,
            created_at: ORGANIZATIONS.instant(row.created_at)?,
        })
    }
}

impl View<'_> {
    /// The organization with this id, unless it is deleted.
    pub async fn organization(&mut self, id: OrganizationId) -> Result<Option<Organization>, StorageError> {
        let row: Option<Row> = sql("SELECT * FROM organizations WHERE id = $1 AND deleted_at IS NULL")
            .bind(from_id(id))
            .optional(self.session())
            .await?;
        row.map(Organization::try_from).transpose()
    }

    /// The organization that a request names, by id or by name.
    pub async fn organization_named(&mut self, reference: &str) -> Result<Option<Organization>, StorageError> {
        if let Ok(id) = reference.parse() {
            return self.organization(id).await;
        }
        // PostgreSQL takes no NUL in a text.
        if reference.contains('\0') {
            return Ok(None);
        }
        let row: Option<Row> = sql("SELECT * FROM organizations WHERE name = $1 AND deleted_at IS NULL")
            .bind(reference)
            .optional(self.session())
            .await?;
        row.map(Organization::try_from).transpose()
    }

    /// The organization, if there is exactly one.
    pub async fn only_organization(&mut self) -> Result<Option<Organization>, StorageError> {
        let rows: Vec<Row> =
            sql("SELECT * FROM organizations WHERE deleted_at IS NULL LIMIT 2").all(self.session()).await?;
        let Ok([row]) = <[Row; 1]>::try_from(rows) else {
            return Ok(None);
        };
        Organization::try_from(row).map(Some)
    }

    /// Every organization, oldest first.
    pub async fn organizations(&mut self) -> Result<Vec<Organization>, StorageError> {
        let rows: Vec<Row> =
            sql("SELECT * FROM organizations WHERE deleted_at IS NULL ORDER BY id").all(self.session()).await?;
        rows.into_iter().map(Organization::try_from).collect()
    }

    /// What still belongs to this organization, in words; `None` if nothing does that is in use.
    pub async fn belongings(&mut self, id: OrganizationId) -> Result<Option<&'static str>, StorageError> {
        let belongings = [
            ("users", "SELECT id FROM users WHERE organization_id = $1 AND deleted_at IS NULL LIMIT 1"),
            ("APIs", "SELECT id FROM apis WHERE organization_id = $1 LIMIT 1"),
            ("keys", "SELECT id FROM keys WHERE organization_id = $1 AND revoked_at IS NULL LIMIT 1"),
        ];
        for (what, query) in belongings {
            let found: Option<(i64,)> = sql(query).bind(from_id(id)).optional(self.session()).await?;
            if found.is_some() {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }
}

impl Write {
    /// Creates an organization, or returns `None` if the name is taken. A ceiling of zero is reached at once.
    pub async fn create_organization(
        &mut self,
        name: &Name,
        monthly_budget: Option<Budget>,
    ) -> Result<Option<Organization>, StorageError> {
        if self.view().organization_named(name.as_str()).await?.is_some() {
            return Ok(None);
        }
        let (now, entropy) = (self.now, self.entropy.clone());
        let over_budget_since = over_since(monthly_budget, Spent::default(), None, now);
        let id = loop {
            let id: OrganizationId = entropy.id(now)?;
            let rows = sql("INSERT INTO organizations (id, name, monthly_budget, over_budget_since, created_at)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING")
            .bind(from_id(id))
            .bind(name.as_str())
            .bind(monthly_budget.as_ref().map(to_json).transpose()?)
            .bind(over_budget_since.map(from_instant))
            .bind(from_instant(now))
            .execute(self.session())
            .await?;
            if rows == 1 {
                break id;
            }
        };
        let created = Organization { id, name: name.clone(), monthly_budget, over_budget_since, created_at: now };
        if over_budget_since.is_some() {
            self.log_organization(id).await?;
        }
        self.audit(Entry::new(Action::OrganizationCreate, None, Some(&created))).await?;
        Ok(Some(created))
    }

    /// Changes an organization's name and budget from `before` to `after`, and returns it as it is then; `None` if the name
    /// is taken by another. With another budget it may be over it, or no longer, which filters hear of.
    pub async fn change_organization(
        &mut self,
        before: &Organization,
        after: Organization,
    ) -> Result<Option<Organization>, StorageError> {
        if *before == after {
            return Ok(Some(after));
        }
        let taken = self.view().organization_named(after.name.as_str()).await?;
        if taken.is_some_and(|other| other.id != before.id) {
            return Ok(None);
        }
        let since = if before.monthly_budget == after.monthly_budget {
            before.over_budget_since
        } else {
            let now = self.now;
            let spent = self.view().spent_by_organization(after.id, now).await?;
            over_since(after.monthly_budget, spent, before.over_budget_since, now)
        };
        let after = Organization { over_budget_since: since, ..after };
        self.update_organization(&after).await?;
        if before.over_budget_since.is_some() != since.is_some() {
            self.log_organization(after.id).await?;
        }
        self.audit(Entry::new(Action::OrganizationChange, Some(before), Some(&after))).await?;
        Ok(Some(after))
    }

    /// Stores an organization as it is now.
    pub(super) async fn update_organization(&mut self, organization: &Organization) -> Result<(), StorageError> {
        let rows = sql("UPDATE organizations SET name = $1, monthly_budget = $2, over_budget_since = $3 WHERE id = $4")
            .bind(organization.name.as_str())
            .bind(organization.monthly_budget.as_ref().map(to_json).transpose()?)
            .bind(organization.over_budget_since.map(from_instant))
            .bind(from_id(organization.id))
            .execute(self.session())
            .await?;
        exactly_one("changing an organization", rows)
    }

    /// Deletes an organization to which nothing in use belongs. Its row stays, for revoked keys and the audit.
    pub async fn delete_organization(&mut self, organization: &Organization) -> Result<(), StorageError> {
        let now = from_instant(self.now);
        let rows = sql("UPDATE organizations SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL")
            .bind(now)
            .bind(from_id(organization.id))
            .execute(self.session())
            .await?;
        exactly_one("deleting an organization", rows)?;
        if organization.over_budget_since.is_some() {
            // Filters need not remember what has no keys.
            self.log_organization(organization.id).await?;
        }
        self.audit(Entry::new(Action::OrganizationDelete, Some(organization), None)).await
    }
}
