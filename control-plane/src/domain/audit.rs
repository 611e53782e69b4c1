//! The audit: who did what, when, from where, and what was before and after. Never a secret, nor a digest of one.
//!
//! Every write leaves an entry in its own transaction, so that neither is there without the other. A refusal
//! leaves one as well, of what was tried.

use std::net::IpAddr;

use portcullis_core::api::Access;
use portcullis_core::id::{GatewayId, OrganizationId, TokenId, UserId};
use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::Revision;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::api::Api;
use super::gateway::{Gateway, Serves};
use super::key::Key;
use super::organization::Organization;
use super::timestamp::Timestamp;
use super::user::{AccessToken, User};

/// Declares the actions with their names, so that neither list can lack one of the other.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:tt,)+) => {
        /// What was done or tried.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $name)] $action,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),+];

            /// The action's name in the audit.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }
        }
    };
}

actions! {
    /// A key was issued.
    KeyIssue = "key.issue",
    /// A key was to be read.
    KeyRead = "key.read",
    /// A key's name, expiry, scopes, rate limiting or budget was changed.
    KeyChange = "key.change",
    /// A key was deleted.
    KeyDelete = "key.delete",
    /// A key got a new secret.
    KeyReissue = "key.reissue",
    /// The time in which two secrets of a key worked is over.
    KeyOverlapEnd = "key.overlap_end",
    /// A key has used up its budget of the month.
    KeyStop = "key.stop",
    /// A key has a budget again.
    KeyResume = "key.resume",
    /// A leaked secret was reported, and revoked if it was live.
    LeakReport = "leak.report",
    /// An API was created.
    ApiCreate = "api.create",
    /// An API was to be read.
    ApiRead = "api.read",
    /// An API was changed.
    ApiChange = "api.change",
    /// An API was deleted.
    ApiDelete = "api.delete",
    /// An organization was created.
    OrganizationCreate = "organization.create",
    /// An organization was to be read.
    OrganizationRead = "organization.read",
    /// An organization was renamed, or given another budget.
    OrganizationChange = "organization.change",
    /// An organization has used up its budget of the month.
    OrganizationStop = "organization.stop",
    /// An organization has a budget again.
    OrganizationResume = "organization.resume",
    /// An organization was deleted.
    OrganizationDelete = "organization.delete",
    /// A gateway was created.
    GatewayCreate = "gateway.create",
    /// A gateway was to be read.
    GatewayRead = "gateway.read",
    /// A gateway was renamed or given other APIs.
    GatewayChange = "gateway.change",
    /// A gateway got a new token.
    GatewayReissue = "gateway.reissue",
    /// A gateway was deleted.
    GatewayDelete = "gateway.delete",
    /// A worker is gone for good, as an operator says.
    WorkerDelete = "worker.delete",
    /// A worker was silent for so long that receipts no longer wait for it.
    WorkerForget = "worker.forget",
    /// A user was created.
    UserCreate = "user.create",
    /// A user was to be read.
    UserRead = "user.read",
    /// A user's name, role or password was changed.
    UserChange = "user.change",
    /// A user was deleted.
    UserDelete = "user.delete",
    /// An access token was created.
    TokenCreate = "token.create",
    /// An access token was to be read.
    TokenRead = "token.read",
    /// An access token was revoked.
    TokenDelete = "token.delete",
    /// A user signed in with a password.
    SessionCreate = "session.create",
    /// A receipt was to be read.
    PropagationRead = "propagation.read",
    /// The audit was to be read.
    AuditRead = "audit.read",
    /// Usage was to be read.
    UsageRead = "usage.read",
    /// Advice was to be read.
    AdviceRead = "advice.read",
    /// The first operator token was created.
    BootstrapCreate = "bootstrap_token.create",
    /// The first operator token was replaced.
    BootstrapRotate = "bootstrap_token.rotate",
    /// The database began another life, after a restore.
    EpochChange = "epoch.change",
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused with this HTTP status.
    Refused(u16),
}

/// What is said of a write.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was done.
    pub action: Action,
    /// The id of what it was done to.
    pub subject: String,
    /// Whose it is.
    pub organization: Option<OrganizationId>,
    /// What it was before; `None` for what is new.
    pub before: Option<Value>,
    /// What it is now; `None` for what is gone.
    pub after: Option<Value>,
}

impl Entry {
    /// An entry on one thing: what it was, what it is, or both.
    pub fn new<T: Audited>(action: Action, before: Option<&T>, after: Option<&T>) -> Self {
        let either = after.or(before);
        Self {
            action,
            subject: either.map(Audited::subject).unwrap_or_default(),
            organization: either.and_then(Audited::organization),
            before: before.map(Audited::audited),
            after: after.map(Audited::audited),
        }
    }
}

