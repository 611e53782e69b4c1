//! How the request of a known key to a known API ended: what usage is counted by.
//!
//! A request that names no key, or none that there is, is nobody's usage; Envoy's statistics count it.

use serde::{Deserialize, Serialize};

use crate::verdict::Refusal;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Outcome {
    /// It was let through, and answered with a status of this class.
    Answered(StatusClass),
    /// It was let through, and no response came: the caller, or the way to the upstream, was gone before.
    Unanswered,
    /// It was refused.
    Refused(Refusal),
}

/// The class of a status (RFC 9110, section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusClass {
    /// 200 to 299, and 101, with which a connection goes over to another protocol.
    Success,
    /// 300 to 399.
    Redirect,
    /// 400 to 499.
    ClientError,
    /// 500 to 599, and whatever is no status.
    ServerError,
}

/// Why a text is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no outcome is called {0:?}")]
pub struct UnknownOutcome(String);

impl StatusClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Success, Self::Redirect, Self::ClientError, Self::ServerError];

    /// The class of a status.
    pub const fn of(status: u16) -> Self {
        match status {
            101 | 200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

impl Outcome {
    /// Every outcome: those of calls first, then the refusals of known keys at known APIs.
    pub const ALL: [Self; 12] = [
        Self::Answered(StatusClass::Success),
        Self::Answered(StatusClass::Redirect),
        Self::Answered(StatusClass::ClientError),
        Self::Answered(StatusClass::ServerError),
        Self::Unanswered,
        Self::Refused(Refusal::ExpiredKey),
        Self::Refused(Refusal::WrongKind),
        Self::Refused(Refusal::WrongOrganization),
        Self::Refused(Refusal::OutOfScope),
        Self::Refused(Refusal::QuotaExceeded),
        Self::Refused(Refusal::RateLimited),
        Self::Refused(Refusal::NotReady),
    ];

    /// Its name in messages, tables and metrics: the class, `unanswered`, or the label of the refusal.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered(class) => class.label(),
            Self::Unanswered => "unanswered",
            Self::Refused(refusal) => refusal.row().label,
        }
    }

    /// Whether the request was let through, and so is a call that has its price.
    pub const fn is_call(self) -> bool {
        match self {
            Self::Answered(_) | Self::Unanswered => true,
            Self::Refused(_) => false,
        }
    }
}

impl From<Outcome> for &'static str {
    fn from(outcome: Outcome) -> Self {
        outcome.label()
    }
}

impl TryFrom<String> for Outcome {
    type Error = UnknownOutcome;

    fn try_from(label: String) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.label() == label).ok_or(UnknownOutcome(label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_outcome_has_a_name_of_its_own_and_is_read_back_from_it() {
        let labels = Outcome::ALL.map(Outcome::label);
        assert_eq!(labels.iter().collect::<HashSet<_>>().len(), labels.len());
        for outcome in Outcome::ALL {
            let json = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
        }
        assert!(serde_json::from_str::<Outcome>("\"missing_credential\"").is_err());
    }
}
