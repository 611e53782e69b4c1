//! Which gateways are told of which key: those that serve an API which the key opens.

use serde::{Deserialize, Serialize};

use crate::api::Access;
use crate::id::{ApiId, OrganizationId};
use crate::key::ApiKind;
use crate::wire::KeyRecord;

/// How far a key reaches: what decides which APIs it opens, and so which gateways are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Which kind of API it opens.
    pub kind: ApiKind,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// The APIs to which it is confined, if it is.
    pub apis: Option<Vec<ApiId>>,
}

impl From<&KeyRecord> for Reach {
    fn from(record: &KeyRecord) -> Self {
        Self { kind: record.kind, organization: record.organization, apis: record.apis.clone() }
    }
}

impl Reach {
    /// Whether it opens this API, to which `access` is given.
    pub fn opens(&self, api: ApiId, access: Access) -> bool {
        let of_kind = match access {
            Access::Serverless => self.kind == ApiKind::Serverless,
            Access::Dedicated(owner) => self.kind == ApiKind::Dedicated && self.organization == owner,
        };
        of_kind && self.apis.as_ref().is_none_or(|apis| apis.contains(&api))
    }
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

    /// Whether one of the APIs that a gateway serves is gone. Then the gateway was given another scope when that happened,
    /// which whoever asks has not heard of yet; which keys opened the API can no longer be told from here.
    pub fn lacks_any_of(&self, served: &[ApiId]) -> bool {
        !served.iter().all(|id| self.has_api(*id))
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
        assert!(scope.lacks_any_of(&[api(1), api(3)]) && !scope.lacks_any_of(&[api(2), api(1)]));
    }
}
