//! Which API a request is for.
//!
//! An API answers under a path prefix, for every host or for some. Among the APIs that cover a request, one
//! that names the host comes before one that takes every host, and then the longest prefix wins, as in the
//! Kubernetes Gateway API. A request that none covers is for no API at all, and is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{ApiId, OrganizationId};
use crate::key::ApiKind;
use crate::limit::Limits;
use crate::path::{Prefix, PrefixError, SafePath};
use crate::wire::ApiRecord;

/// What a worker knows of an API once it has routed a request to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The API's id.
    pub id: ApiId,
    /// Which keys open it.
    pub access: Access,
    /// Whether the upstream is shown the caller's `Authorization` header.
    pub forward_credential: bool,
    /// What it holds its callers to, if to anything.
    pub limits: Option<Arc<Limits>>,
    /// Which of its prices holds now.
    pub price_version: u32,
    /// Whether the tokens of responses are counted.
    pub count_tokens: bool,
}

/// Whose keys open an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The serverless keys of every organization.
    Serverless,
    /// The dedicated keys of its owner.
    Dedicated(OrganizationId),
}

impl Access {
    /// The kind of key that it takes.
    pub const fn kind(self) -> ApiKind {
        match self {
            Self::Serverless => ApiKind::Serverless,
            Self::Dedicated(_) => ApiKind::Dedicated,
        }
    }
}

/// Why a record describes no API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A dedicated API has one owner, a serverless API none.
    #[error("a dedicated API names its organization, a serverless API names none")]
    Owner,
    /// A host is not what [`host_of`] would make of an authority.
    #[error("a host is lower case, without port, and not empty")]
    Host,
    /// A policy is out of bounds.
    #[error("a policy has 1 to 8 rules with windows of 1 s to 31 days and amounts up to 10^12")]
    Limits,
}

/// The APIs of one worker, indexed by host and prefix.
#[derive(Debug, Clone, Default)]
pub struct ApiTable {
    known: HashMap<ApiId, Known>,
    by_host: HashMap<Box<str>, Vec<Route>>,
    any_host: Vec<Route>,
}

/// An API as it was told, and what it holds its callers to.
#[derive(Debug, Clone)]
struct Known {
    record: ApiRecord,
    limits: Option<Arc<Limits>>,
}

#[derive(Debug, Clone)]
struct Route {
    prefix: Arc<Prefix>,
    api: Api,
}

impl ApiTable {
    /// Adds an API or replaces the one with its id.
    pub fn put(&mut self, record: ApiRecord) -> Result<(), ApiError> {
        let (prefix, api) = checked(&record)?;
        self.delete(record.id);
        let limits = api.limits.clone();
        let route = Route { prefix: Arc::new(prefix), api };
        if record.hosts.is_empty() {
            insert(&mut self.any_host, route);
        } else {
            for host in &record.hosts {
                let routes = self.by_host.entry(host.as_str().into()).or_default();
                insert(routes, route.clone());
            }
        }
        self.known.insert(record.id, Known { record, limits });
        Ok(())
    }

    /// Takes an API away; nothing happens if there is none with this id.
    pub fn delete(&mut self, id: ApiId) {
        if self.known.remove(&id).is_none() {
            return;
        }
        self.any_host.retain(|route| route.api.id != id);
        self.by_host.retain(|_, routes| {
            routes.retain(|route| route.api.id != id);
            !routes.is_empty()
        });
    }

    /// The API that answers for this host (as [`host_of`] reads it) and path.
    pub fn find(&self, host: &str, path: SafePath<'_>) -> Option<&Api> {
        let of_host = self.by_host.get(host).map(Vec::as_slice);
        of_host
            .unwrap_or_default()
            .iter()
            .chain(&self.any_host)
            .find(|route| route.prefix.covers(path))
            .map(|route| &route.api)
    }

    /// What the API with this id holds its callers to, if there is one and to anything.
    pub fn limits(&self, id: ApiId) -> Option<&Arc<Limits>> {
        self.known.get(&id)?.limits.as_ref()
    }

    /// How many APIs there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Every API's record, in no order.
    pub fn records(&self) -> impl Iterator<Item = &ApiRecord> {
        self.known.values().map(|known| &known.record)
    }
}

/// Checks a record as the table would, without keeping it.
pub fn checked(record: &ApiRecord) -> Result<(Prefix, Api), ApiError> {
    let prefix = Prefix::read(&record.path_prefix)?;
    let access = match (record.kind, record.organization) {
        (ApiKind::Serverless, None) => Access::Serverless,
        (ApiKind::Dedicated, Some(owner)) => Access::Dedicated(owner),
        (ApiKind::Serverless, Some(_)) | (ApiKind::Dedicated, None) => return Err(ApiError::Owner),
    };
    let plain = |host: &String| host_of(host.as_bytes()).as_deref() == Some(host.as_str());
    if !record.hosts.iter().all(plain) {
        return Err(ApiError::Host);
    }
    let limits = match &record.rate_limit {
        Some(policy) => Some(Arc::new(Limits::new(policy.clone()).ok_or(ApiError::Limits)?)),
        None => None,
    };
    let api = Api {
        id: record.id,
        access,
        forward_credential: record.forward_credential,
        limits,
        price_version: record.price_version,
        count_tokens: record.count_tokens,
    };
    Ok((prefix, api))
}

/// Inserts a route so that longer prefixes stand first, and of equal ones the older API.
fn insert(routes: &mut Vec<Route>, route: Route) {
    let place = routes.partition_point(|other| {
        let (other_length, length) = (other.prefix.specificity(), route.prefix.specificity());
        other_length > length || (other_length == length && other.api.id < route.api.id)
    });
    routes.insert(place, route);
}

