//! `PATCH /v1/organizations/{id}`: rename an organization (RFC 7396).

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Organization as OrganizationMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OrganizationView, TAKEN};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{JsonBody, PathId};
use crate::api::refusals::{Always, BadBody, Conflict, Forbidden, NotFound, WriteError};
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::organization::Organization;

/// What to change. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchOrganization {
    /// A new name.
    #[schema(min_length = 1, max_length = 100, example = "acme")]
    name: Option<String>,
}

/// Renames an organization. Only operators do.
#[utoipa::path(
    patch, path = "/v1/organizations/{id}", tag = "organizations", request_body = PatchOrganization,
    params(("id" = String, Path, description = "The organization's id")),
    responses(
        (status = 200, body = OrganizationView, description = "The organization as it is now"),
        Always, Forbidden, NotFound, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<OrganizationMark>,
    body: JsonBody<PatchOrganization>,
) -> Result<Json<OrganizationView>, WriteError> {
    let name = body.value.name.as_deref().map(Name::parse).transpose();
    let name = name.map_err(|error| Faults::one("/name", error))?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = write.view().organization(id).await?.ok_or(WriteError::Unknown("organization"))?;
    let allowed = actor.sees_organization(id).and_then(|()| actor.operates());
    allowed.map_err(WriteError::denied("organization"))?;
    let Some(name) = name else {
        return Ok(Json(before.into()));
    };
    let after = Organization { name, ..before.clone() };
    let after = write.change_organization(&before, after).await?;
    let after = after.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    write.commit().await?;
    Ok(Json(after.into()))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;

    #[tokio::test]
    async fn an_organization_is_renamed_and_keeps_its_keys() {
        let harness = Harness::furnished().await;
        harness.issue("k").await;
        let organization = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
        let path = format!("/v1/organizations/{}", text(&organization, "id"));
        assert_eq!(harness.patch(&path, json!({})).await.expect(200), organization);
        assert_eq!(harness.patch(&path, json!({"name": "acme inc"})).await.expect(200)["name"], "acme inc");
        let keys = harness.get("/v1/keys?organization=acme%20inc").await.expect(200);
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_name_that_is_taken_or_none_is_refused() {
        let harness = Harness::furnished().await;
        let other = harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let path = format!("/v1/organizations/{}", text(&other, "id"));
        let before = harness.fingerprint().await;
        harness.patch(&path, json!({"name": "acme"})).await.expect(409);
        assert_eq!(harness.patch(&path, json!({"name": ""})).await.pointers(), ["/name"]);
        harness.patch("/v1/organizations/org_0000000000000", json!({"name": "x"})).await.expect(404);
        harness.assert_guarded("PATCH", &path).await;
        assert_eq!(harness.fingerprint().await, before);
    }
}
