//! `PATCH /v1/keys/{id}`: change a key's name, expiry, scopes, rate limiting or budget (RFC 7396).

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Key as KeyMark;
use portcullis_core::key::ApiKind;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EXPIRY_PAST, KeyView, RATE_LIMIT_KIND, REVOKED, budget_allowed, handled, parse_expiry, scopes};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, Forbidden, NotFound, WriteError};
use crate::domain::budget::Budget;
use crate::domain::fault::Faults;
use crate::domain::key::Key;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::storage::Write;

/// What to change. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchRequest {
    /// A new name.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// A new expiry; null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Field<String>,
    /// New scopes, by id or name; null for all APIs of the key's kind.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    apis: Field<Vec<String>>,
    /// Whether the key is held to the rate limits of the APIs that it calls. Only for dedicated keys.
    rate_limit_enabled: Option<bool>,
    /// A new budget in place of the whole old one; null for none. Not for members.
    #[serde(default)]
    #[schema(value_type = Option<Budget>)]
    monthly_budget: Field<Budget>,
}

#[derive(Debug)]
struct Change {
    name: Option<Name>,
    expires_at: Field<Timestamp>,
    apis: Field<Vec<String>>,
    rate_limit_enabled: Option<bool>,
    monthly_budget: Field<Budget>,
}

/// Changes a key. Its secret stays.
#[utoipa::path(
    patch, path = "/v1/keys/{id}", tag = "keys", request_body = PatchRequest,
    params(("id" = String, Path, description = "The key's id"), WaitQuery),
    responses(
        (status = 200, body = Written<KeyView>, description = "The key as it is now"),
        Always, Forbidden, NotFound, BadQuery, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<KeyMark>,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<PatchRequest>,
) -> Result<Json<Written<KeyView>>, WriteError> {
    let change = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = handled(&mut write.view(), id, actor).await?;
    budget_allowed(&change.monthly_budget, actor)?;
    if before.revoked_at.is_some() {
        return Err(WriteError::Conflict(REVOKED.to_owned()));
    }
    let after = apply(&mut write, &before, change).await?;
    let after = write.change_key(&before, after).await?;
    let now = write.now();
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(Json(Written::new(KeyView::new(after, now), propagation)))
}

fn parse(request: PatchRequest) -> Result<Change, Faults> {
    let mut faults = Faults::default();
    let name = request.name.as_deref().map(Name::parse).transpose();
    let name = faults.take("/name", name).flatten();
    let expires_at = request.expires_at.try_map(|text| parse_expiry(&text));
    let expires_at = faults.take("/expires_at", expires_at);
    if let Field::Value(apis) = &request.apis {
        scopes::check(apis, &mut faults);
    }
    if let Field::Value(budget) = &request.monthly_budget {
        budget.check(&mut faults);
    }
    faults.check()?;
    Ok(Change {
        name,
        expires_at: expires_at.unwrap_or_default(),
        apis: request.apis,
        rate_limit_enabled: request.rate_limit_enabled,
        monthly_budget: request.monthly_budget,
    })
}

