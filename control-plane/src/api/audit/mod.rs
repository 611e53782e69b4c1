//! `/v1/audit`: read who did what, and what was refused to whom.

pub mod list;

use std::net::IpAddr;

use portcullis_core::id::{OrganizationId, TokenId, UserId};
use portcullis_core::wire::Revision;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::actor::Actor;
use crate::domain::audit::{Action, Outcome, Recorded};
use crate::domain::timestamp::Timestamp;

/// What came of what was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeName {
    /// It was done.
    Done,
    /// It was refused, and nothing changed.
    Refused,
}

/// An entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its place: later entries have higher numbers.
    sequence: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who; null for the control plane itself, its command line, and someone whom the reader may not know of.
    #[schema(value_type = Option<String>, required = true)]
    user: Option<UserId>,
    /// What they are called.
    #[schema(required = true)]
    user_name: Option<String>,
    /// By which access token.
    #[schema(value_type = Option<String>, required = true)]
    token: Option<TokenId>,
    action: Action,
    /// The id of what it was done to; null for a refusal of something that has none.
    #[schema(required = true)]
    subject: Option<String>,
    /// Whose that is; for a refusal, where the caller belongs.
    #[schema(value_type = Option<String>, required = true)]
    organization: Option<OrganizationId>,
    outcome: OutcomeName,
    /// The HTTP status of a refusal; null for what was done.
    #[schema(required = true, minimum = 400, maximum = 499)]
    status: Option<u16>,
    /// The address from which it came.
    #[schema(value_type = Option<String>, required = true, example = "192.0.2.7")]
    origin: Option<IpAddr>,
    /// The revision by which filters learn of it; null if they need not.
    #[schema(required = true)]
    revision: Option<Revision>,
    /// What it was before; null for what is new.
    #[schema(value_type = Option<Object>, required = true)]
    before: Option<Value>,
    /// What it was afterwards; null for what is gone.
    #[schema(value_type = Option<Object>, required = true)]
    after: Option<Value>,
}

impl AuditEntry {
    /// The entry as `reader` may know it.
    fn new(entry: Recorded, reader: Actor) -> Self {
        let known = reader.sees_someone_of(entry.user_organization);
        let (outcome, status) = match entry.outcome {
            Outcome::Done => (OutcomeName::Done, None),
            Outcome::Refused(status) => (OutcomeName::Refused, Some(status)),
        };
        Self {
            sequence: entry.sequence,
            at: entry.at,
            user: entry.user.filter(|_| known),
            user_name: entry.user_name.filter(|_| known),
            token: entry.token.filter(|_| known),
            action: entry.action,
            subject: entry.subject,
            organization: entry.organization,
            outcome,
            status,
            origin: entry.origin.filter(|_| known),
            revision: entry.revision,
            before: entry.before,
            after: entry.after,
        }
    }
}
