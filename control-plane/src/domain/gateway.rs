//! Gateways: fleets of Envoys that share one token for the sync port.

use portcullis_core::digest::Digest;
use portcullis_core::id::GatewayId;

use super::name::Name;
use super::timestamp::Timestamp;

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its id.
    pub id: GatewayId,
    /// Its name, which no other has.
    pub name: Name,
    /// The digest of its token.
    pub digest: Digest,
    /// Its token, masked.
    pub masked: String,
    /// When it was created.
    pub created_at: Timestamp,
}