/// The key with the change made, checked against what the key is.
async fn apply(write: &mut Write, before: &Key, change: Change) -> Result<Key, WriteError> {
    let mut faults = Faults::default();
    if let Field::Value(end) = &change.expires_at
        && *end <= write.now()
    {
        faults.add("/expires_at", EXPIRY_PAST);
    }
    if change.rate_limit_enabled == Some(true) && before.kind == ApiKind::Serverless {
        faults.add("/rate_limit_enabled", RATE_LIMIT_KIND);
    }
    faults.check()?;
    let apis = match change.apis {
        Field::Absent => before.apis.clone(),
        Field::Null => None,
        Field::Value(references) => {
            let mut view = write.view();
            let found = scopes::resolve(&mut view, &references, before.kind, before.organization);
            Some(found.await??)
        }
    };
    Ok(Key {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        expires_at: change.expires_at.or_keep(before.expires_at),
        apis,
        rate_limit_enabled: change.rate_limit_enabled.unwrap_or(before.rate_limit_enabled),
        monthly_budget: change.monthly_budget.or_keep(before.monthly_budget),
        ..before.clone()
    })
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text, without_receipt};
    use serde_json::{Value, json};
    use std::time::Duration;

    async fn key(harness: &Harness, kind: &str) -> String {
        let body = json!({"kind": kind, "name": "k", "expires_at": "2027-01-01T00:00:10Z"});
        format!("/v1/keys/{}", text(&harness.post("/v1/keys", body).await.expect(201), "id"))
    }

    #[tokio::test]
    async fn each_field_changes_and_the_others_stay() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "dedicated").await;
        let cases = [
            (json!({"name": " new "}), "name", json!("new")),
            (json!({"expires_at": "2028-01-01T00:00:00Z"}), "expires_at", json!("2028-01-01T00:00:00Z")),
            (json!({"rate_limit_enabled": true}), "rate_limit_enabled", json!(true)),
            (json!({"expires_at": null}), "expires_at", Value::Null),
            (json!({"monthly_budget": {"tokens": 5}}), "monthly_budget", json!({"tokens": 5})),
            (json!({"monthly_budget": {"cost_micros": 7}}), "monthly_budget", json!({"cost_micros": 7})),
            (json!({"monthly_budget": null}), "monthly_budget", Value::Null),
        ];
        for (change, field, expected) in cases {
            let mut before = harness.get(&path).await.expect(200);
            let after = harness.patch(&path, change).await.expect(200);
            before[field] = expected;
            assert_eq!(without_receipt(after), before);
            assert_eq!(harness.get(&path).await.expect(200), before);
        }
        let scoped = harness.patch(&path, json!({"apis": ["private-echo"]})).await.expect(200);
        assert_eq!(scoped["apis"].as_array().unwrap().len(), 1);
        assert_eq!(harness.patch(&path, json!({"apis": null})).await.expect(200)["apis"], Value::Null);
        assert_eq!(harness.get("/v1/keys?q=new").await.expect(200)["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn filters_hear_only_of_what_concerns_them() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "serverless").await;
        let before = harness.revision();
        harness.patch(&path, json!({"name": "new"})).await.expect(200);
        harness.patch(&path, json!({})).await.expect(200);
        assert_eq!(harness.revision(), before);
        harness.patch(&path, json!({"expires_at": null})).await.expect(200);
        assert_eq!(harness.revision(), before + 1);
    }

    #[tokio::test]
    async fn rate_limiting_is_switched_in_a_revision_and_not_twice() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "dedicated").await;
        for (enabled, revisions) in [(true, 1), (true, 0), (false, 1), (false, 0)] {
            let before = harness.revision();
            let patched = harness.patch(&path, json!({"rate_limit_enabled": enabled})).await.expect(200);
            assert_eq!(patched["rate_limit_enabled"], enabled);
            assert_eq!(patched["propagation"].is_null(), revisions == 0);
            assert_eq!(harness.revision(), before + revisions);
        }
        let audit = harness.get("/v1/audit?action=key.change").await.expect(200);
        let switched =
            audit["items"].as_array().unwrap().iter().map(|entry| {
                (entry["before"]["rate_limit_enabled"].clone(), entry["after"]["rate_limit_enabled"].clone())
            });
        assert_eq!(switched.collect::<Vec<_>>(), [(json!(true), json!(false)), (json!(false), json!(true))]);
    }

    #[tokio::test]
    async fn an_expired_key_lives_again_with_a_new_expiry() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "serverless").await;
        harness.advance(Duration::from_secs(10));
        let renamed = harness.patch(&path, json!({"name": "new"})).await.expect(200);
        assert_eq!(renamed["status"], "expired");
        let extended = harness.patch(&path, json!({"expires_at": "2027-02-01T00:00:00Z"})).await;
        assert_eq!(extended.expect(200)["status"], "active");
    }

    #[tokio::test]
    async fn what_is_wrong_is_refused_and_changes_nothing() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "serverless").await;
        let before = harness.fingerprint().await;
        let cases = [
            (json!({"name": ""}), "/name"),
            (json!({"expires_at": "2027-01-01T00:00:00Z"}), "/expires_at"),
            (json!({"expires_at": "soon"}), "/expires_at"),
            (json!({"apis": []}), "/apis"),
            (json!({"apis": ["private-echo"]}), "/apis/0"),
            (json!({"rate_limit_enabled": true}), "/rate_limit_enabled"),
            (json!({"monthly_budget": {}}), "/monthly_budget"),
            (json!({"monthly_budget": {"tokens": -1}}), "/monthly_budget/tokens"),
            (json!({"monthly_budget": {"cost_micros": 2_000_000_000_000_u64}}), "/monthly_budget/cost_micros"),
            (json!({"monthly_budget": {"calls": 1}}), "/monthly_budget/calls"),
            (json!({"kind": "dedicated"}), "/kind"),
            (json!({"organization": "acme"}), "/organization"),
        ];
        for (change, pointer) in cases {
            assert_eq!(harness.patch(&path, change).await.pointers(), [pointer]);
        }
        assert_eq!(harness.fingerprint().await, before);
        harness.patch("/v1/keys/key_0000000000000", json!({})).await.expect(404);
        harness.assert_guarded("PATCH", &path).await;
    }

    #[tokio::test]
    async fn a_revoked_key_cannot_be_changed() {
        let harness = Harness::furnished().await;
        let path = key(&harness, "serverless").await;
        harness.delete(&path).await.expect(200);
        harness.patch(&path, json!({"name": "new"})).await.expect(409);
    }
}
