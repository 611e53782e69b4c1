//! Who may see and do what: the rules of the three roles, in one place.
//!
//! | | operator | admin | member |
//! |---|---|---|---|
//! | keys | all | of the organization | their own |
//! | serverless APIs | all | see | see |
//! | dedicated APIs | all | see the organization's, set their limits | see the organization's |
//! | organizations | all | see their own | see their own |
//! | users | all | of the organization | themselves: see, and set their password |
//! | access tokens | see and revoke all | of the organization | their own |
//! | gateways | all | none | none |
//! | usage, advice | all | of the organization | of their own keys |
//! | budgets | set all | set those of the organization's keys | see |
//! | audit | all | of the organization | none |
//!
//! What someone may not see does not exist for them: [`Denied::Hidden`] looks like a wrong id. What they see and
//! may not do is [`Denied::Forbidden`].

use portcullis_core::api::Access;
use portcullis_core::id::{OrganizationId, UserId};

use super::actor::Actor;
use super::api::Api;
use super::key::Key;
use super::user::{AccessToken, Role, User};

/// Why something is not done for someone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// They may not know that it is there.
    Hidden,
    /// They may know, and no more.
    Forbidden,
}

/// Which keys, tokens and users someone sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All.
    Everything,
    /// Those of this organization.
    Organization(OrganizationId),
    /// Those of this user.
    Own(UserId),
}

impl Sight {
    /// Whether something of this organization and this user is in it.
    fn covers(self, organization: Option<OrganizationId>, user: UserId) -> Result<(), Denied> {
        let covered = match self {
            Self::Everything => true,
            Self::Organization(seen) => organization == Some(seen),
            Self::Own(own) => user == own,
        };
        if covered { Ok(()) } else { Err(Denied::Hidden) }
    }
}

impl Actor {
    /// Whose keys and access tokens they see and may change, and which users they see.
    pub const fn sight(&self) -> Sight {
        match self.role {
            Role::Operator => Sight::Everything,
            Role::Admin(organization) => Sight::Organization(organization),
            Role::Member(_) => Sight::Own(self.user),
        }
    }

    /// Whether they may see, change, delete and reissue this key.
    pub fn handles_key(&self, key: &Key) -> Result<(), Denied> {
        self.sight().covers(Some(key.organization), key.created_by)
    }

    /// Whether they may know who did something that concerns them: those of other organizations they may not.
    pub fn sees_someone_of(&self, organization: Option<OrganizationId>) -> bool {
        organization.is_none_or(|organization| self.sees_organization(organization).is_ok())
    }

    /// Whether something of this organization is of their world.
    pub fn sees_organization(&self, organization: OrganizationId) -> Result<(), Denied> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Admin(own) | Role::Member(own) if own == organization => Ok(()),
            Role::Admin(_) | Role::Member(_) => Err(Denied::Hidden),
        }
    }

    /// Whether they may see this API.
    pub fn sees_api(&self, api: &Api) -> Result<(), Denied> {
        match api.access {
            Access::Serverless => Ok(()),
            Access::Dedicated(owner) => self.sees_organization(owner),
        }
    }

    /// Whether they may set the rate limit of this API.
    pub fn limits_api(&self, api: &Api) -> Result<(), Denied> {
        self.sees_api(api)?;
        match (self.role, api.access) {
            (Role::Operator, _) | (Role::Admin(_), Access::Dedicated(_)) => Ok(()),
            (Role::Admin(_), Access::Serverless) | (Role::Member(_), _) => Err(Denied::Forbidden),
        }
    }

    /// Whether they may do what only operators do.
    pub const fn operates(&self) -> Result<(), Denied> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Admin(_) | Role::Member(_) => Err(Denied::Forbidden),
        }
    }

    /// Whether they may do what takes an operator or an admin.
    pub const fn administers(&self) -> Result<(), Denied> {
        match self.role {
            Role::Operator | Role::Admin(_) => Ok(()),
            Role::Member(_) => Err(Denied::Forbidden),
        }
    }

    /// Whether they may know of gateways.
    pub const fn sees_gateways(&self) -> Result<(), Denied> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Admin(_) | Role::Member(_) => Err(Denied::Hidden),
        }
    }

    /// Whether they may see this user.
    pub fn sees_user(&self, user: &User) -> Result<(), Denied> {
        self.sight().covers(user.role.organization(), user.id)
    }

    /// Whether they may change or delete this user: everyone but members, who cannot even themselves.
    pub fn manages_user(&self, user: &User) -> Result<(), Denied> {
        self.sees_user(user)?;
        self.administers()
    }

    /// Whether they may set this user's password: everyone their own, and who manages users those of the others.
    pub fn sets_password(&self, user: &User) -> Result<(), Denied> {
        self.sees_user(user)?;
        if user.id == self.user { Ok(()) } else { self.administers() }
    }

    /// Whether they may see and revoke this token, whose owner is of this organization.
    pub fn handles_token(&self, token: &AccessToken, owners: Option<OrganizationId>) -> Result<(), Denied> {
        self.sight().covers(owners, token.user)
    }

    /// Whether they may give someone this role.
    pub fn grants(&self, role: Role) -> Result<(), Denied> {
        match (self.role, role) {
            (Role::Operator, _) => Ok(()),
            (Role::Admin(own), Role::Admin(organization) | Role::Member(organization)) if own == organization => Ok(()),
            (Role::Admin(_) | Role::Member(_), _) => Err(Denied::Forbidden),
        }
    }
}
