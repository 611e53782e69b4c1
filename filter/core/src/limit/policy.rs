//! What an API holds its callers to.

use serde::{Deserialize, Serialize};

use crate::id::{ApiId, KeyId, OrganizationId, UserId};
use crate::table::Owner;

/// The most rules of one policy.
pub const RULES_MAX: usize = 8;
/// The longest window: 31 days.
pub const WINDOW_SECONDS_MAX: u32 = 31 * 24 * 60 * 60;
/// The largest limit and the largest burst: large enough for anything, small enough for exact numbers in JSON and in
/// structured fields (RFC 9651, section 3.3.1).
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// Every rule that a request must pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whose requests are counted together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per: Per,
    /// 1 to [`RULES_MAX`] rules.
    pub rules: Vec<Rule>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What is counted.
    pub unit: Unit,
    /// How many units come back in a window. With zero nothing passes.
    pub limit: u64,
    /// The window's length in seconds, 1 to [`WINDOW_SECONDS_MAX`].
    pub window_seconds: u32,
    /// How many units may come at once. With zero nothing passes.
    pub burst: u64,
    /// What happens to what does not pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Requests, when they come.
    Requests,
    /// Input and output tokens together, once the response says how many there were.
    Tokens,
}

/// What happens to a request that a rule does not let pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and is counted as one that would have been refused.
    Observe,
}

/// What is counted: the requests of one subject to one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counted {
    /// The API.
    pub api: ApiId,
    /// Whose requests.
    pub subject: Subject,
}

/// Whose requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A key's, whatever secret it has.
    Key(KeyId),
    /// A user's.
    User(UserId),
    /// An organization's.
    Organization(OrganizationId),
}

impl Policy {
    /// Whether it is within bounds, so that it can be counted by.
    pub fn is_sound(&self) -> bool {
        let sound = |rule: &Rule| {
            rule.limit <= AMOUNT_MAX
                && rule.burst <= AMOUNT_MAX
                && (1..=WINDOW_SECONDS_MAX).contains(&rule.window_seconds)
        };
        (1..=RULES_MAX).contains(&self.rules.len()) && self.rules.iter().all(sound)
    }

    /// Whose requests those of this key count as.
    pub const fn subject(&self, key: KeyId, owner: Owner) -> Subject {
        match self.per {
            Per::Key => Subject::Key(key),
            Per::User => Subject::User(owner.user),
            Per::Organization => Subject::Organization(owner.organization),
        }
    }

    /// Whether a rule counts tokens, so that responses must be read.
    pub fn counts_tokens(&self) -> bool {
        self.rules.iter().any(|rule| rule.unit == Unit::Tokens)
    }
}

/// What serde asks before it leaves a field out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
