//! Where in the table of usage the answer to a question lies.
//!
//! A slot is a prefix of the primary key, without the period, and the subject that it is shown under. Some questions have
//! one slot, others one for each key, user or organization; those are found by a walk.

use serde::Serialize;
use sqlx::FromRow;

use super::super::View;
use super::super::error::StorageError;
use super::super::rows::from_id;
use super::super::sql::{Dialect, Statement, sql};
use super::{Reading, UsageScope};
use crate::domain::key::Key;
use crate::domain::usage_query::Subject;

/// The most subjects that a walk looks at for one page.
const WALK_MAX: i64 = 5_000;
/// The most users that it looks at where it is not known in which organizations they have issued keys.
const USERS_WALK_MAX: i64 = 500;

/// A place in the table, and the number of the subject that it is shown under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromRow)]
pub(in super::super) struct Slot {
    shown: i64,
    organization: i64,
    subject: i64,
}

impl Slot {
    /// Where the usage of this key is.
    pub(in super::super) fn of_key(key: &Key) -> Self {
        let (key, organization) = (from_id(key.id), from_id(key.organization));
        Self { shown: key, organization, subject: key }
    }

    /// The number of the subject that it is shown under.
    pub(super) const fn subject(&self) -> u64 {
        self.shown.cast_unsigned()
    }
}

/// Where the slots of a question come from.
#[derive(Debug)]
pub(in super::super) struct Source {
    grain: &'static str,
    walk: Walk,
}

#[derive(Debug)]
enum Walk {
    /// There is nothing to look for.
    Nowhere,
    /// It is in one place.
    One(Slot),
    /// Keys, of an organization and of a creator if these are said.
    Keys { organization: Option<i64>, creator: Option<i64> },
    /// Users who have issued keys in an organization.
    Users { organization: i64 },
    /// Users, in whatever organizations they have issued keys.
    UsersEverywhere,
    /// Organizations, in each of which one subject is looked for. They are shown as themselves or as something else.
    Organizations { shown: Option<i64>, subject: i64 },
}

impl Source {
    /// Where the usage of `scope` is, told apart by `subject`.
    pub(in super::super) fn new(scope: UsageScope, subject: Option<Subject>) -> Self {
        let number = |shown: Option<Subject>, key, user, organization| match shown {
            None => 0,
            Some(Subject::Key) => key,
            Some(Subject::User) => user,
            Some(Subject::Organization) => organization,
        };
        let one = |shown, organization, subject| Walk::One(Slot { shown, organization, subject });
        let (grain, walk) = match (scope, subject) {
            (UsageScope::Nothing, _) => ("total", Walk::Nowhere),
            (UsageScope::Key { key, organization, user }, subject) => {
                let (key, user, organization) = (from_id(key), from_id(user), from_id(organization));
                ("key", one(number(subject, key, user, organization), organization, key))
            }
            (UsageScope::Everything, Some(Subject::Key)) => ("key", Walk::Keys { organization: None, creator: None }),
            (UsageScope::Organization(organization), Some(Subject::Key)) => {
                ("key", Walk::Keys { organization: Some(from_id(organization)), creator: None })
            }
            (UsageScope::User(user, organization), Some(Subject::Key)) => {
                ("key", Walk::Keys { organization: organization.map(from_id), creator: Some(from_id(user)) })
            }
            (UsageScope::User(user, Some(organization)), subject) => {
                let (user, organization) = (from_id(user), from_id(organization));
                ("user", one(number(subject, 0, user, organization), organization, user))
            }
            (UsageScope::User(user, None), Some(Subject::Organization)) => {
                ("user", Walk::Organizations { shown: None, subject: from_id(user) })
            }
            (UsageScope::User(user, None), subject) => {
                let user = from_id(user);
                ("user", Walk::Organizations { shown: Some(number(subject, 0, user, 0)), subject: user })
            }
            (UsageScope::Organization(organization), Some(Subject::User)) => {
                ("user", Walk::Users { organization: from_id(organization) })
            }
            (UsageScope::Organization(organization), subject) => {
                let organization = from_id(organization);
                ("organization", one(number(subject, 0, 0, organization), organization, 0))
            }
            (UsageScope::Everything, Some(Subject::User)) => ("user", Walk::UsersEverywhere),
            (UsageScope::Everything, Some(Subject::Organization)) => {
                ("organization", Walk::Organizations { shown: None, subject: 0 })
            }
            (UsageScope::Everything, None) => ("total", one(0, 0, 0)),
        };
        Self { grain, walk }
    }

    /// Where the total of `scope` is, over all keys, users or organizations. What no key is known of is in none.
    pub(super) fn of_total(scope: UsageScope) -> Self {
        match scope {
            UsageScope::Everything => {
                Self { grain: "organization", walk: Walk::Organizations { shown: Some(0), subject: 0 } }
            }
            UsageScope::Organization(_) | UsageScope::User(..) | UsageScope::Key { .. } | UsageScope::Nothing => {
                Self::new(scope, None)
            }
        }
    }

    /// Whether slots have to be looked for.
    #[cfg(test)]
    pub(in super::super) const fn is_walk(&self) -> bool {
        !matches!(self.walk, Walk::Nowhere | Walk::One(_))
    }

    pub(super) const fn grain(&self) -> &'static str {
        self.grain
    }
}

impl Walk {
    /// How far it goes for one page.
    fn step(&self) -> i64 {
        match self {
            Self::UsersEverywhere => USERS_WALK_MAX,
            Self::Organizations { shown: Some(_), .. } => i64::from(u32::MAX),
            Self::Nowhere | Self::One(_) | Self::Keys { .. } | Self::Users { .. } | Self::Organizations { .. } => {
                WALK_MAX
            }
        }
    }

