//! What the keys, users, organizations and APIs of an answer are called.

use std::collections::HashMap;

use portcullis_core::id::{ApiId, OrganizationId};
use sqlx::FromRow;

use super::super::View;
use super::super::error::StorageError;
use super::super::rows::{to_id, to_json};
use super::super::sql::sql;
use super::UsageRow;
use crate::domain::usage_query::Subject;

/// Selects the names of what has no secret.
const UNMASKED: &str = "SELECT n.id, n.name, CAST(NULL AS text) AS masked FROM ";

/// What a key, a user or an organization is called.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SubjectName {
    id: i64,
    /// Its name.
    pub name: String,
    /// The masked secret of a key.
    pub masked: Option<String>,
}

/// What an API is called, and who may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiName {
    /// Its name.
    pub name: String,
    /// Whose it is; `None` for a serverless one.
    pub owner: Option<OrganizationId>,
}

impl View<'_> {
    /// What the subjects of `rows` are called, by their numbers.
    pub(super) async fn subject_names(
        &mut self,
        subject: Option<Subject>,
        rows: &[UsageRow],
    ) -> Result<HashMap<u64, SubjectName>, StorageError> {
        let mut ids = rows.iter().map(|row| row.subject.cast_signed()).collect::<Vec<_>>();
        ids.dedup();
        let (columns, named) = match subject {
            None => return Ok(HashMap::new()),
            Some(Subject::Key) => ("SELECT n.id, n.name, n.masked FROM ", ") AS i CROSS JOIN keys n WHERE n.id = i.id"),
            Some(Subject::User) => (UNMASKED, ") AS i CROSS JOIN users n WHERE n.id = i.id"),
            Some(Subject::Organization) => (UNMASKED, ") AS i CROSS JOIN organizations n WHERE n.id = i.id"),
        };
        let (mut query, dialect) = (sql(columns), self.session().dialect());
        query.push("(SELECT CAST(value AS BIGINT) AS id FROM ").push_list(dialect, to_json(&ids)?).push(named);
        let names: Vec<SubjectName> = query.all(self.session()).await?;
        Ok(names.into_iter().map(|name| (name.id.cast_unsigned(), name)).collect())
    }

    /// What the APIs are called that there are.
    pub(super) async fn api_names(&mut self) -> Result<HashMap<ApiId, ApiName>, StorageError> {
        let rows: Vec<(i64, String, Option<i64>)> =
            sql("SELECT id, name, organization_id FROM apis").all(self.session()).await?;
        let named =
            |(id, name, owner): (i64, String, Option<i64>)| (to_id(id), ApiName { name, owner: owner.map(to_id) });
        Ok(rows.into_iter().map(named).collect())
    }
}
