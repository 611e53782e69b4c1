//! Statements that run on either database.
//!
//! SQLite and PostgreSQL agree on nearly all the SQL that is needed here, down to the numbered parameters `$1`,
//! `RETURNING` and `ON CONFLICT`. So a statement is its text and its values, and which database it runs on is
//! known only here, where it meets a [`Session`]. Where the two do differ, [`Session::dialect`] says which it is.
//!
//! Values are always bound, never written into the text.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Postgres, Sqlite, Type};

use super::error::StorageError;

/// A connection, for as long as it is borrowed.
#[derive(Debug)]
pub(super) enum Session<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Which database it is, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Session<'_> {
    pub(super) const fn reborrow(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection),
        }
    }

    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// A row type that can be read from both.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// What a statement is given.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Boolean(bool),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<Option<&[u8]>> for Value {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Bytes(value.map(<[u8]>::to_vec))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// A statement and its values.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement with this text. Its values follow, in the order of `$1`, `$2`, ….
pub(super) const fn sql(text: &'static str) -> Statement {
    Statement { text: Cow::Borrowed(text), values: Vec::new() }
}

impl Statement {
    /// Gives the statement its next value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Goes on with `text`.
    pub(super) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Goes on with a parameter of this value.
    pub(super) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let parameter = format!("${}", self.values.len());
        self.text.to_mut().push_str(&parameter);
        self
    }

    /// Goes on with a table of one column, `value`: the elements of this JSON list. An element that is a list itself is
    /// JSON too, of which both databases read `value ->> 0` as the first element, SQLite with its type and PostgreSQL as
    /// text; a cast makes them agree.
    pub(super) fn push_list(&mut self, dialect: Dialect, list: String) -> &mut Self {
        match dialect {
            Dialect::Sqlite => self.push("json_each(").push_bind(list).push(")"),
            Dialect::Postgres => self.push("jsonb_array_elements(").push_bind(list).push("::jsonb) AS list (value)"),
        }
    }

    /// Puts `before` in front of it, and goes on with `after`.
    pub(super) fn wrap(&mut self, before: &'static str, after: &'static str) -> &mut Self {
        self.text = Cow::Owned(format!("{before}{}{after}", self.text));
        self
    }

    /// Runs it and returns how many rows it changed.
    pub(super) async fn execute(self, session: Session<'_>) -> Result<u64, StorageError> {
        let text = AssertSqlSafe(self.text);
        Ok(match session {
            Session::Sqlite(connection) => {
                let query = sqlx::query_with::<Sqlite, _>(text, arguments::<SqliteArguments>(self.values)?);
                query.execute(connection).await?.rows_affected()
            }
            Session::Postgres(connection) => {
                let query = sqlx::query_with::<Postgres, _>(text, arguments::<PgArguments>(self.values)?);
                query.execute(connection).await?.rows_affected()
            }
        })
    }

    /// Runs it for its only row, if there is one.
    pub(super) async fn optional<T: Row>(self, session: Session<'_>) -> Result<Option<T>, StorageError> {
        let text = AssertSqlSafe(self.text);
        Ok(match session {
            Session::Sqlite(connection) => {
                let query = sqlx::query_as_with::<Sqlite, T, _>(text, arguments::<SqliteArguments>(self.values)?);
                query.fetch_optional(connection).await?
            }
            Session::Postgres(connection) => {
                let query = sqlx::query_as_with::<Postgres, T, _>(text, arguments::<PgArguments>(self.values)?);
                query.fetch_optional(connection).await?
            }
        })
    }

    /// Runs it for its only row.
    pub(super) async fn one<T: Row>(self, session: Session<'_>) -> Result<T, StorageError> {
        self.optional(session).await?.ok_or(StorageError::Unknown(sqlx::Error::RowNotFound))
    }

    /// Runs it for all its rows.
    pub(super) async fn all<T: Row>(self, session: Session<'_>) -> Result<Vec<T>, StorageError> {
        let text = AssertSqlSafe(self.text);
        Ok(match session {
            Session::Sqlite(connection) => {
                let query = sqlx::query_as_with::<Sqlite, T, _>(text, arguments::<SqliteArguments>(self.values)?);
                query.fetch_all(connection).await?
            }
            Session::Postgres(connection) => {
                let query = sqlx::query_as_with::<Postgres, T, _>(text, arguments::<PgArguments>(self.values)?);
                query.fetch_all(connection).await?
            }
        })
    }
}

/// The values as a database's driver wants them.
fn arguments<A: Arguments>(values: Vec<Value>) -> Result<A, StorageError>
where
    for<'t> Option<i64>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<String>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<Vec<u8>>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> bool: Encode<'t, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        let added = match value {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Boolean(value) => arguments.add(value),
        };
        added.map_err(|error| StorageError::Unknown(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}