/// The host of an `:authority` or `Host` value: lower case, without port and trailing dot.
///
/// `None` for what RFC 3986, section 3.2, does not allow there, and for user information, which RFC 9110,
/// section 4.2.4, tells a server to treat as an error.
pub fn host_of(authority: &[u8]) -> Option<Cow<'_, str>> {
    let text = str::from_utf8(authority).ok()?;
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let is_address = address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        if address.is_empty() || !is_address {
            return None;
        }
        let port = match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return None,
        };
        // All that stands before what follows the address, so that nothing is copied.
        (text.strip_suffix(after)?, port)
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if host.is_empty() || !is_name {
            return None;
        }
        (host, port)
    };
    let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
    let host = if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) };
    (port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Per, Policy};
    use crate::wire::PRICE_VERSION_FIRST;
    use proptest::prelude::*;

    fn serverless(number: u64, hosts: &[&str], path_prefix: &str) -> ApiRecord {
        ApiRecord {
            id: ApiId::from_number(number),
            kind: ApiKind::Serverless,
            organization: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            path_prefix: path_prefix.to_owned(),
            forward_credential: false,
            rate_limit: None,
            price_version: PRICE_VERSION_FIRST,
            count_tokens: true,
        }
    }

    fn found(table: &ApiTable, host: &str, path: &str) -> Option<u64> {
        let path = SafePath::read(path.as_bytes()).unwrap();
        table.find(host, path).map(|api| api.id.number())
    }

    #[test]
    fn the_named_host_comes_first_and_then_the_longest_prefix() {
        let mut table = ApiTable::default();
        table.put(serverless(1, &[], "/v1")).unwrap();
        table.put(serverless(2, &[], "/v1/chat")).unwrap();
        table.put(serverless(3, &["a.example"], "/v1")).unwrap();
        assert_eq!(found(&table, "b.example", "/v1/models"), Some(1));
        assert_eq!(found(&table, "b.example", "/v1/chat/x"), Some(2));
        assert_eq!(found(&table, "a.example", "/v1/chat/x"), Some(3));
        assert_eq!(found(&table, "a.example", "/v2"), None);
    }

    #[test]
    fn a_replaced_api_leaves_its_old_routes_and_a_deleted_one_all() {
        let mut table = ApiTable::default();
        table.put(serverless(1, &["a.example"], "/old")).unwrap();
        table.put(serverless(1, &[], "/new")).unwrap();
        assert_eq!(found(&table, "a.example", "/old"), None);
        assert_eq!(found(&table, "a.example", "/new"), Some(1));
        table.delete(ApiId::from_number(1));
        assert_eq!(found(&table, "a.example", "/new"), None);
        assert!(table.is_empty() && table.by_host.is_empty());
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused_and_changes_nothing() {
        let mut table = ApiTable::default();
        table.put(serverless(1, &[], "/v1")).unwrap();
        let owned = ApiRecord { organization: Some(OrganizationId::from_number(5)), ..serverless(1, &[], "/v2") };
        assert_eq!(table.put(owned), Err(ApiError::Owner));
        assert_eq!(table.put(serverless(1, &["A:1"], "/v2")), Err(ApiError::Host));
        let no_rules = Policy { per: Per::Key, rules: Vec::new() };
        let unsound = ApiRecord { rate_limit: Some(no_rules), ..serverless(1, &[], "/v2") };
        assert_eq!(table.put(unsound), Err(ApiError::Limits));
        assert!(table.put(serverless(1, &[], "v2")).is_err());
        assert_eq!(found(&table, "x", "/v1"), Some(1));
    }

    #[test]
    fn an_authority_has_one_host_or_none() {
        let cases = [
            ("API.Example.COM:443", Some("api.example.com")),
            ("example.com.", Some("example.com")),
            ("127.0.0.1:10000", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("user@example.com", None),
            ("a b", None),
            ("a/b", None),
            ("a:b", None),
            ("a:123456", None),
            ("a:1:2", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[]", None),
        ];
        for (authority, host) in cases {
            assert_eq!(host_of(authority.as_bytes()).as_deref(), host, "{authority}");
        }
        assert_eq!(host_of(b"\xff"), None);
    }

    proptest! {
        /// The index agrees with a plain search through all records.
        #[test]
        fn the_index_finds_what_a_search_finds(
            records in prop::collection::vec(
                (0_u64..6, prop::collection::vec("[ab]", 0..2), "(/[xy]){0,3}/?"), 0..12),
            deleted in prop::collection::vec(0_u64..6, 0..3),
            host in "[abc]",
            path in "(/[xy]){1,4}",
        ) {
            let mut table = ApiTable::default();
            let mut model = HashMap::new();
            for (number, hosts, prefix) in records {
                let hosts = hosts.iter().map(String::as_str).collect::<Vec<_>>();
                let prefix = if prefix.is_empty() { "/".to_owned() } else { prefix };
                let record = serverless(number, &hosts, &prefix);
                table.put(record.clone()).unwrap();
                model.insert(number, record);
            }
            for number in deleted {
                table.delete(ApiId::from_number(number));
                model.remove(&number);
            }
            let path = SafePath::read(path.as_bytes()).unwrap();
            let best = model
                .values()
                .filter(|record| record.hosts.is_empty() || record.hosts.contains(&host))
                .map(|record| (record, Prefix::read(&record.path_prefix).unwrap()))
                .filter(|(_, prefix)| prefix.covers(path))
                .min_by_key(|(record, prefix)| {
                    (record.hosts.is_empty(), usize::MAX - prefix.specificity(), record.id)
                })
                .map(|(record, _)| record.id);
            prop_assert_eq!(table.find(&host, path).map(|api| api.id), best);
            prop_assert_eq!(table.len(), model.len());
        }
    }
}
