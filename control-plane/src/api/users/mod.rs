//! `/v1/users`: create, list, get, change, delete.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use portcullis_core::id::{OrganizationId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::refusals::OneError;
use crate::domain::actor::Actor;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{RoleName, User};
use crate::storage::View;

/// Why a user cannot be called so.
const TAKEN: &str = "There is a user with this name already.";
/// Why somebody stays an operator.
const LAST_OPERATOR: &str = "This is the last operator. Create another one first.";
/// What is wrong with an organization that is not there, or not for the caller to see.
const NO_ORGANIZATION: &str = "there is no organization with this id or name";
/// What is wrong with an organization for an operator.
const OPERATORS_HAVE_NONE: &str = "an operator belongs to no organization";

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    #[schema(value_type = String, example = "usr_0fq3s7m2k9x4b")]
    id: UserId,
    /// The name by which they sign in.
    #[schema(example = "ada")]
    name: String,
    role: RoleName,
    /// Where they belong; null for an operator.
    #[schema(value_type = Option<String>, required = true, example = "org_0fq3s7m2k9x4b")]
    organization: Option<OrganizationId>,
    /// Whether they can sign in with a password.
    has_password: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name.to_string(),
            role: user.role.name(),
            organization: user.role.organization(),
            has_password: user.has_password,
            created_at: user.created_at,
        }
    }
}

/// The user with this id, if `actor` may see them.
async fn seen(view: &mut View<'_>, id: UserId, actor: Actor) -> Result<User, OneError> {
    let user = view.user(id).await?.ok_or(OneError::Unknown("user"))?;
    actor.sees_user(&user).map_err(|denied| OneError::Denied(denied, "user"))?;
    Ok(user)
}
