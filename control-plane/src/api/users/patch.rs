//! `PATCH /v1/users/{id}`: change a user's name, role or password (RFC 7396).
//!
//! Whoever sets their own password says the one that they have: a token that got into the wrong hands must not
//! become a password. Wrong ones count as failed sign-ins. A new password ends every other token of its user.
//!
//! Passwords are checked and hashed before the database is locked for writing.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use portcullis_core::id::{OrganizationId, User as UserMark};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{LAST_OPERATOR, NO_ORGANIZATION, OPERATORS_HAVE_NONE, TAKEN, UserView, seen};
use crate::api::App;
use crate::api::attempts::Ended;
use crate::api::caller::Caller;
use crate::api::extract::{JsonBody, PathId};
use crate::api::organizations::seen_named;
use crate::api::refusals::{Always, BadBody, Conflict, Forbidden, NotFound, TooManyAttempts, WriteError};
use crate::domain::actor::Actor;
use crate::domain::authority::Denied;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::user::{Role, RoleName, User};
use crate::storage::{View, Write};

/// What is wrong with the current password.
const WRONG: &str = "this is not the password that you have";

/// What to change. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    /// A new name.
    #[schema(min_length = 1, max_length = 100, example = "ada")]
    name: Option<String>,
    /// A new role.
    role: Option<RoleName>,
    /// Where an operator belongs who becomes an admin or a member, by id or name. Nobody else changes organization.
    organization: Option<String>,
    /// A new password: 12 characters or more without the user's name. It ends every other access token of the user.
    #[schema(min_length = 12, max_length = 256, format = Password)]
    password: Option<String>,
    /// The caller's present password, if they have one and set another.
    #[schema(max_length = 256, format = Password)]
    current_password: Option<String>,
}

/// What to change, with every field read.
#[derive(Debug)]
struct Change {
    name: Option<Name>,
    role: Option<RoleName>,
    organization: Option<String>,
    password: Option<String>,
    current: Option<Password>,
}

/// Changes a user. Admins change the users of their organization; members nothing but their own password.
#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "users", request_body = PatchUser,
    params(("id" = String, Path, description = "The user's id")),
    responses(
        (status = 200, body = UserView, description = "The user as they are now"),
        Always, Forbidden, NotFound, BadBody, Conflict, TooManyAttempts,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<UserMark>,
    body: JsonBody<PatchUser>,
) -> Result<Json<UserView>, WriteError> {
    let mut change = parse(body.value)?;
    let (before, old_hash) = with_hash(&mut app.store.read().await?.view(), actor, id).await?;
    allowed(actor, &before, &change).map_err(WriteError::denied("user"))?;
    let called = change.name.as_ref().unwrap_or(&before.name);
    let chosen = change.password.take().map(|text| Password::choose(text, called.as_str())).transpose();
    let chosen = chosen.map_err(|error| Faults::one("/password", error))?;
    let own = before.id == actor.user && chosen.is_some();
    check_current(&app, actor.origin, &before, old_hash.clone().filter(|_| own), change.current.take(), own).await?;
    let new_hash = match chosen {
        Some(password) => Some(app.hasher.hash(password).await?),
        None => None,
    };
    let mut write = app.store.write(Some(actor)).await?;
    let (before, hash) = with_hash(&mut write.view(), actor, id).await?;
    if own && hash != old_hash {
        return Err(Faults::one("/current_password", WRONG).into());
    }
    let role = new_role(&mut write, actor, &before, &change).await?;
    let after = User { name: change.name.unwrap_or_else(|| before.name.clone()), role, ..before.clone() };
    let after = write.change_user(&before, after, new_hash).await?;
    let after = after.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    write.commit().await?;
    Ok(Json(after.into()))
}

fn parse(request: PatchUser) -> Result<Change, Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", request.name.as_deref().map(Name::parse).transpose());
    let current = faults.take("/current_password", request.current_password.map(Password::present).transpose());
    if current.as_ref().is_some_and(Option::is_some) && request.password.is_none() {
        faults.add("/current_password", "this goes with a new password");
    }
    if request.organization.is_some() && request.role.is_none() {
        faults.add("/organization", "this goes with a new role");
    }
    faults.check()?;
    Ok(Change {
        name: name.flatten(),
        role: request.role,
        organization: request.organization,
        password: request.password,
        current: current.flatten(),
    })
}

