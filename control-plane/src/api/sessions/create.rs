//! `POST /v1/sessions`: sign in with a password, for an access token that ends by itself.
//!
//! A wrong name and a wrong password get the same answer after the same work. Guesses are counted by account and
//! address, see [`crate::domain::throttle`]; one at an account that exists leaves an entry in the audit.
//!
//! There is no `Idempotency-Key`: whose it would be is not known before the password is checked. A session whose
//! answer was lost ends by itself.

use std::net::IpAddr;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use portcullis_core::id::{OrganizationId, TokenId, UserId};
use portcullis_core::key::{Kind, PlainKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::open;
use crate::api::attempts::Ended;
use crate::api::caller::Origin;
use crate::api::extract::JsonBody;
use crate::api::refusals::{BadBody, TooManyAttempts};
use crate::api::{App, created, reveal};
use crate::domain::environment::EntropyError;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::password::Password;
use crate::domain::throttle::Locked;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{RoleName, User};
use crate::hasher::HasherError;
use crate::problem::Problem;
use crate::storage::StorageError;

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name.
    #[schema(min_length = 1, max_length = 100, example = "ada")]
    name: String,
    /// The user's password.
    #[schema(max_length = 256, format = Password, example = "correct horse battery")]
    password: String,
}

/// A session: an access token, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The access token. It is shown here and never again.
    #[serde(serialize_with = "reveal")]
    #[schema(value_type = String, example = "pc_adm_Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwxyz12")]
    token: PlainKey,
    /// The token's id. To delete it is to sign out.
    #[schema(value_type = String, example = "tok_0fq3s7m2k9x4b")]
    id: TokenId,
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    user: UserId,
    role: RoleName,
    /// The user's organization; null for an operator.
    #[schema(value_type = Option<String>, required = true, example = "org_0fq3s7m2k9x4b")]
    organization: Option<OrganizationId>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Fields are wrong, whoever they are for.
    #[error("fields are wrong")]
    Fields(Faults),
    /// No such user, or not their password.
    #[error("wrong name or password")]
    Wrong,
    /// Too many failures came before.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The password could not be checked.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// No token could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Faults> for SignInError {
    fn from(faults: Faults) -> Self {
        Self::Fields(faults)
    }
}

impl IntoResponse for SignInError {
    fn into_response(self) -> Response {
        match self {
            Self::Fields(faults) => faults.into(),
            Self::Wrong => Problem::not_signed_in(),
            Self::Locked(locked) => Problem::locked(locked),
            Self::Hasher(error) => error.into(),
            Self::Entropy(error) => error.into(),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Signs in with name and password. The access token in this answer ends after 12 hours, or when it is deleted.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", security(()), request_body = SignIn,
    responses(
        (status = 201, body = SessionView, description = "Signed in",
         headers(("Location" = String, description = "Where its access token is found"))),
        (status = 401, body = Problem, content_type = "application/problem+json",
         description = "Wrong name or password"),
        (status = 500, body = Problem, content_type = "application/problem+json",
         description = "Something is wrong with the control plane"),
        (status = 503, body = Problem, content_type = "application/problem+json",
         description = "The database is locked or full, or too many are signing in; try again later"),
        BadBody, TooManyAttempts,
    )
)]
pub async fn create(
    State(app): State<App>,
    Origin(origin): Origin,
    body: JsonBody<SignIn>,
) -> Result<Response, SignInError> {
    let (name, password) = parse(body.value)?;
    let attempt = app.attempts.begin(name.as_str(), origin, app.store.clock().now())?;
    let signed_in = sign_in(&app, &name, password, origin).await;
    let ended = match &signed_in {
        Ok(_) => Ended::Right,
        Err(SignInError::Wrong) => Ended::Wrong,
        Err(
            SignInError::Fields(_)
            | SignInError::Locked(_)
            | SignInError::Hasher(_)
            | SignInError::Entropy(_)
            | SignInError::Storage(_),
        ) => Ended::Unknown,
    };
    app.attempts.end(attempt, ended);
    let session = signed_in?;
    Ok(created(format!("/v1/tokens/{}", session.id), session))
}

fn parse(request: SignIn) -> Result<(Name, Password), Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", Name::parse(&request.name));
    let password = faults.take("/password", Password::present(request.password));
    faults.check()?;
    name.zip(password).ok_or_else(Faults::default)
}

async fn sign_in(
    app: &App,
    name: &Name,
    password: Password,
    origin: Option<IpAddr>,
) -> Result<SessionView, SignInError> {
    let found = app.store.read().await?.view().user_named(name.as_str()).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let right = app.hasher.verify(password, hash.clone()).await?;
    let Some(user) = user else {
        return Err(SignInError::Wrong);
    };
    if !right {
        refused(app, &user, origin).await;
        return Err(SignInError::Wrong);
    }
    let token = app.store.entropy().key(&app.brand, Kind::Access)?;
    let mut write = app.store.write(None).await?;
    // The user may have been deleted, and the password changed, while it was being checked.
    let now_found = write.view().user_named(name.as_str()).await?;
    let Some((user, _)) = now_found.filter(|(now, now_hash)| now.id == user.id && *now_hash == hash) else {
        return Err(SignInError::Wrong);
    };
    let (id, expires_at) = open(&mut write, &user, &token, origin).await?;
    write.commit().await?;
    let (role, organization) = (user.role.name(), user.role.organization());
    Ok(SessionView { token, id, user: user.id, role, organization, expires_at })
}

