//! `POST /v1/users`: create a user, with a password or without.
//!
//! The password is hashed before the database is locked for writing: hashing takes its time, and others write.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::User as UserMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{NO_ORGANIZATION, OPERATORS_HAVE_NONE, TAKEN, UserView};
use crate::api::caller::Administrator;
use crate::api::extract::JsonBody;
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::organizations::seen_named;
use crate::api::refusals::{Always, BadBody, Conflict, Forbidden, WriteError};
use crate::api::{App, created};
use crate::domain::actor::Actor;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::password::Password;
use crate::domain::user::{Role, RoleName, User};
use crate::storage::{NewUser, View};

/// Whom to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name by which they sign in: 1 to 100 characters, without control characters; no other user's name.
    #[schema(min_length = 1, max_length = 100, example = "ada")]
    name: String,
    #[schema(example = "operator")]
    role: RoleName,
    /// Where an admin or a member belongs, by id or name. Left out it is the caller's own organization; an operator
    /// has none.
    organization: Option<String>,
    /// With which they sign in: 12 characters or more without their name. Left out they cannot.
    #[schema(min_length = 12, max_length = 256, format = Password, example = "correct horse battery")]
    password: Option<String>,
}

/// Creates a user. Operators create anyone, admins the admins and members of their own organization.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", request_body = CreateUser,
    params(IdempotencyHeader),
    responses(
        (status = 201, body = UserView, description = "Created",
         headers(("Location" = String, description = "Where the user is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, Forbidden, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Administrator(actor): Administrator,
    idempotency: Idempotency,
    body: JsonBody<CreateUser>,
) -> Result<Response, WriteError> {
    let CreateUser { name, role, organization, password } = body.value;
    let (name, password) = parse(&name, password)?;
    let password_hash = match password {
        Some(password) => Some(app.hasher.hash(password).await?),
        None => None,
    };
    let mut write = app.store.write(Some(actor)).await?;
    if let Some(earlier) = idempotency.earlier::<UserMark>(&mut write, actor, body.digest).await? {
        let user = write.view().user(earlier.id).await?.ok_or(WriteError::Gone)?;
        return Ok(replayed(answer(user)));
    }
    let role = home(&mut write.view(), actor, role, organization.as_deref()).await?;
    actor.grants(role).map_err(WriteError::denied("user"))?;
    let user = write.create_user(NewUser { name, role, password_hash }).await?;
    let user = user.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    idempotency.remember(&mut write, actor, body.digest, user.id, None).await?;
    write.commit().await?;
    Ok(answer(user))
}

fn parse(name: &str, password: Option<String>) -> Result<(Name, Option<Password>), Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", Name::parse(name));
    let called = name.as_ref().map_or("", Name::as_str);
    let password = password.map(|text| Password::choose(text, called)).transpose();
    let password = faults.take("/password", password).flatten();
    faults.check()?;
    Ok((name.ok_or_else(Faults::default)?, password))
}

/// The role with the organization in which it will hold.
async fn home(view: &mut View<'_>, actor: Actor, role: RoleName, reference: Option<&str>) -> Result<Role, WriteError> {
    let at = |fault: &str| WriteError::from(Faults::one("/organization", fault));
    let named = match reference {
        Some(reference) => Some(seen_named(view, actor, reference).await?.ok_or_else(|| at(NO_ORGANIZATION))?),
        None => None,
    };
    match role {
        RoleName::Operator => Role::new(role, named).ok_or_else(|| at(OPERATORS_HAVE_NONE)),
        RoleName::Admin | RoleName::Member => {
            let missing = "say to which organization the user belongs";
            Role::new(role, named.or(actor.role.organization())).ok_or_else(|| at(missing))
        }
    }
}

fn answer(user: User) -> Response {
    created(format!("/v1/users/{}", user.id), UserView::from(user))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::testing::{Harness, text};
    use crate::domain::user::RoleName;

    #[tokio::test]
    async fn an_operator_creates_anyone_and_the_password_is_shown_nowhere() {
        let harness = Harness::furnished().await;
        let password = "correct horse battery";
        let body = json!({"name": " ada ", "role": "admin", "organization": "acme", "password": password});
        let answer = harness.post("/v1/users", body).await;
        let place = answer.headers["location"].to_str().unwrap().to_owned();
        let ada = answer.expect(201);
        assert_eq!((text(&ada, "name"), text(&ada, "role"), &ada["has_password"]), ("ada", "admin", &json!(true)));
        assert!(text(&ada, "organization").starts_with("org_"));
        assert_eq!(harness.get(&place).await.expect(200), ada);
        let root = harness.post("/v1/users", json!({"name": "root", "role": "operator"})).await.expect(201);
        assert_eq!((&root["organization"], &root["has_password"]), (&Value::Null, &json!(false)));
        assert_eq!(harness.revision(), 2, "filters hear nothing of it");
    }

    #[tokio::test]
    async fn an_admin_creates_admins_and_members_of_the_own_organization_alone() {
        let harness = Harness::furnished().await;
        harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let admin = harness.person("admin", RoleName::Admin).await;
        let member = harness.person("member", RoleName::Member).await;
        let post = |body: Value| harness.call("POST", "/v1/users").by(&admin).json(&body).send();
        let eve = post(json!({"name": "eve", "role": "member"})).await.expect(201);
        assert_eq!(eve["organization"], json!(admin.user.role.organization().unwrap()));
        post(json!({"name": "bob", "role": "admin", "organization": "acme"})).await.expect(201);
        let before = harness.fingerprint().await;
        post(json!({"name": "x", "role": "operator"})).await.expect(403);
        let unseen = post(json!({"name": "x", "role": "member", "organization": "other"})).await.expect(422);
        let unknown = post(json!({"name": "x", "role": "member", "organization": "nothing"})).await.expect(422);
        assert_eq!(unseen, unknown);
        let body = json!({"name": "x", "role": "member"});
        harness.call("POST", "/v1/users").by(&member).json(&body).send().await.expect(403);
        assert_eq!(harness.fingerprint().await, before);
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_and_changes_nothing() {
        let harness = Harness::furnished().await;
        let ada = json!({"name": "ada", "role": "member", "organization": "acme"});
        harness.post("/v1/users", ada.clone()).await.expect(201);
        let before = harness.fingerprint().await;
        harness.post("/v1/users", ada).await.expect(409);
        let cases = [
            (json!({"name": "", "role": "operator", "password": "short"}), vec!["/name", "/password"]),
            (json!({"name": "x", "role": "operator", "organization": "acme"}), vec!["/organization"]),
            (json!({"name": "x", "role": "member"}), vec!["/organization"]),
            (json!({"name": "x", "role": "king"}), vec!["/role"]),
            (json!({"name": "adalovelace", "role": "operator", "password": "adalovelace1"}), vec!["/password"]),
            (json!({"name": "x", "role": "operator", "has_password": true}), vec!["/has_password"]),
        ];
        for (body, pointers) in cases {
            assert_eq!(harness.post("/v1/users", body).await.pointers(), pointers);
        }
        harness.assert_guarded("POST", "/v1/users").await;
        assert_eq!(harness.fingerprint().await, before);
    }

    #[tokio::test]
    async fn a_retry_creates_nobody_twice() {
        let harness = Harness::furnished().await;
        let body = json!({"name": "ada", "role": "operator", "password": "correct horse battery"});
        let post = || harness.call("POST", "/v1/users").header("idempotency-key", "a").json(&body).send();
        let first = post().await.expect(201);
        let again = post().await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.expect(201), first);
        harness.delete(&format!("/v1/users/{}", text(&first, "id"))).await.expect(200);
        post().await.expect(409);
    }
}
