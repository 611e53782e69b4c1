//! What a report is answered with.

use portcullis_core::key::{ApiKind, Kind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::gateway::Gateway;
use crate::domain::key::Key;
use crate::domain::user::AccessToken;

const ROTATE_BOOTSTRAP: &str = "This is the bootstrap token, which still works. Restart the control plane with another \
                                one in its environment.";
const ROTATE_GATEWAY: &str = "This is a gateway's token, which still works: without one its filters would not hear of \
                              deleted keys. An operator reissues it and gives the new one to the gateway.";

/// What a secret is by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// A key for serverless APIs.
    Serverless,
    /// A key for dedicated APIs.
    Dedicated,
    /// A token of this API.
    AccessToken,
    /// A gateway's token.
    GatewayToken,
}

impl From<Kind> for SecretKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Api(ApiKind::Serverless) => Self::Serverless,
            Kind::Api(ApiKind::Dedicated) => Self::Dedicated,
            Kind::Access => Self::AccessToken,
            Kind::Gateway => Self::GatewayToken,
        }
    }
}

/// What became of a reported secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeakOutcome {
    /// It worked, or was to, and is revoked now with all of its key's secrets.
    Revoked,
    /// It was a secret here and opened nothing any more.
    AlreadyRevoked,
    /// It never was one here.
    Unknown,
    /// It works, and goes on working until somebody replaces it as `detail` says.
    Rotate,
}

/// What a secret belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecretOwner {
    #[schema(example = "key_0fq3s7m2k9x4b", pattern = "^[a-z]{3}_[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")]
    id: String,
    #[schema(example = "batch jobs")]
    name: String,
}

/// What is said of one reported secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeakItem {
    /// Its place in `secrets`, or among the keys of `text`, counted from 0.
    index: usize,
    /// The secret, masked; null for what is no secret of this deployment by its form.
    #[schema(required = true, example = "pc_ded_Ab…wxyz")]
    masked: Option<String>,
    /// What it is; null if that cannot be told.
    #[schema(required = true)]
    kind: Option<SecretKind>,
    pub(super) outcome: LeakOutcome,
    /// The key, if it is one's and the caller may see that.
    #[schema(required = true)]
    key: Option<SecretOwner>,
    /// The access token, if it is one and the caller may see that.
    #[schema(required = true)]
    token: Option<SecretOwner>,
    /// The gateway, if it is one's token and the caller may see that.
    #[schema(required = true)]
    gateway: Option<SecretOwner>,
    /// What is left to do; null if nothing is.
    #[schema(required = true)]
    detail: Option<&'static str>,
}

impl LeakItem {
    /// Of a secret that nobody knows, as far as its form tells.
    pub(super) fn unknown(index: usize, form: Option<(Kind, String)>) -> Self {
        let (kind, masked) = form.unzip();
        Self {
            index,
            masked,
            kind: kind.map(Into::into),
            outcome: LeakOutcome::Unknown,
            key: None,
            token: None,
            gateway: None,
            detail: None,
        }
    }

    pub(super) fn tell_key(&mut self, key: &Key) {
        self.key = Some(SecretOwner { id: key.id.to_string(), name: key.name.to_string() });
    }

    pub(super) fn tell_token(&mut self, token: &AccessToken) {
        self.token = Some(SecretOwner { id: token.id.to_string(), name: token.name.to_string() });
    }

    pub(super) fn tell_gateway(&mut self, gateway: &Gateway) {
        self.gateway = Some(SecretOwner { id: gateway.id.to_string(), name: gateway.name.to_string() });
    }

    /// The operators would be cut off: its text may be free, so its form need not tell what it is.
    pub(super) const fn rotate_bootstrap(&mut self) {
        self.kind = Some(SecretKind::AccessToken);
        self.outcome = LeakOutcome::Rotate;
        self.detail = Some(ROTATE_BOOTSTRAP);
    }

    /// The filters that enforce deletions would be cut off.
    pub(super) const fn rotate_gateway(&mut self) {
        self.outcome = LeakOutcome::Rotate;
        self.detail = Some(ROTATE_GATEWAY);
    }
}

/// What came of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeakReport {
    items: Vec<LeakItem>,
    /// How many keys and access tokens this report has revoked.
    revoked: usize,
    /// How many secrets were revoked before, or with another one of this report.
    already_revoked: usize,
    /// How many never were secrets here.
    unknown: usize,
    /// How many still work, and have to be replaced.
    rotate: usize,
}

impl LeakReport {
    pub(super) fn new(items: Vec<LeakItem>) -> Self {
        let count = |outcome| items.iter().filter(|item| item.outcome == outcome).count();
        Self {
            revoked: count(LeakOutcome::Revoked),
            already_revoked: count(LeakOutcome::AlreadyRevoked),
            unknown: count(LeakOutcome::Unknown),
            rotate: count(LeakOutcome::Rotate),
            items,
        }
    }
}
