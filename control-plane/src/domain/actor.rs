//! Who acts: the caller of the admin API, as far as rules and audit need to know them.

use std::net::IpAddr;

use portcullis_core::id::{TokenId, UserId};

/// The holder of an access token, and where they call from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Whose token it is. What they create is theirs.
    pub user: UserId,
    /// The token itself.
    pub token: TokenId,
    /// The address of the connection, where there is one.
    pub origin: Option<IpAddr>,
}

/// What was done, as the audit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A key was issued.
    KeyIssued,
    /// A key's name, expiry, scopes or rate limiting was changed.
    KeyChanged,
    /// A key was deleted.
    KeyRevoked,
    /// A key got a new secret.
    KeyReissued,
    /// An API was created.
    ApiCreated,
    /// An API was changed.
    ApiChanged,
    /// An API was deleted.
    ApiDeleted,
    /// An organization was created.
    OrganizationCreated,
    /// A gateway was created.
    GatewayCreated,
    /// A gateway was deleted.
    GatewayDeleted,
    /// The first operator token was created.
    BootstrapCreated,
    /// The first operator token was replaced.
    BootstrapRotated,
}

impl Action {
    /// The action's name in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyIssued => "key.issued",
            Self::KeyChanged => "key.changed",
            Self::KeyRevoked => "key.revoked",
            Self::KeyReissued => "key.reissued",
            Self::ApiCreated => "api.created",
            Self::ApiChanged => "api.changed",
            Self::ApiDeleted => "api.deleted",
            Self::OrganizationCreated => "organization.created",
            Self::GatewayCreated => "gateway.created",
            Self::GatewayDeleted => "gateway.deleted",
            Self::BootstrapCreated => "bootstrap_token.created",
            Self::BootstrapRotated => "bootstrap_token.rotated",
        }
    }
}
