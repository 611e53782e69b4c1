//! `POST /v1/tokens`: create an access token for a program that acts in the caller's name.
//!
//! It is never worth more than its owner: what it may do is asked of the owner at each request. As with keys, a retry
//! gives the same token another secret in place of the one that got lost on its way.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::Token as TokenMark;
use portcullis_core::key::{Kind, PlainKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TokenView;
use crate::api::caller::Caller;
use crate::api::extract::JsonBody;
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::refusals::{Always, BadBody, Conflict, WriteError};
use crate::api::{App, created, reveal};
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{AccessToken, TokenStatus};
use crate::storage::NewToken;

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for: 1 to 100 characters, without control characters.
    #[schema(min_length = 1, max_length = 100, example = "deployments")]
    name: String,
    /// When it ends; it never does if this is left out.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An access token with its secret: the only answer that ever holds one.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedToken {
    /// The token. It is shown here and never again.
    #[serde(serialize_with = "reveal")]
    #[schema(value_type = String, example = "pc_adm_Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwxyz12")]
    token: PlainKey,
    #[serde(flatten)]
    view: TokenView,
}

/// Creates an access token of the caller. It is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", request_body = CreateToken,
    params(IdempotencyHeader),
    responses(
        (status = 201, body = IssuedToken, description = "Created, with its secret",
         headers(("Location" = String, description = "Where the token is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    idempotency: Idempotency,
    body: JsonBody<CreateToken>,
) -> Result<Response, WriteError> {
    let new = parse(&body.value)?;
    let secret = app.store.entropy().key(&app.brand, Kind::Access)?;
    let mut write = app.store.write(Some(actor)).await?;
    let now = write.now();
    if let Some(earlier) = idempotency.earlier::<TokenMark>(&mut write, actor, body.digest).await? {
        let (before, organization) = write.view().token(earlier).await?.ok_or(WriteError::Gone)?;
        match before.status(now) {
            TokenStatus::Active => {}
            TokenStatus::Expired => {
                return Err(WriteError::Conflict("The token that this request created has expired.".to_owned()));
            }
            TokenStatus::Revoked => return Err(WriteError::Gone),
        }
        let token = write.replace_token_secret(&before, organization, &secret).await?;
        write.commit().await?;
        return Ok(replayed(answer(token, secret, now)));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Faults::one("/expires_at", "the expiry must lie in the future").into());
    }
    let owner = write.view().user(actor.user).await?;
    let owner = owner.ok_or_else(|| WriteError::Conflict("Your user has been deleted.".to_owned()))?;
    let token = write.create_token(&owner, new, &secret).await?;
    idempotency.remember(&mut write, actor, body.digest, token.id).await?;
    write.commit().await?;
    Ok(answer(token, secret, now))
}

fn parse(request: &CreateToken) -> Result<NewToken, Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", Name::parse(&request.name));
    let expires_at = request.expires_at.as_deref().map(Timestamp::parse).transpose();
    let expires_at = faults.take("/expires_at", expires_at).flatten();
    faults.check()?;
    Ok(NewToken { name: name.ok_or_else(Faults::default)?, expires_at })
}

fn answer(token: AccessToken, secret: PlainKey, now: Timestamp) -> Response {
    created(format!("/v1/tokens/{}", token.id), IssuedToken { token: secret, view: TokenView::new(token, now) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_core::key::{Brand, Kind, parse};
    use serde_json::json;

    use crate::api::testing::{Harness, text};
    use crate::domain::audit::Action;
    use crate::domain::user::RoleName;
    use crate::storage::AuditFilter;

    async fn status(harness: &Harness, token: &str) -> u16 {
        harness.call("GET", "/v1/keys").authorization(Some(&format!("Bearer {token}"))).send().await.status
    }

    #[tokio::test]
    async fn a_token_is_shown_once_and_is_worth_what_its_owner_is_until_it_ends() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let body = json!({"name": "ci", "expires_at": "2027-01-01T00:00:10Z"});
        let answer = harness.call("POST", "/v1/tokens").by(&ada).json(&body).send().await;
        let place = answer.headers["location"].to_str().unwrap().to_owned();
        let mut token = answer.expect(201);
        let secret = text(&token, "token").to_owned();
        assert_eq!(parse(&Brand::default(), secret.as_bytes()), Ok(Kind::Access));
        assert_eq!((text(&token, "user_name"), &token["bootstrap"]), ("ada", &json!(false)));
        token.as_object_mut().unwrap().remove("token");
        assert_eq!(harness.get(&place).await.expect(200), token);
        assert_eq!(status(&harness, &secret).await, 200);
        let bearer = format!("Bearer {secret}");
        harness.call("GET", "/v1/gateways").authorization(Some(&bearer)).send().await.expect(403);
        harness.advance(Duration::from_secs(10));
        assert_eq!(status(&harness, &secret).await, 401);
        assert_eq!(harness.get(&place).await.expect(200)["status"], "expired");
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_and_changes_nothing() {
        let harness = Harness::new().await;
        let before = harness.fingerprint().await;
        let post = |body| harness.post("/v1/tokens", body);
        let past = json!({"name": "a", "expires_at": "2027-01-01T00:00:00Z"});
        assert_eq!(post(past).await.pointers(), ["/expires_at"]);
        assert_eq!(post(json!({"name": "", "expires_at": "soon"})).await.pointers(), ["/name", "/expires_at"]);
        assert_eq!(post(json!({"name": "a", "user": "ada"})).await.pointers(), ["/user"]);
        harness.assert_guarded("POST", "/v1/tokens").await;
        assert_eq!(harness.fingerprint().await, before);
    }

    #[tokio::test]
    async fn a_retry_gives_the_same_token_another_secret() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let body = json!({"name": "ci"});
        let post = || harness.call("POST", "/v1/tokens").by(&ada).header("idempotency-key", "a").json(&body).send();
        let first = post().await.expect(201);
        let again = post().await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let again = again.expect(201);
        assert_eq!(again["id"], first["id"]);
        assert_eq!(status(&harness, text(&first, "token")).await, 401);
        assert_eq!(status(&harness, text(&again, "token")).await, 200);
        let filter = AuditFilter { action: Some(Action::TokenCreate), ..AuditFilter::default() };
        let audit = harness.store.read().await.unwrap().view().audit(&filter, 1).await.unwrap();
        assert_eq!(audit.entries[0].organization, ada.user.role.organization());
        harness.delete(&format!("/v1/tokens/{}", text(&first, "id"))).await.expect(200);
        post().await.expect(409);
    }
}