/// A refusal, by whom and of what.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// What was tried.
    pub action: Action,
    /// The id of what it would have been done to, as far as the request named one.
    pub subject: Option<&'a str>,
    /// The HTTP status.
    pub status: u16,
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place: entries are numbered in the order of commits.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who; `None` for the control plane and its command line.
    pub user: Option<UserId>,
    /// What they are called.
    pub user_name: Option<String>,
    /// Where they belong; `None` for operators as well.
    pub user_organization: Option<OrganizationId>,
    /// By which token.
    pub token: Option<TokenId>,
    /// What.
    pub action: Action,
    /// To what.
    pub subject: Option<String>,
    /// Whose it is.
    pub organization: Option<OrganizationId>,
    /// What came of it.
    pub outcome: Outcome,
    /// From where.
    pub origin: Option<IpAddr>,
    /// The revision that filters learn of it by.
    pub revision: Option<Revision>,
    /// What it was before.
    pub before: Option<Value>,
    /// What it was afterwards.
    pub after: Option<Value>,
}

/// What the audit can speak of. What it says of a thing has no secret in it, and no digest.
pub trait Audited {
    /// Its id.
    fn subject(&self) -> String;
    /// Whose it is.
    fn organization(&self) -> Option<OrganizationId>;
    /// What it is.
    fn audited(&self) -> Value;
}

impl Audited for Key {
    fn subject(&self) -> String {
        self.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        Some(self.organization)
    }

    fn audited(&self) -> Value {
        json!({
            "kind": self.kind.name(), "name": self.name, "masked": self.masked, "created_by": self.created_by,
            "expires_at": self.expires_at, "apis": self.apis, "rate_limit_enabled": self.rate_limit_enabled,
            "monthly_budget": self.monthly_budget, "over_budget_since": self.over_budget_since,
            "overlap_ends_at": self.former.as_ref().map(|former| former.ends_at), "revoked_at": self.revoked_at,
        })
    }
}

impl Audited for Api {
    fn subject(&self) -> String {
        self.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        match self.access {
            Access::Serverless => None,
            Access::Dedicated(owner) => Some(owner),
        }
    }

    fn audited(&self) -> Value {
        json!({
            "name": self.name, "kind": self.access.kind().name(), "hosts": self.route.hosts,
            "path_prefix": self.route.path_prefix.as_str(), "rate_limit": self.rate_limit, "price": self.price,
            "forward_credential": self.forward_credential, "count_tokens": self.count_tokens,
        })
    }
}

impl Audited for Organization {
    fn subject(&self) -> String {
        self.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        Some(self.id)
    }

    fn audited(&self) -> Value {
        json!({
            "name": self.name, "monthly_budget": self.monthly_budget, "over_budget_since": self.over_budget_since,
        })
    }
}

impl Audited for Gateway {
    fn subject(&self) -> String {
        self.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        None
    }

    fn audited(&self) -> Value {
        let apis = match &self.serves {
            Serves::Everything => None,
            Serves::Apis(apis) => Some(apis),
        };
        json!({
            "name": self.name, "masked": self.masked, "apis": apis, "max_staleness_ms": self.max_staleness_ms,
        })
    }
}

/// A worker that is no longer counted, with its gateway.
#[derive(Debug, Clone, Copy)]
pub struct GoneWorker<'a>(pub GatewayId, pub &'a Worker);

impl Audited for GoneWorker<'_> {
    fn subject(&self) -> String {
        self.0.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        None
    }

    fn audited(&self) -> Value {
        let Self(_, worker) = self;
        let applied = worker.applied;
        json!({
            "worker": worker.name, "node": worker.node,
            "last_seen_at": Timestamp::from_unix_ms(worker.last_seen_ms),
            "epoch": applied.map(|cursor| cursor.epoch), "revision": applied.map(|cursor| cursor.revision),
        })
    }
}

impl Audited for User {
    fn subject(&self) -> String {
        self.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        self.role.organization()
    }

    fn audited(&self) -> Value {
        json!({"name": self.name, "role": self.role.name().name(), "has_password": self.has_password})
    }
}

/// An access token with the organization of its owner.
#[derive(Debug, Clone, Copy)]
pub struct OwnedToken<'a>(pub &'a AccessToken, pub Option<OrganizationId>);

impl Audited for OwnedToken<'_> {
    fn subject(&self) -> String {
        self.0.id.to_string()
    }

    fn organization(&self) -> Option<OrganizationId> {
        self.1
    }

    fn audited(&self) -> Value {
        let Self(token, _) = self;
        json!({
            "name": token.name, "masked": token.masked, "user": token.user, "expires_at": token.expires_at,
            "revoked_at": token.revoked_at,
        })
    }
}
