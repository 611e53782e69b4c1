//! `POST /v1/organizations`: create an organization.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::Organization as OrganizationMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OrganizationView, TAKEN};
use crate::api::caller::Operator;
use crate::api::extract::JsonBody;
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::refusals::{Always, BadBody, Conflict, Forbidden, WriteError};
use crate::api::{App, created};
use crate::domain::budget::Budget;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::organization::Organization;

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// 1 to 100 characters, without control characters; no other organization's name.
    #[schema(min_length = 1, max_length = 100, example = "acme")]
    name: String,
    /// What may be used with all its keys together in a calendar month (UTC); as much as there is if this is left out.
    monthly_budget: Option<Budget>,
}

/// Creates an organization. Only operators do.
#[utoipa::path(
    post, path = "/v1/organizations", tag = "organizations", request_body = CreateOrganization,
    params(IdempotencyHeader),
    responses(
        (status = 201, body = OrganizationView, description = "Created",
         headers(("Location" = String, description = "Where it is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, Forbidden, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Operator(actor): Operator,
    idempotency: Idempotency,
    body: JsonBody<CreateOrganization>,
) -> Result<Response, WriteError> {
    let (name, monthly_budget) = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    if let Some(earlier) = idempotency.earlier::<OrganizationMark>(&mut write, actor, body.digest).await? {
        let organization = write.view().organization(earlier.id).await?.ok_or(WriteError::Gone)?;
        return Ok(replayed(answer(organization)));
    }
    let organization = write.create_organization(&name, monthly_budget).await?;
    let organization = organization.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    idempotency.remember(&mut write, actor, body.digest, organization.id, None).await?;
    write.commit().await?;
    Ok(answer(organization))
}

fn parse(request: CreateOrganization) -> Result<(Name, Option<Budget>), Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", Name::parse(&request.name));
    if let Some(budget) = &request.monthly_budget {
        budget.check(&mut faults);
    }
    faults.check()?;
    Ok((name.ok_or_else(Faults::default)?, request.monthly_budget))
}

fn answer(organization: Organization) -> Response {
    created(format!("/v1/organizations/{}", organization.id), OrganizationView::from(organization))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;

    #[tokio::test]
    async fn an_organization_is_created_and_filters_hear_nothing_of_it() {
        let harness = Harness::new().await;
        let answer = harness.post("/v1/organizations", json!({"name": " acme "})).await;
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let created = answer.expect(201);
        assert_eq!(location, format!("/v1/organizations/{}", text(&created, "id")));
        assert_eq!((text(&created, "name"), text(&created, "created_at")), ("acme", "2027-01-01T00:00:00Z"));
        assert_eq!(harness.get(&location).await.expect(200), created);
        assert_eq!(harness.revision(), 0);
    }

    #[tokio::test]
    async fn an_organization_can_have_a_budget_from_the_beginning() {
        let harness = Harness::new().await;
        let body = json!({"name": "acme", "monthly_budget": {"tokens": 7}});
        let created = harness.post("/v1/organizations", body).await.expect(201);
        assert_eq!((&created["monthly_budget"], &created["over_budget"]), (&json!({"tokens": 7}), &json!(false)));
        assert_eq!(harness.get("/v1/organizations").await.expect(200)["items"], json!([created]));
        let wrong = json!({"name": "", "monthly_budget": {}});
        assert_eq!(harness.post("/v1/organizations", wrong).await.pointers(), ["/name", "/monthly_budget"]);
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_must_be_one() {
        let harness = Harness::new().await;
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(409);
        assert_eq!(harness.post("/v1/organizations", json!({"name": " "})).await.pointers(), ["/name"]);
        assert_eq!(harness.post("/v1/organizations", json!({"name": "a", "x": 1})).await.pointers(), ["/x"]);
        harness.assert_guarded("POST", "/v1/organizations").await;
    }
}
