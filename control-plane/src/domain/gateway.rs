//! Gateways: fleets of Envoys that share one token for the sync port, and which keys concern each.

use std::ops::RangeInclusive;

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, GatewayId};
pub use portcullis_core::push::reach::Scope;
use portcullis_core::wire::Revision;

use super::name::Name;
use super::timestamp::Timestamp;

/// The most APIs that one gateway can be confined to.
pub const SERVED_APIS_MAX: usize = 1_000;

/// The shortest and the longest time, in seconds, that workers can be held to without contact: long enough for a lost
/// poll and its retry, and a day.
pub const MAX_STALENESS_SECONDS: RangeInclusive<u32> = 5..=86_400;

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
    /// Which APIs it serves.
    pub serves: Serves,
    /// The revision at which that last changed: a worker that is behind it needs a snapshot.
    pub scope_revision: Revision,
    /// After this long without contact, in milliseconds, its workers refuse everything; `None` if they never do.
    pub max_staleness_ms: Option<u64>,
}

/// Which APIs a gateway serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Serves {
    /// All of them, those to come included.
    Everything,
    /// These, sorted; it is told of no others, and of no key that opens none of these.
    Apis(Vec<ApiId>),
}
