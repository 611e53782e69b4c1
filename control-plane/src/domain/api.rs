//! Model APIs: where they answer, who may call them, what policy and price they have.

use portcullis_core::api::{Access, host_of};
use portcullis_core::id::ApiId;
use portcullis_core::limit::{self, AMOUNT_MAX, Policy, RULES_MAX, WINDOW_SECONDS_MAX};
use portcullis_core::path::Prefix;
use portcullis_core::wire::ApiRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::Faults;
use super::name::Name;
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
    let plain = host.len() <= HOST_BYTES_MAX && host_of(host.as_bytes()).as_ref() == Some(&host);
    plain.then_some(host).ok_or("expected a host name or address without port, such as models.example.com")
}

/// The policy that an API holds its callers to: every rule of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Whose requests are counted together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per: Per,
    /// 1 to 8 rules, all of which a call must pass.
    #[schema(min_items = 1, max_items = 8)]
    pub rules: Vec<Rule>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Those of one key.
    #[default]
    Key,
    /// Those of all keys that one user has issued.
    User,
    /// Those of all keys of one organization.
    Organization,
}

/// `burst` units at once, and `limit` more in each window, evenly spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is counted.
    pub unit: Unit,
    /// How many units come back in a window. Zero allows none.
    #[schema(maximum = 1_000_000_000_000_u64, example = 60)]
    pub limit: u64,
    /// The window's length in seconds, at most 31 days.
    #[schema(minimum = 1, maximum = 2_678_400, example = 60)]
    pub window_seconds: u32,
    /// How many units may come at once; `limit` if it is left out. Zero allows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub burst: Option<u64>,
    /// What happens to what does not pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
}

/// What happens to a call that a rule does not let pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and is counted as one that would have been refused.
    Observe,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Requests,
    /// Input and output tokens together.
    Tokens,
}

/// What serde asks before it leaves a field out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RateLimit {
    /// What workers know of it.
    pub fn policy(&self) -> Policy {
        let per = match self.per {
            Per::Key => limit::Per::Key,
            Per::User => limit::Per::User,
            Per::Organization => limit::Per::Organization,
        };
        Policy { per, rules: self.rules.iter().map(Rule::rule).collect() }
    }

    /// What is wrong with the policy, by field.
    pub fn check(&self, faults: &mut Faults) {
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            let detail = format!("give 1 to {RULES_MAX} rules, or null for no limit");
            faults.add("/rate_limit/rules", detail);
        }
        for (index, rule) in self.rules.iter().take(RULES_MAX).enumerate() {
            let at = |field: &str| format!("/rate_limit/rules/{index}/{field}");
            if rule.limit > AMOUNT_MAX {
                faults.add(at("limit"), format!("at most {AMOUNT_MAX}"));
            }
            if rule.burst.is_some_and(|burst| burst > AMOUNT_MAX) {
                faults.add(at("burst"), format!("at most {AMOUNT_MAX}"));
            }
            if !(1..=WINDOW_SECONDS_MAX).contains(&rule.window_seconds) {
                faults.add(at("window_seconds"), format!("1 to {WINDOW_SECONDS_MAX}"));
            }
        }
    }
}

impl Rule {
    fn rule(&self) -> limit::Rule {
        limit::Rule {
            unit: match self.unit {
                Unit::Requests => limit::Unit::Requests,
                Unit::Tokens => limit::Unit::Tokens,
            },
            limit: self.limit,
            window_seconds: self.window_seconds,
            burst: self.burst.unwrap_or(self.limit),
            mode: match self.mode {
                Mode::Enforce => limit::Mode::Enforce,
                Mode::Observe => limit::Mode::Observe,
            },
        }
    }
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

    #[test]
    fn a_limit_of_zero_is_a_policy_and_an_empty_policy_is_none() {
        let check = |rules: Vec<Rule>| {
            let mut faults = Faults::default();
            RateLimit { per: Per::Key, rules }.check(&mut faults);
            faults.check().is_ok()
        };
        let none_pass = Rule { unit: Unit::Requests, limit: 0, window_seconds: 60, burst: None, mode: Mode::Enforce };
        assert!(check(vec![none_pass]));
        assert!(!check(Vec::new()));
        assert!(!check(vec![Rule { window_seconds: 0, ..none_pass }]));
        assert!(!check(vec![Rule { limit: u64::MAX, ..none_pass }]));
        assert!(!check(vec![none_pass; 9]));
    }
}
