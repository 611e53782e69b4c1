//! `DELETE /v1/organizations/{id}`: delete an organization to which nothing belongs that is in use.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Organization as OrganizationMark;

use super::OrganizationView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, Conflict, Forbidden, NotFound, WriteError};

/// Deletes an organization. Only operators do, once its users, APIs and keys are deleted.
#[utoipa::path(
    delete, path = "/v1/organizations/{id}", tag = "organizations",
    params(("id" = String, Path, description = "The organization's id")),
    responses(
        (status = 200, body = OrganizationView, description = "The organization as it was"),
        Always, Forbidden, NotFound, Conflict,
    )
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<OrganizationMark>,
) -> Result<Json<OrganizationView>, WriteError> {
    let mut write = app.store.write(Some(actor)).await?;
    let organization = write.view().organization(id).await?.ok_or(WriteError::Unknown("organization"))?;
    let allowed = actor.sees_organization(id).and_then(|()| actor.operates());
    allowed.map_err(WriteError::denied("organization"))?;
    if let Some(what) = write.view().belongings(id).await? {
        return Err(WriteError::Conflict(format!("This organization still has {what}. Delete them first.")));
    }
    write.delete_organization(&organization).await?;
    write.commit().await?;
    Ok(Json(organization.into()))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;

    #[tokio::test]
    async fn an_organization_goes_once_nothing_belongs_to_it_and_its_name_is_free() {
        let harness = Harness::furnished().await;
        let key = harness.issue("k").await;
        let organization = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
        let path = format!("/v1/organizations/{}", text(&organization, "id"));
        let apis = harness.get("/v1/apis").await.expect(200);
        let private = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "private-echo").unwrap();
        harness.delete(&path).await.expect(409);
        harness.delete(&format!("/v1/apis/{}", text(private, "id"))).await.expect(200);
        harness.delete(&path).await.expect(409);
        harness.delete(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
        assert_eq!(harness.delete(&path).await.expect(200), organization);
        harness.get(&path).await.expect(404);
        harness.delete(&path).await.expect(404);
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
        // What it had is still told of.
        assert_eq!(harness.get(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200)["status"], "revoked");
        harness.assert_guarded("DELETE", &path).await;
    }
}
