//! Every outcome that a request can have, and the one table that says what each looks like from outside.
//!
//! A refusal is an RFC 9457 problem document whose extension member `error` has the shape that OpenAI client
//! libraries parse, and for credentials a challenge as RFC 6750, section 3, asks. 401 says that the key is
//! wrong; 503 says that this filter cannot judge yet. Text for people is the same for everyone who is refused
//! for one reason: it never says whether a key once existed.

use serde::Serialize;

use crate::month::next_month_ms;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// No `Authorization` header with a bearer credential.
    MissingCredential,
    /// More than one credential: which one counts would be a guess.
    AmbiguousCredential,
    /// Not the text of a key of this deployment.
    MalformedKey,
    /// No key has this digest: deleted and never issued look the same.
    UnknownKey,
    /// The key's expiry has come.
    ExpiredKey,
    /// A serverless key at a dedicated API, or the other way round.
    WrongKind,
    /// A dedicated key of another organization than the API's owner.
    WrongOrganization,
    /// The key is confined to other APIs.
    OutOfScope,
    /// No API answers for this host and path.
    UnknownApi,
    /// The path can be read in more than one way.
    UnsafePath,
    /// The key or its organization has used up its budget of this month.
    QuotaExceeded,
    /// More than the API's policy allows.
    RateLimited,
    /// No key set has arrived yet, and the request has waited long enough; or the one that is there may be too old.
    NotReady,
}

/// What a refusal looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The HTTP status.
    pub status: u16,
    /// The machine-readable code in the body.
    pub code: &'static str,
    /// The label in metrics; unlike the code it tells all refusals apart.
    pub label: &'static str,
    /// What a person reads first.
    pub title: &'static str,
    /// What a person can do about it.
    pub detail: &'static str,
    /// The challenge that goes with it.
    pub challenge: Challenge,
    /// When it helps to come again.
    pub retry: Retry,
}

/// When it helps to send a refused request again: the value of `Retry-After` (RFC 9110, section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nobody knows, or only whoever has refused it, as limits do.
    Unsaid,
    /// After so many seconds.
    After(u64),
    /// When the month turns (UTC). Clients that would try again at once are told not to.
    NextMonth,
}

/// The header by which OpenAI's client libraries are told whether to try again by themselves.
pub const SHOULD_RETRY_HEADER: &str = "x-should-retry";

/// The `WWW-Authenticate` header of a refusal (RFC 6750, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// None: the credential is not what is wrong.
    None,
    /// The scheme alone, for a request that presented nothing.
    Bare,
    /// With an error code.
    Error(&'static str),
}

const INVALID_KEY: &str = "Incorrect API key provided. Check that the whole key was copied and that it has not been \
                           deleted or reissued.";
