//! What the demo needs in the control plane: an organization, somebody who signs in to the console, two APIs, a gateway.
//!
//! Each is looked for by its name and created only where it is missing, so a second start changes nothing, and what a
//! user has changed stays. The gateway's token is shown once, when it is issued; it is kept in `gateway-token` beside the
//! id of its gateway. Where the two no longer fit to what the control plane lists (a lost file, another database), the
//! gateway is deleted and made anew, because its token cannot be had again.
//!
//! The password of whoever signs in is generated and kept in `console-password`; a user of that name who was there before,
//! or whose password somebody has changed, stays as they are.
//!
//! The gateway's workers are those of the Envoy of an earlier run, which this runner has stopped or killed with itself. So nobody
//! need wait for them, and that is said to the control plane.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::admin::{AdminClient, AdminError};
use crate::secrets;

const ORGANIZATION: &str = "acme";
const GATEWAY: &str = "local";
/// Who signs in to the console: an admin of the organization.
pub const ADMIN: &str = "ada";

/// What the rest of the demo needs to know.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// The organization's id.
    pub organization: String,
    /// The gateway's token.
    pub gateway_token: String,
}

/// Seeding failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The control plane refused, or was not there.
    #[error("cannot prepare the demo: {0}")]
    Admin(#[from] AdminError),
    /// It answered without a field that it must have.
    #[error("cannot prepare the demo: the control plane's answer for {what} has no `{field}`")]
    Missing {
        /// Of what.
        what: &'static str,
        /// Which one.
        field: &'static str,
    },
    /// The operating system has no random bytes for a password.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// A secret could not be kept.
    #[error("cannot keep the demo's secrets in {directory}: {error}")]
    Keep {
        /// Where.
        directory: String,
        /// What the operating system said.
        error: io::Error,
    },
}

/// Creates what is missing. `directory` holds the demo's secrets.
///
/// # Errors
///
/// [`SeedError`]; what was created until then stays, and the next call goes on from there.
pub async fn seed(admin: &AdminClient, directory: &Path) -> Result<Seeded, SeedError> {
    let organization = organization(admin).await?;
    somebody(admin, &organization, directory).await?;
    apis(admin, &organization).await?;
    let gateway_token = gateway(admin, directory).await?;
    Ok(Seeded { organization, gateway_token })
}

async fn organization(admin: &AdminClient) -> Result<String, SeedError> {
    let known = admin.list("/v1/organizations").await?;
    if let Some(found) = named(&known, ORGANIZATION) {
        return field(found, "the organization", "id");
    }
    let created = admin.create("/v1/organizations", &json!({"name": ORGANIZATION})).await?;
    field(&created, "the organization", "id")
}

async fn somebody(admin: &AdminClient, organization: &str, directory: &Path) -> Result<(), SeedError> {
    if named(&admin.list("/v1/users").await?, ADMIN).is_some() {
        return Ok(());
    }
    let file = password_file(directory);
    let keep = |error| SeedError::Keep { directory: directory.display().to_string(), error };
    let password = match secrets::read(&file).map_err(keep)? {
        Some(kept) => kept,
        None => {
            let generated = secrets::generate()?;
            // It goes first: a user whose password nobody knows is of no use.
            secrets::write(&file, &generated).map_err(keep)?;
            generated
        }
    };
    let user = json!({"name": ADMIN, "role": "admin", "organization": organization, "password": password});
    admin.create("/v1/users", &user).await?;
    Ok(())
}

/// Where the password of [`ADMIN`] is kept.
pub fn password_file(directory: &Path) -> PathBuf {
    directory.join("console-password")
}

async fn apis(admin: &AdminClient, organization: &str) -> Result<(), SeedError> {
    let known = admin.list("/v1/apis").await?;
    let wanted = [
        json!({
            "name": "echo",
            "kind": "serverless",
            "match": {"path_prefix": "/v1"},
            "rate_limit": null,
            "price": {
                "per_call_micros": 100,
                "per_million_input_tokens_micros": 2_500_000,
                "per_million_output_tokens_micros": 10_000_000,
            },
        }),
        json!({
            "name": "private-echo",
            "kind": "dedicated",
            "organization": organization,
            "match": {"path_prefix": "/dedicated/v1"},
            "rate_limit": {"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60}]},
        }),
    ];
    for api in wanted {
        let name = api.get("name").and_then(Value::as_str).unwrap_or_default();
        if named(&known, name).is_some() {
            continue;
        }
        match admin.create("/v1/apis", &api).await {
            // Another API has its place: a user renamed ours or set up their own, and that stays.
            Err(AdminError::Refused { status: StatusCode::CONFLICT, .. }) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn gateway(admin: &AdminClient, directory: &Path) -> Result<String, SeedError> {
    let (token_file, id_file) = (directory.join("gateway-token"), directory.join("gateway-id"));
    let keep = |error| SeedError::Keep { directory: directory.display().to_string(), error };

    let known = admin.list("/v1/gateways").await?;
    if let Some(found) = named(&known, GATEWAY) {
        let id = field(found, "the gateway", "id")?;
        forget_workers(admin, found, &id).await?;
        let kept = secrets::read(&token_file).map_err(keep)?;
        let kept_for = secrets::read(&id_file).map_err(keep)?;
        if let (Some(token), true) = (kept, kept_for.as_deref() == Some(id.as_str())) {
            return Ok(token);
        }
        admin.delete(&format!("/v1/gateways/{id}")).await?;
    }
    let created = admin.create("/v1/gateways", &json!({"name": GATEWAY})).await?;
    let token = field(&created, "the gateway", "token")?;
    // The id goes last: it says that the token beside it is this gateway's.
    secrets::write(&token_file, &token).map_err(keep)?;
    secrets::write(&id_file, &field(&created, "the gateway", "id")?).map_err(keep)?;
    Ok(token)
}

/// Takes the workers that a gateway had off the list.
async fn forget_workers(admin: &AdminClient, gateway: &Value, id: &str) -> Result<(), SeedError> {
    for worker in gateway.get("workers").and_then(Value::as_array).into_iter().flatten() {
        let name = field(worker, "a worker", "id")?;
        match admin.delete(&format!("/v1/gateways/{id}/workers/{name}")).await {
            // Forgotten in the meantime.
            Err(AdminError::Refused { status: StatusCode::NOT_FOUND, .. }) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn named<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    items.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

fn field(item: &Value, what: &'static str, field: &'static str) -> Result<String, SeedError> {
    let text = item.get(field).and_then(Value::as_str);
    text.map(ToOwned::to_owned).ok_or(SeedError::Missing { what, field })
}

#[cfg(test)]
mod tests;
