//! Gateways: fleets of Envoys that share one token for the sync port, and which keys concern each.

use std::ops::RangeInclusive;

use portcullis_core::api::Access;
use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, GatewayId};
use portcullis_core::wire::Revision;

use super::key::Reach;
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

/// What a gateway serves, with whose keys open each API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every API.
    Everything,
    /// These.
    Apis(Vec<(ApiId, Access)>),
}

impl Scope {
    /// Whether the gateway is told of this API.
    pub fn has_api(&self, id: ApiId) -> bool {
        match self {
            Self::Everything => true,
            Self::Apis(apis) => apis.iter().any(|(served, _)| *served == id),
        }
    }

    /// Whether the gateway is told of a key that reaches this far: whether it opens one of the gateway's APIs.
    pub fn has_key(&self, reach: &Reach) -> bool {
        match self {
            Self::Everything => true,
            Self::Apis(apis) => apis.iter().any(|(id, access)| reach.opens(*id, *access)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::id::OrganizationId;
    use portcullis_core::key::ApiKind;

    #[test]
    fn a_gateway_is_told_of_the_keys_that_open_one_of_its_apis() {
        let (one, two) = (OrganizationId::from_number(1), OrganizationId::from_number(2));
        let api = ApiId::from_number;
        let scope = Scope::Apis(vec![(api(1), Access::Serverless), (api(2), Access::Dedicated(one))]);
        let reach = |kind, organization, apis: Option<&[u64]>| Reach {
            kind,
            organization,
            apis: apis.map(|apis| apis.iter().map(|number| api(*number)).collect()),
        };
        let cases = [
            (ApiKind::Serverless, two, None, true),
            (ApiKind::Serverless, two, Some(&[1, 3][..]), true),
            (ApiKind::Serverless, two, Some(&[2]), false),
            (ApiKind::Serverless, two, Some(&[]), false),
            (ApiKind::Dedicated, one, None, true),
            (ApiKind::Dedicated, two, None, false),
            (ApiKind::Dedicated, one, Some(&[1]), false),
        ];
        for (kind, organization, apis, told) in cases {
            let reach = reach(kind, organization, apis);
            assert_eq!(scope.has_key(&reach), told, "{reach:?}");
            assert!(Scope::Everything.has_key(&reach));
        }
        assert!(scope.has_api(api(2)) && !scope.has_api(api(3)));
    }
}
