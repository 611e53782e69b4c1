//! People and programs that use the admin API: who they are, and the tokens by which they are known.

use portcullis_core::digest::Digest;
use portcullis_core::id::{OrganizationId, TokenId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::name::Name;
use super::timestamp::Timestamp;

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Of the platform team: may do everything.
    Operator,
    /// Of an organization: all of its keys, its members, the limits of its dedicated APIs.
    Admin,
    /// Of an organization: their own keys.
    Member,
}

impl RoleName {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Admin, Self::Member];

    /// The role's name, in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

/// What a user is, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of the platform team.
    Operator,
    /// Admin of this organization.
    Admin(OrganizationId),
    /// Member of this organization.
    Member(OrganizationId),
}

impl Role {
    /// The role with this name, in this organization. `None` if the two do not go together: an operator belongs
    /// to none, everyone else to one.
    pub const fn new(name: RoleName, organization: Option<OrganizationId>) -> Option<Self> {
        match (name, organization) {
            (RoleName::Operator, None) => Some(Self::Operator),
            (RoleName::Admin, Some(organization)) => Some(Self::Admin(organization)),
            (RoleName::Member, Some(organization)) => Some(Self::Member(organization)),
            (RoleName::Operator, Some(_)) | (RoleName::Admin | RoleName::Member, None) => None,
        }
    }

    /// What it is called.
    pub const fn name(self) -> RoleName {
        match self {
            Self::Operator => RoleName::Operator,
            Self::Admin(_) => RoleName::Admin,
            Self::Member(_) => RoleName::Member,
        }
    }

    /// Where it holds; `None` stands for everywhere.
    pub const fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Operator => None,
            Self::Admin(organization) | Self::Member(organization) => Some(organization),
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name by which they sign in, which no other has.
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user was deleted. What they did and made still names them.
    pub deleted_at: Option<Timestamp>,
}

/// A token of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its id.
    pub id: TokenId,
    /// Whose it is: it may do what they may do, no more.
    pub user: UserId,
    /// What that user is called.
    pub user_name: Name,
    /// What its owner calls it.
    pub name: Name,
    /// The digest of its secret.
    pub digest: Digest,
    /// Its secret, masked; empty for the bootstrap token, whose text is free.
    pub masked: String,
    /// Whether it is the one that the environment sets or the first start prints.
    pub bootstrap: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first instant at which it is no longer valid, if there is one.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Whether an access token opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked, for good.
    Revoked,
}

impl AccessToken {
    /// Whether it opens anything at `now`. What is revoked stays so, whether or not it would have ended since.
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => TokenStatus::Revoked,
            (None, Some(end)) if end <= now => TokenStatus::Expired,
            (None, _) => TokenStatus::Active,
        }
    }
}
