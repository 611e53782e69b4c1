//! What the console reads of the admin API's answers: of each thing, the fields that some page shows.
//!
//! Ids and instants stay the texts that they are; kinds, states, roles and policies are the API's own closed lists.

use serde::Deserialize;
use serde_json::Value;

use crate::api::advice::ReasonName;
use crate::api::keys::{KindName, StatusName};
use crate::domain::api::Price;
use crate::domain::audit::Action;
use crate::domain::budget::Budget;
use crate::domain::rate_limit::RateLimit;
use crate::domain::user::RoleName;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct List<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins, if there is one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// Who is signed in.
#[derive(Debug, Clone, Deserialize)]
pub struct Me {
    pub user: String,
    pub name: String,
    pub role: RoleName,
    pub organization: Option<String>,
    pub organization_name: Option<String>,
    pub has_password: bool,
    pub token: String,
}

/// An organization.
#[derive(Debug, Clone, Deserialize)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub monthly_budget: Option<Budget>,
    pub over_budget: bool,
    pub created_at: String,
}

/// Organizations to choose from in a form, by id, after what stands for none of them.
pub fn choices<'a>(none: Option<&'a str>, organizations: &'a [Organization]) -> Vec<(&'a str, &'a str)> {
    let none = none.map(|none| ("", none)).into_iter();
    none.chain(organizations.iter().map(|organization| (organization.id.as_str(), organization.name.as_str())))
        .collect()
}

/// A key.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    pub id: String,
    pub masked: String,
    pub kind: KindName,
    pub name: String,
    pub organization: String,
    pub created_by_name: String,
    pub issued_at: String,
    pub expires_at: Option<String>,
    pub apis: Option<Vec<String>>,
    pub rate_limit_enabled: bool,
    pub monthly_budget: Option<Budget>,
    pub over_budget: bool,
    pub status: StatusName,
    pub last_used_at: Option<String>,
    pub overlap_ends_at: Option<String>,
}

/// A key with its secret, and how far it has come.
#[derive(Debug, Clone, Deserialize)]
pub struct IssuedKey {
    #[serde(flatten)]
    pub key: Key,
    #[serde(rename = "key")]
    pub secret: String,
    pub propagation: Option<Propagation>,
}

/// What a write has left, as far as its receipt goes.
#[derive(Debug, Clone, Deserialize)]
pub struct Written {
    pub propagation: Option<Propagation>,
}

/// How far a revision has come.
#[derive(Debug, Clone, Deserialize)]
pub struct Propagation {
    pub revision: u64,
    pub status: PropagationStatus,
    pub workers_total: u64,
    pub workers_applied: u64,
    pub workers_stopped: u64,
    pub elapsed_ms: Option<u64>,
    pub pending: Vec<PendingWorker>,
    pub enforced_by: Option<String>,
    pub settling_until: Option<String>,
}

/// Whether a change is enforced everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropagationStatus {
    Complete,
    Pending,
}

/// A worker that has not applied a change.
#[derive(Debug, Clone, Deserialize)]
pub struct PendingWorker {
    pub gateway: String,
    pub node: Option<String>,
    pub worker: String,
    pub last_seen_at: String,
}

/// An access token.
#[derive(Debug, Clone, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub masked: String,
    pub user: String,
    pub bootstrap: bool,
    pub created_at: String,
    pub expires_at: Option<String>,
}

/// An access token with its secret.
#[derive(Debug, Clone, Deserialize)]
pub struct IssuedToken {
    pub token: String,
    pub name: String,
}

/// An API.
#[derive(Debug, Clone, Deserialize)]
pub struct Api {
    pub id: String,
    pub name: String,
    pub kind: KindName,
    pub organization: Option<String>,
    #[serde(rename = "match")]
    pub route: Route,
    pub rate_limit: Option<RateLimit>,
    pub price: Option<Price>,
    pub count_tokens: bool,
    pub forward_credential: bool,
}

/// Where an API answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Route {
    pub hosts: Option<Vec<String>>,
    pub path_prefix: String,
}

/// Usage, as much of it as a page shows.
#[derive(Debug, Clone, Deserialize)]
pub struct Usage {
    pub from: String,
    pub to: String,
    pub items: Vec<UsageItem>,
    pub total: Counts,
    pub next_cursor: Option<String>,
}

/// What was used in one way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct UsageItem {
    pub key: Option<String>,
    pub key_name: Option<String>,
    pub key_masked: Option<String>,
    pub user: Option<String>,
    pub user_name: Option<String>,
    pub organization: Option<String>,
    pub organization_name: Option<String>,
    pub api: Option<String>,
    pub api_name: Option<String>,
    pub hour: Option<String>,
    pub day: Option<String>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// How much was used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub calls: u64,
    pub refused: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    pub estimated: u64,
    pub cost_micros: u64,
}

impl Counts {
    /// Whether there was any request.
    pub const fn is_any(&self) -> bool {
        self.calls > 0 || self.refused > 0
    }
}

/// A piece of advice.
#[derive(Debug, Clone, Deserialize)]
pub struct AdviceItem {
    pub reason: ReasonName,
    pub key: AdvisedKey,
    pub detail: String,
    pub mend: Mend,
}

/// A key, as far as advice speaks of it.
#[derive(Debug, Clone, Deserialize)]
pub struct AdvisedKey {
    pub id: String,
    pub name: String,
    pub masked: String,
    pub created_by_name: String,
    pub last_used_at: Option<String>,
    pub expires_at: Option<String>,
}

/// The call that follows a piece of advice.
#[derive(Debug, Clone, Deserialize)]
pub struct Mend {
    pub method: String,
    pub path: String,
    pub body: Option<Value>,
}

/// A gateway, without its token.
#[derive(Debug, Clone, Deserialize)]
pub struct Gateway {
    pub id: String,
    pub name: String,
    pub masked: String,
    pub created_at: String,
    pub apis: Option<Vec<String>>,
    pub max_staleness_seconds: Option<u64>,
    pub workers: Vec<Worker>,
}

/// A worker of an Envoy.
#[derive(Debug, Clone, Deserialize)]
pub struct Worker {
    pub id: String,
    pub node: Option<String>,
    pub last_seen_at: String,
    pub revision: Option<u64>,
    pub lag: Option<u64>,
    pub memory_bytes: Option<u64>,
}

/// A gateway with its token.
#[derive(Debug, Clone, Deserialize)]
pub struct IssuedGateway {
    pub id: String,
    pub name: String,
    pub token: String,
}

/// A user.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub id: String,
    pub name: String,
    pub role: RoleName,
    pub organization: Option<String>,
    pub has_password: bool,
    pub created_at: String,
}

/// An entry of the audit.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditEntry {
    pub at: String,
    pub user: Option<String>,
    pub user_name: Option<String>,
    pub action: Action,
    pub subject: Option<String>,
    pub status: Option<u16>,
    pub origin: Option<String>,
    pub revision: Option<u64>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}
