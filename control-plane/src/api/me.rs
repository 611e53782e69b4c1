//! `GET /v1/me`: whose access token this is, and what they may do.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::{OrganizationId, TokenId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::refusals::{Always, OneError};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::RoleName;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeView {
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    user: UserId,
    /// The name by which they sign in.
    #[schema(example = "ada")]
    name: String,
    role: RoleName,
    /// Where they belong; null for an operator.
    #[schema(value_type = Option<String>, required = true, example = "org_0fq3s7m2k9x4b")]
    organization: Option<OrganizationId>,
    /// What it is called.
    #[schema(required = true, example = "acme")]
    organization_name: Option<String>,
    /// Whether they can sign in with a password.
    has_password: bool,
    /// The access token with which they call.
    #[schema(value_type = String, example = "tok_0fq3s7m2k9x4b")]
    token: TokenId,
    /// The first instant at which that opens nothing; null if it does not end.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    token_expires_at: Option<Timestamp>,
}

/// The caller: whose access token this is, and what they may do.
#[utoipa::path(
    get, path = "/v1/me", tag = "sessions",
    responses((status = 200, body = MeView, description = "The caller"), Always)
)]
pub async fn get(State(app): State<App>, Caller(actor): Caller) -> Result<Json<MeView>, OneError> {
    let mut read = app.store.read().await?;
    let mut view = read.view();
    // Both were there a moment ago, when the token was looked up.
    let user = view.user(actor.user).await?.ok_or(OneError::Unknown("user"))?;
    let (token, _) = view.token(actor.token).await?.ok_or(OneError::Unknown("token"))?;
    let organization = match actor.role.organization() {
        Some(organization) => view.organization(organization).await?,
        None => None,
    };
    Ok(Json(MeView {
        user: user.id,
        name: user.name.to_string(),
        role: actor.role.name(),
        organization: actor.role.organization(),
        organization_name: organization.map(|organization| organization.name.to_string()),
        has_password: user.has_password,
        token: token.id,
        token_expires_at: token.expires_at,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::testing::Harness;
    use crate::domain::user::RoleName;

    #[tokio::test]
    async fn everyone_learns_who_they_are() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Admin).await;
        let me = harness.call("GET", "/v1/me").by(&ada).send().await.expect(200);
        assert_eq!((&me["user"], &me["name"]), (&json!(ada.user.id), &json!("ada")));
        assert_eq!((&me["role"], &me["organization_name"]), (&json!("admin"), &json!("acme")));
        assert_eq!(me["organization"], json!(ada.user.role.organization()));
        assert_eq!((&me["has_password"], &me["token_expires_at"]), (&json!(false), &Value::Null));
        let operator = harness.get("/v1/me").await.expect(200);
        assert_eq!((&operator["role"], &operator["organization"]), (&json!("operator"), &Value::Null));
        harness.assert_guarded("GET", "/v1/me").await;
    }
}