    /// Goes on with what is walked over, in order: from `FROM` to `ORDER BY`.
    fn push_path(&self, query: &mut Statement, after: i64) {
        query.push(match self {
            Self::Keys { .. } => " FROM keys x",
            Self::Users { .. } | Self::UsersEverywhere => " FROM users x",
            Self::Nowhere | Self::One(_) | Self::Organizations { .. } => " FROM organizations x",
        });
        query.push(" WHERE x.id > ").push_bind(after);
        if let Self::Keys { organization, creator } = self {
            if let Some(organization) = organization {
                query.push(" AND x.organization_id = ").push_bind(*organization);
            }
            if let Some(creator) = creator {
                query.push(" AND x.created_by = ").push_bind(*creator);
            }
        }
        query.push(" ORDER BY x.id");
    }

    /// Selects the slots of one step.
    fn candidates(&self, after: i64) -> Statement {
        let mut query = sql("SELECT ");
        match self {
            Self::Nowhere | Self::One(_) => {}
            Self::Keys { .. } => {
                query.push("x.id AS shown, x.organization_id AS organization, x.id AS subject");
            }
            Self::Users { organization } => {
                query.push("x.id AS shown, ").push_bind(*organization).push(" AS organization, x.id AS subject");
            }
            Self::UsersEverywhere => {
                query.push(
                    "DISTINCT k.created_by AS shown, k.organization_id AS organization, k.created_by AS subject
                     FROM (SELECT x.id",
                );
            }
            Self::Organizations { shown, subject } => {
                match shown {
                    None => query.push("x.id"),
                    Some(shown) => query.push_bind(*shown),
                };
                query.push(" AS shown, x.id AS organization, ").push_bind(*subject).push(" AS subject");
            }
        }
        self.push_path(&mut query, after);
        query.push(" LIMIT ").push_bind(self.step());
        if matches!(self, Self::UsersEverywhere) {
            query.push(") AS w CROSS JOIN keys k WHERE k.created_by = w.id");
        }
        query
    }
}

/// Selects the slots of one step in which something was used.
pub(in super::super) fn used(source: &Source, reading: &Reading, after: i64, limit: Option<u32>) -> Statement {
    let mut query = source.walk.candidates(after);
    query.wrap("SELECT s.shown, s.organization, s.subject FROM (", ") AS s");
    let Some(limit) = limit else { return query };
    query.push(" WHERE ");
    reading.push_probe(&mut query, source);
    query.push(" IS NOT NULL ORDER BY s.shown");
    match source.walk {
        // More than one slot can be shown as the same user.
        Walk::UsersEverywhere => query.push(", s.organization"),
        // One more than asked tells whether there is a next page.
        Walk::Keys { .. } | Walk::Users { .. } | Walk::Organizations { shown: None, .. } => {
            query.push(" LIMIT ").push_bind(i64::from(limit) + 1)
        }
        Walk::Nowhere | Walk::One(_) | Walk::Organizations { shown: Some(_), .. } => &mut query,
    };
    query
}

impl View<'_> {
    /// The slots of a page, and the subject after which the next one begins. Without a limit they are all there are, used
    /// or not.
    pub(in super::super) async fn slots(
        &mut self,
        source: &Source,
        reading: &Reading,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<(Vec<Slot>, Option<u64>), StorageError> {
        let mut after = after.map_or(i64::MIN, u64::cast_signed);
        match source.walk {
            _ if reading.pieces.is_empty() => return Ok((Vec::new(), None)),
            Walk::Nowhere => return Ok((Vec::new(), None)),
            Walk::One(slot) => return Ok((Some(slot).filter(|slot| slot.shown > after).into_iter().collect(), None)),
            // Whatever the organization, they are all shown as one.
            Walk::Organizations { shown: Some(shown), .. } if shown <= after => return Ok((Vec::new(), None)),
            Walk::Organizations { shown: Some(_), .. } => after = i64::MIN,
            Walk::Keys { .. }
            | Walk::Users { .. }
            | Walk::UsersEverywhere
            | Walk::Organizations { shown: None, .. } => {}
        }
        let mut slots: Vec<Slot> = used(source, reading, after, limit).all(self.session()).await?;
        let Some(limit) = limit else { return Ok((slots, None)) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut subjects = slots.iter().map(|slot| slot.shown).collect::<Vec<_>>();
        subjects.dedup();
        if let (Some(_), Some(last)) = (subjects.get(limit), subjects.get(limit.saturating_sub(1))) {
            slots.retain(|slot| slot.shown <= *last);
            return Ok((slots, Some(last.cast_unsigned())));
        }
        let mut end = sql("SELECT x.id");
        source.walk.push_path(&mut end, after);
        end.push(" LIMIT 1 OFFSET ").push_bind(source.walk.step() - 1);
        let end: Option<(i64,)> = end.optional(self.session()).await?;
        Ok((slots, end.map(|(end,)| end.cast_unsigned())))
    }
}

/// Goes on with a table of these slots, which are JSON.
pub(super) fn push_slots(query: &mut Statement, slots: &str, dialect: Dialect) {
    match dialect {
        Dialect::Sqlite => query
            .push(
                "(SELECT j.value ->> 'shown' AS shown, j.value ->> 'organization' AS organization,
                  j.value ->> 'subject' AS subject FROM json_each(",
            )
            .push_bind(slots)
            .push(") AS j)"),
        Dialect::Postgres => query
            .push(
                "(SELECT CAST(j.value ->> 'shown' AS bigint) AS shown,
                  CAST(j.value ->> 'organization' AS bigint) AS organization,
                  CAST(j.value ->> 'subject' AS bigint) AS subject FROM json_array_elements(CAST(",
            )
            .push_bind(slots)
            .push(" AS json)) AS j)"),
    };
}
