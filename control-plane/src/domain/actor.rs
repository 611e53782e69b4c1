//! Who acts: the caller of the admin API, as far as rules and audit need to know them.

use std::net::IpAddr;

use portcullis_core::id::{TokenId, UserId};

use super::user::Role;

/// The holder of an access token, and where they call from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Whose token it is. What they create is theirs.
    pub user: UserId,
    /// The token itself.
    pub token: TokenId,
    /// What they may do.
    pub role: Role,
    /// The address of the connection, where there is one.
    pub origin: Option<IpAddr>,
}
