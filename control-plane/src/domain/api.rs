//! Model APIs: where they answer, who may call them, what policy and price they have.

use portcullis_core::api::{Access, host_of};
use portcullis_core::id::ApiId;
use portcullis_core::limit::AMOUNT_MAX;
use portcullis_core::path::Prefix;
use portcullis_core::wire::ApiRecord;
#[cfg(doc)]
use portcullis_core::wire::PRICE_VERSION_FIRST;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::Faults;
use super::name::Name;
use super::rate_limit::{RateLimit, Unit};
use super::timestamp::Timestamp;

/// The most hosts that one API can name.
pub const HOSTS_MAX: usize = 50;
/// The longest host name (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// The longest path prefix.
const PREFIX_BYTES_MAX: usize = 1024;

/// An API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Its id.
    pub id: ApiId,
    /// Its name, which no other has.
    pub name: Name,
    /// Whose keys open it.
    pub access: Access,
    /// Where it answers.
    pub route: Route,
    /// The policy that it holds callers to, if any.
    pub rate_limit: Option<RateLimit>,
    /// What a call costs, if anything.
    pub price: Option<Price>,
    /// Which of its prices that is: they are numbered from [`PRICE_VERSION_FIRST`] on.
    pub price_version: u32,
    /// Whether the tokens of responses are counted.
    pub count_tokens: bool,
    /// Whether its upstream is shown the caller's `Authorization` header.
    pub forward_credential: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Api {
    /// What workers know of it.
    pub fn record(&self) -> ApiRecord {
        ApiRecord {
            id: self.id,
            kind: self.access.kind(),
            organization: match self.access {
                Access::Serverless => None,
                Access::Dedicated(owner) => Some(owner),
            },
            hosts: self.route.hosts.clone(),
            path_prefix: self.route.path_prefix.as_str().to_owned(),
            forward_credential: self.forward_credential,
            rate_limit: self.rate_limit.as_ref().map(RateLimit::policy),
            price_version: self.price_version,
            count_tokens: self.count_tokens,
        }
    }
}

/// The hosts and the path prefix under which an API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Lower case, without port, sorted, each once; empty for every host.
    pub hosts: Vec<String>,
    /// The path prefix.
    pub path_prefix: Prefix,
}

impl Route {
    /// Reads hosts and a prefix; `None` stands for every host. An empty list is refused: it would name no host.
    pub fn parse(hosts: Option<&[String]>, path_prefix: &str) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut read = Vec::new();
        if let Some(hosts) = hosts {
            if hosts.is_empty() || hosts.len() > HOSTS_MAX {
                let detail = format!("name 1 to {HOSTS_MAX} hosts, or leave it out for every host");
                faults.add("/match/hosts", detail);
            }
            for (index, host) in hosts.iter().take(HOSTS_MAX).enumerate() {
                let pointer = format!("/match/hosts/{index}");
                read.extend(faults.take(&pointer, parse_host(host)));
            }
        }
        read.sort();
        read.dedup();
        let prefix = if path_prefix.len() > PREFIX_BYTES_MAX {
            Err(format!("a path prefix has at most {PREFIX_BYTES_MAX} bytes"))
        } else {
            Prefix::read(path_prefix).map_err(|error| error.to_string())
        };
        let prefix = faults.take("/match/path_prefix", prefix);
        faults.check()?;
        let path_prefix = prefix.ok_or_else(Faults::default)?;
        Ok(Self { hosts: read, path_prefix })
    }

    /// Whether some request would match both equally well, so that which API answers would be a matter of luck.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_hosts = if self.hosts.is_empty() || other.hosts.is_empty() {
            self.hosts.is_empty() && other.hosts.is_empty()
        } else {
            self.hosts.iter().any(|host| other.hosts.contains(host))
        };
        same_hosts && self.path_prefix == other.path_prefix
    }
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    let host = text.to_ascii_lowercase();
    let plain = host.len() <= HOST_BYTES_MAX && host_of(host.as_bytes()).as_deref() == Some(host.as_str());
    plain.then_some(host).ok_or("expected a host name or address without port, such as models.example.com")
}

/// What a call costs, in millionths of the deployment's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For each call.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000_000_u64, example = 100)]
    pub per_call_micros: u64,
    /// For a million input tokens.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000_000_u64, example = 150_000)]
    pub per_million_input_tokens_micros: u64,
    /// For a million output tokens.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000_000_u64, example = 600_000)]
    pub per_million_output_tokens_micros: u64,
}

impl Price {
    /// Whether it depends on tokens.
    const fn is_by_token(&self) -> bool {
        self.per_million_input_tokens_micros > 0 || self.per_million_output_tokens_micros > 0
    }

    /// What is wrong with the price, by field.
    pub fn check(&self, faults: &mut Faults) {
        let amounts = [
            ("/price/per_call_micros", self.per_call_micros),
            ("/price/per_million_input_tokens_micros", self.per_million_input_tokens_micros),
            ("/price/per_million_output_tokens_micros", self.per_million_output_tokens_micros),
        ];
        for (pointer, amount) in amounts {
            if amount > AMOUNT_MAX {
                faults.add(pointer, format!("at most {AMOUNT_MAX}"));
            }
        }
    }
}

/// Whether what an API is to count is enough for its policy and its price.
pub fn check_counting(count_tokens: bool, rate_limit: Option<&RateLimit>, price: Option<&Price>, faults: &mut Faults) {
    let limits_tokens = rate_limit.is_some_and(|policy| policy.rules.iter().any(|rule| rule.unit == Unit::Tokens));
    let has_token_price = price.is_some_and(Price::is_by_token);
    if !count_tokens && (limits_tokens || has_token_price) {
        faults.add("/count_tokens", "a rule that counts tokens and a price for tokens need it to be true");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(hosts: &[&str], prefix: &str) -> Result<Route, Faults> {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        Route::parse((!hosts.is_empty()).then_some(hosts.as_slice()), prefix)
    }

    #[test]
    fn routes_overlap_when_one_request_could_mean_both_equally() {
        let overlap = |a: (&[&str], &str), b: (&[&str], &str)| {
            let (a, b) = (route(a.0, a.1).unwrap(), route(b.0, b.1).unwrap());
            assert_eq!(a.overlaps(&b), b.overlaps(&a));
            a.overlaps(&b)
        };
        assert!(overlap((&[], "/v1"), (&[], "/v1/")));
        assert!(overlap((&["a", "b"], "/v1"), (&["B", "c"], "/v1")));
        assert!(!overlap((&[], "/v1"), (&["a"], "/v1")));
        assert!(!overlap((&["a"], "/v1"), (&["b"], "/v1")));
        assert!(!overlap((&[], "/v1"), (&[], "/v1/chat")));
    }

    #[test]
    fn every_fault_of_a_route_is_named_at_once() {
        let hosts = ["a".to_owned(), "a:80".to_owned(), "x y".to_owned()];
        let faults = Route::parse(Some(&hosts), "v1").unwrap_err().into_vec();
        let pointers = faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>();
        assert_eq!(pointers, ["/match/hosts/1", "/match/hosts/2", "/match/path_prefix"]);
        assert!(Route::parse(Some(&[]), "/v1").is_err());
    }
}
