//! `PATCH /v1/organizations/{id}`: change an organization's name or budget (RFC 7396).

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Organization as OrganizationMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OrganizationView, TAKEN};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, Forbidden, NotFound, WriteError};
use crate::domain::budget::Budget;
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
    /// A new budget in place of the whole old one; null for none.
    #[serde(default)]
    #[schema(value_type = Option<Budget>)]
    monthly_budget: Field<Budget>,
}

/// Changes an organization. Only operators do.
#[utoipa::path(
    patch, path = "/v1/organizations/{id}", tag = "organizations", request_body = PatchOrganization,
    params(("id" = String, Path, description = "The organization's id"), WaitQuery),
    responses(
        (status = 200, body = Written<OrganizationView>, description = "The organization as it is now"),
        Always, Forbidden, NotFound, BadQuery, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<OrganizationMark>,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<PatchOrganization>,
) -> Result<Json<Written<OrganizationView>>, WriteError> {
    let (name, monthly_budget) = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = write.view().organization(id).await?.ok_or(WriteError::Unknown("organization"))?;
    let allowed = actor.sees_organization(id).and_then(|()| actor.operates());
    allowed.map_err(WriteError::denied("organization"))?;
    let after = Organization {
        name: name.unwrap_or_else(|| before.name.clone()),
        monthly_budget: monthly_budget.or_keep(before.monthly_budget),
        ..before.clone()
    };
    let after = write.change_organization(&before, after).await?;
    let after = after.ok_or_else(|| WriteError::Conflict(TAKEN.to_owned()))?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(Json(Written::new(after.into(), propagation)))
}

fn parse(request: PatchOrganization) -> Result<(Option<Name>, Field<Budget>), Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", request.name.as_deref().map(Name::parse).transpose()).flatten();
    if let Field::Value(budget) = &request.monthly_budget {
        budget.check(&mut faults);
    }
    faults.check()?;
    Ok((name, request.monthly_budget))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text, without_receipt};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn an_organization_is_renamed_and_keeps_its_keys() {
        let harness = Harness::furnished().await;
        harness.issue("k").await;
        let organization = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
        let path = format!("/v1/organizations/{}", text(&organization, "id"));
        assert_eq!(without_receipt(harness.patch(&path, json!({})).await.expect(200)), organization);
        assert_eq!(harness.patch(&path, json!({"name": "acme inc"})).await.expect(200)["name"], "acme inc");
        let keys = harness.get("/v1/keys?organization=acme%20inc").await.expect(200);
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_budget_is_set_replaced_and_taken_away() {
        let harness = Harness::furnished().await;
        let organization = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
        let path = format!("/v1/organizations/{}", text(&organization, "id"));
        for budget in [json!({"tokens": 7}), json!({"cost_micros": 9}), Value::Null] {
            let mut expected = organization.clone();
            expected["monthly_budget"] = budget.clone();
            let patched = harness.patch(&path, json!({"monthly_budget": budget})).await.expect(200);
            assert_eq!(patched["propagation"], Value::Null);
            assert_eq!(without_receipt(patched), expected);
            assert_eq!(harness.get(&path).await.expect(200), expected);
        }
        let before = harness.fingerprint().await;
        for (budget, pointer) in [
            (json!({}), "/monthly_budget"),
            (json!({"tokens": -1}), "/monthly_budget/tokens"),
            (json!({"cost_micros": 2_000_000_000_000_u64}), "/monthly_budget/cost_micros"),
        ] {
            assert_eq!(harness.patch(&path, json!({"monthly_budget": budget})).await.pointers(), [pointer]);
        }
        assert_eq!(harness.fingerprint().await, before);
        let audit = harness.audit("action=organization.change&outcome=done").await;
        assert_eq!((audit.len(), &audit[2]["after"]["monthly_budget"]), (3, &json!({"tokens": 7})));
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
