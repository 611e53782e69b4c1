//! The decision on one request, a function of the request, the directory and the time.
//!
//! The order of the questions is the order of the answers that a caller may learn from: first whether the path
//! has one reading at all, then whether the path is exempt, then which API it is for, then who is calling, then
//! whether that caller may. Nothing is hashed before the key's check code has been found right, and the clock
//! is read only for a key that has an expiry.

use std::sync::Arc;

use crate::api::{Access, Api, host_of};
use crate::credential::bearer_of;
use crate::digest::Digest;
use crate::directory::{Directory, Serving};
use crate::id::{ApiId, KeyId};
use crate::key::{self, ApiKind, Brand};
use crate::limit::{Counted, Limits};
use crate::path::SafePath;
use crate::table::{FoundKey, Owner};
use crate::verdict::Refusal;

/// What an operator has laid down for one filter.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The brand that keys bear.
    pub brand: Brand,
    /// Paths that need no key, compared as a whole.
    pub exempt_paths: Vec<String>,
}

/// What is looked at of a request. All values are bytes as they arrived.
#[derive(Debug, Clone)]
pub struct Request<'a, A> {
    /// The request target, `:path`; `CONNECT` may have none.
    pub target: Option<&'a [u8]>,
    /// The host and port that the caller named, `:authority` or `Host`.
    pub authority: Option<&'a [u8]>,
    /// The values of all `Authorization` headers.
    pub authorizations: A,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The path needs no key.
    Exempt,
    /// The key opens the API, as far as limits allow.
    Allowed(Admission),
    /// The request goes no further.
    Refused(Refusal),
    /// There is no directory yet; ask again when there is.
    Undecided,
}

/// Who was let in, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The key.
    pub key: KeyId,
    /// The key's holder.
    pub owner: Owner,
    /// The API.
    pub api: ApiId,
    /// Whether the upstream is shown the caller's `Authorization` header.
    pub forward_credential: bool,
    /// What the key is held to here, if to anything.
    pub limits: Option<Arc<Limits>>,
}

impl Admission {
    /// As what the request is counted by these limits.
    pub fn counted(&self, limits: &Limits) -> Counted {
        Counted { api: self.api, subject: limits.policy().subject(self.key, self.owner) }
    }
}

/// Decides on a request. `now_ms` gives milliseconds since the Unix epoch by the control plane's clock.
pub fn decide<'a>(
    rules: &Rules,
    serving: Serving<'_>,
    now_ms: impl FnOnce() -> u64,
    request: Request<'a, impl Iterator<Item = &'a [u8]>>,
) -> Decision {
    let Ok(path) = SafePath::read(request.target.unwrap_or_default()) else {
        return Decision::Refused(refusal_of_target(request.target));
    };
    let exempt = |candidate: &String| candidate.as_bytes() == path.as_bytes();
    if rules.exempt_paths.iter().any(exempt) {
        return Decision::Exempt;
    }
    let directory = match serving {
        Serving::Nothing => return Decision::Undecided,
        Serving::Stale => return Decision::Refused(Refusal::NotReady),
        Serving::Current(directory) => directory,
    };
    let admission = route(directory, request.authority, path).and_then(|api| {
        let bearer = bearer_of(request.authorizations)?;
        let key = authenticate(rules, directory, bearer, now_ms)?;
        authorize(api, key)
    });
    match admission {
        Ok(admission) => Decision::Allowed(admission),
        Err(refusal) => Decision::Refused(refusal),
    }
}

/// A request without any path, as `CONNECT` and `OPTIONS *` are, is for no API; it is not ambiguous.
fn refusal_of_target(target: Option<&[u8]>) -> Refusal {
    match target {
        None | Some(b"" | b"*") => Refusal::UnknownApi,
        Some(_) => Refusal::UnsafePath,
    }
}

fn route<'d>(directory: &'d Directory, authority: Option<&[u8]>, path: SafePath<'_>) -> Result<&'d Api, Refusal> {
    let host = host_of(authority.unwrap_or_default()).ok_or(Refusal::UnknownApi)?;
    directory.apis.find(&host, path).ok_or(Refusal::UnknownApi)
}

fn authenticate<'d>(
    rules: &Rules,
    directory: &'d Directory,
    bearer: &[u8],
    now_ms: impl FnOnce() -> u64,
) -> Result<FoundKey<'d>, Refusal> {
    key::parse(&rules.brand, bearer).map_err(|_| Refusal::MalformedKey)?;
    let key = directory.keys.find(&Digest::of(bearer)).ok_or(Refusal::UnknownKey)?;
    match key.expires_at_seconds {
        Some(expiry) if now_ms() / 1000 >= u64::from(expiry) => Err(Refusal::ExpiredKey),
        Some(_) | None => Ok(key),
    }
}

