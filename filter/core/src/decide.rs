//! The decision on one request, a function of the request, the directory and the time.
//!
//! The order of the questions is the order of the answers that a caller may learn from: first whether the path
//! has one reading at all, then whether the path is exempt, then which API it is for, then who is calling, then
//! whether that caller may, then whether there is any budget left. Limits come after all of that. From the moment that
//! it is known who calls which API, a refusal says so, since it is usage too. Nothing is hashed before the key's check code has been found right, and the clock
//! is read only for a key that has an expiry.

use std::sync::Arc;

use crate::api::{Access, Api, host_of};
use crate::credential::bearer_of;
use crate::digest::Digest;
use crate::directory::{Directory, Serving};
use crate::id::{ApiId, KeyId};
use crate::key::{self, ApiKind, Brand};
use crate::ledger::Account;
use crate::limit::{Counted, Limits};
use crate::outcome::Outcome;
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
    Refused {
        /// Why.
        refusal: Refusal,
        /// Who called, if that is known.
        by: Option<Caller>,
    },
    /// There is no directory yet; ask again when there is.
    Undecided,
}

/// Who calls what: as whose usage a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The key.
    pub key: KeyId,
    /// The API.
    pub api: ApiId,
    /// Which of the API's prices holds now.
    pub price_version: u32,
}

impl Caller {
    /// What the request is counted in once it has ended so.
    pub const fn account(self, outcome: Outcome) -> Account {
        let Self { key, api, price_version } = self;
        Account { key: Some(key), api, price_version, outcome }
    }
}

/// Who was let in, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Who calls what.
    pub caller: Caller,
    /// The key's holder.
    pub owner: Owner,
    /// Whether the upstream is shown the caller's `Authorization` header.
    pub forward_credential: bool,
    /// Whether the tokens of the response are counted.
    pub count_tokens: bool,
    /// What the key is held to here, if to anything.
    pub limits: Option<Arc<Limits>>,
}

impl Admission {
    /// As what the request is counted by these limits.
    pub fn counted(&self, limits: &Limits) -> Counted {
        let Caller { key, api, .. } = self.caller;
        Counted { api, subject: limits.policy().subject(key, self.owner) }
    }
}

/// Decides on a request. `now_ms` gives milliseconds since the Unix epoch by the control plane's clock.
pub fn decide<'a>(
    rules: &Rules,
    serving: Serving<'_>,
    now_ms: impl FnOnce() -> u64,
    request: Request<'a, impl Iterator<Item = &'a [u8]>>,
) -> Decision {
    let refused = |refusal, by| Decision::Refused { refusal, by };
    let Ok(path) = SafePath::read(request.target.unwrap_or_default()) else {
        return refused(refusal_of_target(request.target), None);
    };
    let exempt = |candidate: &String| candidate.as_bytes() == path.as_bytes();
    if rules.exempt_paths.iter().any(exempt) {
        return Decision::Exempt;
    }
    let directory = match serving {
        Serving::Nothing => return Decision::Undecided,
        Serving::Stale => return refused(Refusal::NotReady, None),
        Serving::Current(directory) => directory,
    };
    let called = route(directory, request.authority, path).and_then(|api| {
        let bearer = bearer_of(request.authorizations)?;
        Ok((api, identify(rules, directory, bearer)?))
    });
    let (api, key) = match called {
        Ok(called) => called,
        Err(refusal) => return refused(refusal, None),
    };
    match authorize(directory, api, key, now_ms) {
        Ok(admission) => Decision::Allowed(admission),
        Err(refusal) => refused(refusal, Some(caller(api, key))),
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

fn identify<'d>(rules: &Rules, directory: &'d Directory, bearer: &[u8]) -> Result<FoundKey<'d>, Refusal> {
    key::parse(&rules.brand, bearer).map_err(|_| Refusal::MalformedKey)?;
    directory.keys.find(&Digest::of(bearer)).ok_or(Refusal::UnknownKey)
}

const fn caller(api: &Api, key: FoundKey<'_>) -> Caller {
    Caller { key: key.id, api: api.id, price_version: api.price_version }
}

fn authorize(
    directory: &Directory,
    api: &Api,
    key: FoundKey<'_>,
    now_ms: impl FnOnce() -> u64,
) -> Result<Admission, Refusal> {
    if key.expires_at_seconds.is_some_and(|expiry| now_ms() / 1000 >= u64::from(expiry)) {
        return Err(Refusal::ExpiredKey);
    }
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
    if key.rights.over_budget || directory.is_over_budget(key.owner.organization) {
        return Err(Refusal::QuotaExceeded);
    }
    // Limits are an option of dedicated keys; a shared API holds everyone to its own.
    let is_held = match key.rights.kind {
        ApiKind::Serverless => true,
        ApiKind::Dedicated => key.rights.rate_limited,
    };
    Ok(Admission {
        caller: caller(api, key),
        owner: key.owner,
        forward_credential: api.forward_credential,
        count_tokens: api.count_tokens,
        limits: api.limits.as_ref().filter(|_| is_held).map(Arc::clone),
    })
}

#[cfg(test)]
mod tests;