/// The problem type of a refusal by limits.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const INVALID_TOKEN: Challenge = Challenge::Error("invalid_token");
const INSUFFICIENT_SCOPE: Challenge = Challenge::Error("insufficient_scope");

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 13] = [
        Self::MissingCredential,
        Self::AmbiguousCredential,
        Self::MalformedKey,
        Self::UnknownKey,
        Self::ExpiredKey,
        Self::WrongKind,
        Self::WrongOrganization,
        Self::OutOfScope,
        Self::UnknownApi,
        Self::UnsafePath,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::NotReady,
    ];

    /// The refusal's row: the table.
    #[rustfmt::skip]
    pub const fn row(self) -> Row {
        match self {
            Self::MissingCredential => row(401, "missing_api_key", "missing_credential", "Missing API key",
                "You did not provide an API key. Send it in the Authorization header: Authorization: Bearer YOUR_API_KEY.",
                Challenge::Bare),
            Self::AmbiguousCredential => row(400, "invalid_request", "ambiguous_credential", "More than one credential",
                "The request carries more than one credential. Send exactly one Authorization header with one API key.",
                Challenge::None),
            Self::MalformedKey => row(401, "invalid_api_key", "malformed_key", "Invalid API key",
                INVALID_KEY, INVALID_TOKEN),
            Self::UnknownKey => row(401, "invalid_api_key", "unknown_key", "Invalid API key",
                INVALID_KEY, INVALID_TOKEN),
            Self::ExpiredKey => row(401, "expired_api_key", "expired_key", "Expired API key",
                "This API key has expired. Issue a new key, or reissue this one with a new expiration date.",
                INVALID_TOKEN),
            Self::WrongKind => row(403, "insufficient_scope", "wrong_kind", "Not allowed with this API key",
                "This API takes keys of the other kind: serverless keys open serverless APIs, dedicated keys open dedicated APIs.",
                INSUFFICIENT_SCOPE),
            Self::WrongOrganization => row(403, "insufficient_scope", "wrong_organization", "Not allowed with this API key",
                "This API belongs to another organization than this API key.",
                INSUFFICIENT_SCOPE),
            Self::OutOfScope => row(403, "insufficient_scope", "out_of_scope", "Not allowed with this API key",
                "This API key is limited to other APIs.",
                INSUFFICIENT_SCOPE),
            Self::UnknownApi => row(404, "unknown_api", "unknown_api", "Unknown API",
                "No API answers at this host and path. Check the base URL.",
                Challenge::None),
            Self::UnsafePath => row(400, "invalid_path", "unsafe_path", "Invalid path",
                "The path can be read in more than one way. Send it without empty, dot or encoded segments.",
                Challenge::None),
            Self::QuotaExceeded => Row {
                retry: Retry::NextMonth,
                ..row(429, "quota_exceeded", "quota_exceeded", "Budget used up",
                    "This API key or its organization has used up its budget of this month. A new one begins with the next month (UTC).",
                    Challenge::None)
            },
            Self::RateLimited => row(429, "rate_limit_exceeded", "rate_limited", "Rate limit reached",
                "This API key has used up what this API allows it for now. Try again later.",
                Challenge::None),
            Self::NotReady => Row {
                retry: Retry::After(1),
                ..row(503, "not_ready", "not_ready", "Not ready",
                    "The gateway does not know which API keys are valid now. Try again in a moment.",
                    Challenge::None)
            },
        }
    }

    /// The body of the refusal: an RFC 9457 problem document, as JSON.
    pub fn body(self) -> Vec<u8> {
        let row = self.row();
        self.problem(row.detail, error_type(row.status), "about:blank", None)
    }

    /// The body of a refusal by limits. `unit` is what was used up, as OpenAI's own API says it in `error.type`; the
    /// problem type and `violated-policies` are those of draft-ietf-httpapi-ratelimit-headers-11, section 5.1.
    pub fn limited_body(detail: &str, unit: &str, violated: &[&str]) -> Vec<u8> {
        Self::RateLimited.problem(detail, unit, QUOTA_EXCEEDED, Some(violated))
    }

    fn problem(self, detail: &str, error_type: &str, problem_type: &str, violated: Option<&[&str]>) -> Vec<u8> {
        let row = self.row();
        let problem = Problem {
            r#type: problem_type,
            title: row.title,
            status: row.status,
            detail,
            violated_policies: violated,
            error: OpenAiError { message: detail, r#type: error_type, code: row.code, param: None },
        };
        // Serializing strings and numbers into memory cannot fail; a body is not worth a panic either way.
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// The headers of the refusal, lower case. `realm` must be free of `"` and `\`; `now_ms` gives milliseconds since the
    /// Unix epoch by the control plane's clock.
    pub fn headers(self, realm: &str, now_ms: impl FnOnce() -> u64) -> Vec<(&'static str, String)> {
        let row = self.row();
        let mut headers =
            vec![("content-type", "application/problem+json".to_owned()), ("cache-control", "no-store".to_owned())];
        match row.challenge {
            Challenge::None => {}
            Challenge::Bare => {
                headers.push(("www-authenticate", format!("Bearer realm=\"{realm}\"")));
            }
            Challenge::Error(error) => {
                headers.push(("www-authenticate", format!("Bearer realm=\"{realm}\", error=\"{error}\"")))
            }
        }
        match row.retry {
            Retry::Unsaid => {}
            Retry::After(seconds) => headers.push(("retry-after", seconds.to_string())),
            Retry::NextMonth => {
                let now_ms = now_ms();
                let wait_ms = next_month_ms(now_ms).saturating_sub(now_ms);
                headers.push(("retry-after", wait_ms.div_ceil(1_000).to_string()));
                headers.push((SHOULD_RETRY_HEADER, "false".to_owned()));
            }
        }
        headers
    }
}

/// A row that says nothing of coming again.
const fn row(
    status: u16,
    code: &'static str,
    label: &'static str,
    title: &'static str,
    detail: &'static str,
    challenge: Challenge,
) -> Row {
    Row { status, code, label, title, detail, challenge, retry: Retry::Unsaid }
}

/// The `error.type` that OpenAI's own API uses with a status.
const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        503 => "server_error",
        _ => "invalid_request_error",
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<&'a [&'a str]>,
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'a str,
    code: &'a str,
    param: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_refusal_has_its_own_label_and_an_error_status() {
        let labels = Refusal::ALL.map(|refusal| refusal.row().label);
        assert_eq!(labels.iter().collect::<HashSet<_>>().len(), labels.len());
        for refusal in Refusal::ALL {
            assert!((400..600).contains(&refusal.row().status), "{refusal:?}");
        }
    }

    #[test]
    fn deleted_and_mistyped_keys_look_the_same() {
        let (unknown, malformed) = (Refusal::UnknownKey, Refusal::MalformedKey);
        assert_eq!(unknown.body(), malformed.body());
        assert_eq!(unknown.headers("r", || 0), malformed.headers("r", || 0));
    }

    #[test]
    fn a_challenge_goes_with_every_401_and_waiting_with_every_503_and_with_a_used_up_budget() {
        for refusal in Refusal::ALL {
            let row = refusal.row();
            let names = refusal.headers("r", || 0).into_iter().map(|(name, _)| name);
            let names = names.collect::<HashSet<_>>();
            assert!(row.status != 401 || names.contains("www-authenticate"), "{refusal:?}");
            let is_over_budget = refusal == Refusal::QuotaExceeded;
            assert_eq!(row.status == 503 || is_over_budget, names.contains("retry-after"), "{refusal:?}");
            assert_eq!(is_over_budget, names.contains(SHOULD_RETRY_HEADER), "{refusal:?}");
        }
    }

    #[test]
    fn a_used_up_budget_comes_back_when_the_month_turns() {
        let december_ms = 1_796_083_200_000;
        for (before_ms, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (432_000_000, "432000")] {
            let headers = Refusal::QuotaExceeded.headers("r", || december_ms - before_ms);
            assert!(headers.contains(&("retry-after", seconds.to_owned())), "{headers:?}");
        }
    }

    #[test]
    fn the_body_is_a_problem_that_openai_clients_can_read() {
        let body: serde_json::Value = serde_json::from_slice(&Refusal::ExpiredKey.body()).unwrap();
        assert_eq!(body["status"], 401);
        assert_eq!(body["error"]["code"], "expired_api_key");
        assert_eq!(body["error"]["message"], body["detail"]);
        assert!(body["error"]["param"].is_null());
    }
}