/// Leaves a failed attempt in the audit. If that fails the answer is the same: it must not tell that there is such
/// an account.
async fn refused(app: &App, user: &User, origin: Option<IpAddr>) {
    if let Err(error) = app.store.audit_failed_sign_in(user, origin).await {
        tracing::error!(%error, user = %user.id, "a failed sign-in is not in the audit");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::api::testing::{Answer, Harness, text};
    use crate::domain::audit::{Action, Outcome};
    use crate::storage::AuditFilter;

    const PASSWORD: &str = "correct horse battery";

    async fn with_ada() -> (Harness, Value) {
        let harness = Harness::furnished().await;
        let ada = json!({"name": "ada", "role": "member", "organization": "acme", "password": PASSWORD});
        let ada = harness.post("/v1/users", ada).await.expect(201);
        (harness, ada)
    }

    async fn sign_in(harness: &Harness, name: &str, password: &str) -> Answer {
        let body = json!({"name": name, "password": password});
        harness.call("POST", "/v1/sessions").anonymous().json(&body).send().await
    }

    async fn status(harness: &Harness, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        harness.call("GET", "/v1/keys").authorization(Some(&bearer)).send().await.status
    }

    #[tokio::test]
    async fn who_signs_in_may_do_what_they_may_do_for_twelve_hours_or_until_they_sign_out() {
        let (harness, ada) = with_ada().await;
        let answer = sign_in(&harness, " ada ", PASSWORD).await;
        let place = answer.headers["location"].to_str().unwrap().to_owned();
        let session = answer.expect(201);
        assert_eq!((&session["user"], &session["role"]), (&ada["id"], &json!("member")));
        assert_eq!(session["organization"], ada["organization"]);
        assert_eq!(session["expires_at"], "2027-01-01T12:00:00Z");
        let token = text(&session, "token");
        assert_eq!(status(&harness, token).await, 200);
        let bearer = format!("Bearer {token}");
        let shown = harness.call("GET", &place).authorization(Some(&bearer)).send().await.expect(200);
        assert_eq!((&shown["id"], &shown["name"]), (&session["id"], &json!("session")));
        let other = sign_in(&harness, "ada", PASSWORD).await.expect(201);
        harness.call("DELETE", &place).authorization(Some(&bearer)).send().await.expect(200);
        assert_eq!(status(&harness, token).await, 401);
        harness.advance(Duration::from_secs(12 * 60 * 60) - Duration::from_millis(1));
        assert_eq!(status(&harness, text(&other, "token")).await, 200);
        harness.advance(Duration::from_millis(1));
        assert_eq!(status(&harness, text(&other, "token")).await, 401);
    }

    #[tokio::test]
    async fn a_wrong_name_and_a_wrong_password_are_refused_alike() {
        let (harness, ada) = with_ada().await;
        harness.person("bob", crate::domain::user::RoleName::Member).await;
        let before = harness.fingerprint().await;
        let mut said = Vec::new();
        for (name, password) in [("ada", "wrong"), ("nobody", PASSWORD), ("bob", ""), ("ada", "")] {
            let answer = sign_in(&harness, name, password).await;
            assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="portcullis""#);
            said.push(answer.expect(401));
        }
        assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{said:?}");
        assert_eq!(sign_in(&harness, "", PASSWORD).await.pointers(), ["/name"]);
        assert_eq!(sign_in(&harness, "ada", &"x".repeat(257)).await.pointers(), ["/password"]);
        assert_eq!(harness.fingerprint().await, before);
        let filter = AuditFilter { action: Some(Action::SessionCreate), ..AuditFilter::default() };
        let audit = harness.store.read().await.unwrap().view().audit(&filter, 10).await.unwrap();
        assert_eq!(audit.entries.len(), 3, "nothing is said of an account that is not there");
        let last = &audit.entries[0];
        assert_eq!((last.user, last.outcome), (None, Outcome::Refused(401)));
        assert_eq!(last.subject.as_deref(), Some(text(&ada, "id")));
        let said = format!("{audit:?}");
        assert!(!said.contains("wrong") && !said.contains("argon2"), "{said}");
    }

    #[tokio::test]
    async fn after_five_failures_even_the_right_password_waits() {
        let (harness, _) = with_ada().await;
        for _ in 0..5 {
            sign_in(&harness, "ada", "wrong").await.expect(401);
        }
        let answer = sign_in(&harness, "ada", PASSWORD).await;
        assert_eq!(answer.headers["retry-after"], "1");
        answer.expect(429);
        harness.advance(Duration::from_secs(1));
        sign_in(&harness, "ada", PASSWORD).await.expect(201);
        sign_in(&harness, "ada", "wrong").await.expect(401);
        sign_in(&harness, "ada", PASSWORD).await.expect(201);
    }

    #[tokio::test]
    async fn a_database_that_cannot_write_counts_for_no_failure() {
        let (harness, _) = with_ada().await;
        harness.store.lose_patience().await;
        let path = harness.directory.path().join("portcullis.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        for _ in 0..6 {
            sign_in(&harness, "ada", PASSWORD).await.expect(503);
        }
        lock.rollback().await.unwrap();
        sign_in(&harness, "ada", PASSWORD).await.expect(201);
    }
}
