//! `/v1/tokens`: access tokens of the admin API: create, list, get, delete.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;

use portcullis_core::id::{OrganizationId, TokenId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::refusals::OneError;
use crate::domain::actor::Actor;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{AccessToken, TokenStatus};
use crate::storage::View;

/// Whether an access token opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatusName {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was deleted, or a new password ended it.
    Revoked,
}

impl From<TokenStatus> for TokenStatusName {
    fn from(status: TokenStatus) -> Self {
        match status {
            TokenStatus::Active => Self::Active,
            TokenStatus::Expired => Self::Expired,
            TokenStatus::Revoked => Self::Revoked,
        }
    }
}

/// An access token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    #[schema(value_type = String, example = "tok_0fq3s7m2k9x4b")]
    id: TokenId,
    #[schema(example = "deployments")]
    name: String,
    /// The token, masked; empty for the bootstrap token.
    #[schema(example = "pc_adm_Ab…wxyz")]
    masked: String,
    /// Whose it is. It may do what they may do at the time.
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    user: UserId,
    #[schema(example = "ada")]
    user_name: String,
    /// Whether it is the one that the environment sets or the first start prints.
    bootstrap: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The first instant at which it opens nothing; null if it does not end.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
    status: TokenStatusName,
}

impl TokenView {
    /// The token as it is at `now`.
    pub fn new(token: AccessToken, now: Timestamp) -> Self {
        Self {
            id: token.id,
            status: token.status(now).into(),
            name: token.name.to_string(),
            masked: token.masked,
            user: token.user,
            user_name: token.user_name.to_string(),
            bootstrap: token.bootstrap,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// The token with this id, if `actor` may see and revoke it, and the organization of its owner.
async fn handled(
    view: &mut View<'_>,
    id: TokenId,
    actor: Actor,
) -> Result<(AccessToken, Option<OrganizationId>), OneError> {
    let (token, organization) = view.token(id).await?.ok_or(OneError::Unknown("token"))?;
    actor.handles_token(&token, organization).map_err(|denied| OneError::Denied(denied, "token"))?;
    Ok((token, organization))
}