fn authorize(api: &Api, key: FoundKey<'_>) -> Result<Admission, Refusal> {
    if key.rights.kind != api.access.kind() {
        return Err(Refusal::WrongKind);
    }
    match api.access {
        Access::Dedicated(owner) if owner != key.owner.organization => {
            return Err(Refusal::WrongOrganization);
        }
        Access::Dedicated(_) | Access::Serverless => {}
    }
    if !key.rights.include(api.id) {
        return Err(Refusal::OutOfScope);
    }
    // Limits are an option of dedicated keys; a shared API holds everyone to its own.
    let is_held = match key.rights.kind {
        ApiKind::Serverless => true,
        ApiKind::Dedicated => key.rights.rate_limited,
    };
    Ok(Admission {
        key: key.id,
        owner: key.owner,
        api: api.id,
        forward_credential: api.forward_credential,
        limits: api.limits.as_ref().filter(|_| is_held).map(Arc::clone),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{OrganizationId, UserId};
    use crate::key::{Kind, PlainKey};
    use crate::limit::{Mode, Per, Policy, Rule, Subject, Unit};
    use crate::wire::{ApiRecord, KeyRecord, PRICE_VERSION_FIRST, Record};
    use std::convert::Infallible;

    const OWN: u64 = 1;
    const OTHER: u64 = 2;

    struct House {
        directory: Directory,
        rules: Rules,
    }

    impl House {
        /// One shared API, one of each of two organizations, and a narrower one under the shared API.
        fn new() -> Self {
            let mut house = Self {
                directory: Directory::with_capacity(0),
                rules: Rules { exempt_paths: vec!["/healthz".to_owned()], ..Rules::default() },
            };
            house.api(1, "/v1", None);
            house.api(2, "/own", Some(OWN));
            house.api(3, "/other", Some(OTHER));
            house.api(4, "/v1/narrow", None);
            house
        }

        fn api(&mut self, id: u64, path_prefix: &str, owner: Option<u64>) {
            self.api_with(id, path_prefix, owner, None);
        }

        fn api_with(&mut self, id: u64, path_prefix: &str, owner: Option<u64>, rate_limit: Option<Policy>) {
            let record = ApiRecord {
                id: ApiId::from_number(id),
                kind: owner.map_or(ApiKind::Serverless, |_| ApiKind::Dedicated),
                organization: owner.map(OrganizationId::from_number),
                hosts: Vec::new(),
                path_prefix: path_prefix.to_owned(),
                forward_credential: false,
                rate_limit,
                price_version: PRICE_VERSION_FIRST,
                count_tokens: true,
            };
            self.directory.apply(Record::Api(record)).unwrap();
        }

        /// Issues a key of `OWN` and returns its `Authorization` value.
        fn key(&mut self, kind: ApiKind, expires_at_ms: Option<u64>, apis: Option<&[u64]>) -> String {
            self.key_with(kind, expires_at_ms, apis, false)
        }

        fn key_with(
            &mut self,
            kind: ApiKind,
            expires_at_ms: Option<u64>,
            apis: Option<&[u64]>,
            rate_limited: bool,
        ) -> String {
            let id = self.directory.keys.len() as u64;
            let key = PlainKey::generate(&self.rules.brand, Kind::Api(kind), |random| {
                random.fill(id as u8);
                Ok::<_, Infallible>(())
            })
            .unwrap();
            let record = KeyRecord {
                id: KeyId::from_number(id),
                digest: key.digest(),
                kind,
                organization: OrganizationId::from_number(OWN),
                user: UserId::from_number(7),
                expires_at_ms,
                apis: apis.map(|apis| apis.iter().copied().map(ApiId::from_number).collect()),
                rate_limited,
                over_budget: false,
            };
            self.directory.apply(Record::Key(record)).unwrap();
            format!("Bearer {}", key.reveal())
        }

        fn decide(&self, target: &str, authorization: &str, now_ms: u64) -> Decision {
            let authorizations = [authorization.as_bytes()];
            let request = Request {
                target: Some(target.as_bytes()),
                authority: Some(b"api.example"),
                authorizations: authorizations.into_iter(),
            };
            decide(&self.rules, Serving::Current(&self.directory), || now_ms, request)
        }
    }

    fn api_of(decision: Decision) -> Result<u64, Decision> {
        match decision {
            Decision::Allowed(admission) => Ok(admission.api.number()),
            other @ (Decision::Exempt | Decision::Refused(_) | Decision::Undecided) => Err(other),
        }
    }

    #[test]
    fn a_key_opens_the_apis_of_its_kind_and_organization() {
        let mut house = House::new();
        let serverless = house.key(ApiKind::Serverless, None, None);
        let dedicated = house.key(ApiKind::Dedicated, None, None);
        assert_eq!(api_of(house.decide("/v1/models", &serverless, 0)), Ok(1));
        assert_eq!(api_of(house.decide("/v1/narrow/x", &serverless, 0)), Ok(4));
        assert_eq!(api_of(house.decide("/own", &dedicated, 0)), Ok(2));
        let refused = |target, key: &str| house.decide(target, key, 0);
        assert_eq!(refused("/own", &serverless), Decision::Refused(Refusal::WrongKind));
        assert_eq!(refused("/v1", &dedicated), Decision::Refused(Refusal::WrongKind));
        assert_eq!(refused("/other", &dedicated), Decision::Refused(Refusal::WrongOrganization));
        assert_eq!(refused("/nowhere", &serverless), Decision::Refused(Refusal::UnknownApi));
    }

    #[test]
    fn scopes_confine_a_key_and_no_scope_left_opens_nothing() {
        let mut house = House::new();
        let scoped = house.key(ApiKind::Serverless, None, Some(&[4]));
        let closed = house.key(ApiKind::Serverless, None, Some(&[]));
        assert_eq!(api_of(house.decide("/v1/narrow", &scoped, 0)), Ok(4));
        let outside = Decision::Refused(Refusal::OutOfScope);
        assert_eq!(house.decide("/v1", &scoped, 0), outside);
        assert_eq!(house.decide("/v1", &closed, 0), outside);
    }

    #[test]
    fn shared_apis_hold_every_key_to_their_limits_and_dedicated_ones_those_that_ask_for_it() {
        let mut house = House::new();
        let rule = Rule { unit: Unit::Requests, limit: 1, window_seconds: 1, burst: 1, mode: Mode::Enforce };
        for (id, path, owner, per) in [(5, "/shared", None, Per::User), (6, "/limited", Some(OWN), Per::Key)] {
            house.api_with(id, path, owner, Some(Policy { per, rules: vec![rule] }));
        }
        let serverless = house.key(ApiKind::Serverless, None, None);
        let free = house.key(ApiKind::Dedicated, None, None);
        let held = house.key_with(ApiKind::Dedicated, None, None, true);
        let counted = |target, key: &str| match house.decide(target, key, 0) {
            Decision::Allowed(admission) => admission.limits.as_ref().map(|limits| admission.counted(limits)),
            other @ (Decision::Exempt | Decision::Refused(_) | Decision::Undecided) => panic!("{other:?}"),
        };
        let user = Subject::User(UserId::from_number(7));
        assert_eq!(counted("/shared", &serverless), Some(Counted { api: ApiId::from_number(5), subject: user }));
        assert_eq!(counted("/v1", &serverless), None);
        assert_eq!(counted("/limited", &free), None);
        let key = Subject::Key(KeyId::from_number(2));
        assert_eq!(counted("/limited", &held), Some(Counted { api: ApiId::from_number(6), subject: key }));
        assert_eq!(counted("/own", &held), None);
    }

    #[test]
    fn a_key_ends_at_its_second() {
        let mut house = House::new();
        let key = house.key(ApiKind::Serverless, Some(5_000), None);
        assert_eq!(api_of(house.decide("/v1", &key, 4_999)), Ok(1));
        assert_eq!(house.decide("/v1", &key, 5_000), Decision::Refused(Refusal::ExpiredKey));
    }

    #[test]
    fn a_deleted_key_is_one_that_never_was() {
        let mut house = House::new();
        let key = house.key(ApiKind::Serverless, None, None);
        let digest = Digest::of(key.strip_prefix("Bearer ").unwrap().as_bytes());
        house.directory.apply(Record::DeleteKey(digest)).unwrap();
        assert_eq!(house.decide("/v1", &key, 0), Decision::Refused(Refusal::UnknownKey));
    }

    #[test]
    fn exempt_paths_and_unsafe_ones_need_no_directory_and_the_rest_waits_or_is_refused() {
        let house = House::new();
        let decide = |target: Option<&[u8]>, serving| {
            let request = Request { target, authority: Some(b"h"), authorizations: [].into_iter() };
            decide(&house.rules, serving, || 0, request)
        };
        for serving in [Serving::Nothing, Serving::Stale] {
            assert_eq!(decide(Some(b"/healthz?x"), serving), Decision::Exempt);
            assert_eq!(decide(Some(b"/v1/../x"), serving), Decision::Refused(Refusal::UnsafePath));
            assert_eq!(decide(None, serving), Decision::Refused(Refusal::UnknownApi));
        }
        assert_eq!(decide(Some(b"/healthz/x"), Serving::Nothing), Decision::Undecided);
        assert_eq!(decide(Some(b"/healthz/x"), Serving::Stale), Decision::Refused(Refusal::NotReady));
    }

    #[test]
    fn a_host_that_cannot_be_read_has_no_api() {
        let mut house = House::new();
        let key = house.key(ApiKind::Serverless, None, None);
        for authority in [None, Some(b"".as_slice()), Some(b"user@h"), Some(b"h/x")] {
            let request =
                Request { target: Some(b"/v1".as_slice()), authority, authorizations: [key.as_bytes()].into_iter() };
            let decision = decide(&house.rules, Serving::Current(&house.directory), || 0, request);
            assert_eq!(decision, Decision::Refused(Refusal::UnknownApi));
        }
    }
}