/// Whether `actor` may change all of that.
fn allowed(actor: Actor, user: &User, change: &Change) -> Result<(), Denied> {
    if change.password.is_some() {
        actor.sets_password(user)?;
    }
    if change.name.is_some() || change.role.is_some() {
        actor.manages_user(user)?;
    }
    Ok(())
}

/// The user with what is stored of their password, if `actor` may see them.
async fn with_hash(
    view: &mut View<'_>,
    actor: Actor,
    id: portcullis_core::id::UserId,
) -> Result<(User, Option<PasswordHash>), WriteError> {
    let user = seen(view, id, actor).await?;
    let (_, hash) = view.user_named(user.name.as_str()).await?.ok_or(WriteError::Unknown("user"))?;
    Ok((user, hash))
}

/// Checks that `presented` is the caller's password, if they are to say it: when they set their own and have one.
async fn check_current(
    app: &App,
    origin: Option<IpAddr>,
    user: &User,
    hash: Option<PasswordHash>,
    presented: Option<Password>,
    own: bool,
) -> Result<(), WriteError> {
    let fault = |detail: &str| Err(WriteError::from(Faults::one("/current_password", detail)));
    match (hash, presented) {
        (None, None) => Ok(()),
        (None, Some(_)) if own => fault("you have no password yet"),
        (None, Some(_)) => fault("leave this out: it goes with your own password alone"),
        (Some(_), None) => fault("say the password that you have"),
        (Some(hash), Some(presented)) => {
            let attempt = app.attempts.begin(user.name.as_str(), origin, app.store.clock().now())?;
            let verified = app.hasher.verify(presented, Some(hash)).await;
            let ended = match verified {
                Ok(true) => Ended::Right,
                Ok(false) => Ended::Wrong,
                Err(_) => Ended::Unknown,
            };
            app.attempts.end(attempt, ended);
            if verified? { Ok(()) } else { fault(WRONG) }
        }
    }
}

/// The role after the change, and where it holds. The last operator stays one.
async fn new_role(write: &mut Write, actor: Actor, before: &User, change: &Change) -> Result<Role, WriteError> {
    let Some(name) = change.role else {
        return Ok(before.role);
    };
    let was_operator = before.role == Role::Operator;
    if was_operator && name != RoleName::Operator && !write.view().has_other_operator(before.id).await? {
        return Err(WriteError::Conflict(LAST_OPERATOR.to_owned()));
    }
    let at = |fault: &str| WriteError::from(Faults::one("/organization", fault));
    let named = match change.organization.as_deref() {
        Some(reference) => {
            Some(seen_named(&mut write.view(), actor, reference).await?.ok_or_else(|| at(NO_ORGANIZATION))?)
        }
        None => None,
    };
    let home = match (name, before.role.organization()) {
        (RoleName::Operator, _) => named,
        (RoleName::Admin | RoleName::Member, Some(own)) if named.is_some_and(|named| named != own) => {
            return Err(at("a user stays in the organization: delete this one and create another"));
        }
        (RoleName::Admin | RoleName::Member, own) => own.or(named),
    };
    let none = if name == RoleName::Operator { OPERATORS_HAVE_NONE } else { "say where the user will belong" };
    let role = Role::new(name, home).ok_or_else(|| at(none))?;
    actor.grants(role).map_err(WriteError::denied("user"))?;
    if let (true, Some(home)) = (was_operator, home) {
        check_keys(write, before, home).await?;
    }
    Ok(role)
}

/// A member handles the keys that they issued. So an operator who becomes one must leave none of another
/// organization behind.
async fn check_keys(write: &mut Write, user: &User, home: OrganizationId) -> Result<(), WriteError> {
    let keys = write.view().live_keys_of(user.id).await?;
    if keys.iter().all(|key| key.organization == home) {
        return Ok(());
    }
    let detail = "This operator has issued keys of other organizations. Create another user instead.";
    Err(WriteError::Conflict(detail.to_owned()))
}

#[cfg(test)]
mod tests;
