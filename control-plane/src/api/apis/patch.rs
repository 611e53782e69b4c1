//! `PATCH /v1/apis/{id}`: change an API (RFC 7396). Its kind and its owner stay: keys were issued for them.
//!
//! A place, a policy and a price are each replaced as a whole, so that what is sent is what there is afterwards.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Api as ApiMark;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApiView, Match};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, Forbidden, NotFound, WriteError};
use crate::domain::api::{Api, Price, Route, check_counting};
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::rate_limit::RateLimit;

/// What to change. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchApi {
    /// A new name.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// New hosts and path prefix, both together.
    #[serde(rename = "match")]
    route: Option<Match>,
    /// A new policy in place of the whole old one: what it leaves out has its default. Null for none.
    #[serde(default)]
    #[schema(value_type = Option<RateLimit>)]
    rate_limit: Field<RateLimit>,
    /// A new price in place of the whole old one; null for none.
    #[serde(default)]
    #[schema(value_type = Option<Price>)]
    price: Field<Price>,
    /// Whether the tokens of responses are counted. Limits and prices for tokens need it.
    count_tokens: Option<bool>,
    /// Whether the upstream is shown the caller's `Authorization` header.
    forward_credential: Option<bool>,
}

#[derive(Debug)]
struct Change {
    name: Option<Name>,
    route: Option<Route>,
    rate_limit: Field<RateLimit>,
    price: Field<Price>,
    count_tokens: Option<bool>,
    forward_credential: Option<bool>,
}

impl Change {
    /// Whether nothing but the rate limit changes.
    const fn only_limits(&self) -> bool {
        self.name.is_none()
            && self.route.is_none()
            && matches!(self.price, Field::Absent)
            && self.count_tokens.is_none()
            && self.forward_credential.is_none()
    }
}

/// Changes an API. An admin sets the rate limit of the organization's own, and nothing else.
#[utoipa::path(
    patch, path = "/v1/apis/{id}", tag = "apis",
    request_body(content = PatchApi, example = json!({
        "rate_limit": {"per": "organization", "rules": [
            {"unit": "requests", "limit": 60, "window_seconds": 60, "burst": 10},
            {"unit": "tokens", "limit": 1_000_000, "window_seconds": 86_400, "mode": "observe"}
        ]}
    })),
    params(("id" = String, Path, description = "The API's id"), WaitQuery),
    responses(
        (status = 200, body = Written<ApiView>, description = "The API as it is now"),
        Always, Forbidden, NotFound, BadQuery, BadBody, Conflict,
    )
)]
pub async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<ApiMark>,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<PatchApi>,
) -> Result<Json<Written<ApiView>>, WriteError> {
    let change = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    let before = write.view().api(id).await?.ok_or(WriteError::Unknown("API"))?;
    actor.limits_api(&before).map_err(WriteError::denied("API"))?;
    if !change.only_limits() {
        actor.operates().map_err(WriteError::denied("API"))?;
    }
    let after = apply(&before, change);
    let mut faults = Faults::default();
    check_counting(after.count_tokens, after.rate_limit.as_ref(), after.price.as_ref(), &mut faults);
    faults.check()?;
    let after = write.change_api(&before, after).await??;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(Json(Written::new(after.into(), propagation)))
}

fn parse(request: PatchApi) -> Result<Change, Faults> {
    let mut faults = Faults::default();
    let name = request.name.as_deref().map(Name::parse).transpose();
    let name = faults.take("/name", name).flatten();
    let read = |route: &Match| Route::parse(route.hosts.as_deref(), &route.path_prefix);
    let route = request.route.as_ref().map(read).transpose();
    let route = route.map_err(|found| faults.extend(found)).ok().flatten();
    if let Field::Value(policy) = &request.rate_limit {
        policy.check(&mut faults);
    }
    if let Field::Value(price) = &request.price {
        price.check(&mut faults);
    }
    faults.check()?;
    Ok(Change {
        name,
        route,
        rate_limit: request.rate_limit,
        price: request.price,
        count_tokens: request.count_tokens,
        forward_credential: request.forward_credential,
    })
}

fn apply(before: &Api, change: Change) -> Api {
    Api {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        route: change.route.unwrap_or_else(|| before.route.clone()),
        rate_limit: change.rate_limit.or_keep(before.rate_limit.clone()),
        price: change.price.or_keep(before.price),
        count_tokens: change.count_tokens.unwrap_or(before.count_tokens),
        forward_credential: change.forward_credential.unwrap_or(before.forward_credential),
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text, without_receipt};
    use serde_json::{Value, json};

    async fn echo(harness: &Harness) -> String {
        let listed = harness.get("/v1/apis").await.expect(200);
        let echo = listed["items"].as_array().unwrap().iter().find(|api| api["name"] == "echo").unwrap().clone();
        format!("/v1/apis/{}", text(&echo, "id"))
    }

    #[tokio::test]
    async fn each_field_changes_and_filters_hear_what_concerns_them() {
        let harness = Harness::furnished().await;
        let path = echo(&harness).await;
        let policy = json!({"rules": [{"unit": "requests", "limit": 1, "window_seconds": 1}]});
        let observing = json!({"per": "user", "rules": [
            {"unit": "requests", "limit": 1, "window_seconds": 1, "burst": 0},
            {"unit": "tokens", "limit": 1, "window_seconds": 1, "mode": "observe"},
        ]});
        let price = json!({"per_call_micros": 1, "per_million_input_tokens_micros": 2,
                           "per_million_output_tokens_micros": 3});
        let route = json!({"hosts": ["a.example"], "path_prefix": "/v2"});
        let cases = [
            ("name", json!("new"), 0),
            ("rate_limit", policy.clone(), 1),
            ("rate_limit", policy, 0),
            ("rate_limit", observing, 1),
            ("price", price.clone(), 1),
            ("price", price, 0),
            ("match", route, 1),
            ("forward_credential", json!(true), 1),
            ("rate_limit", Value::Null, 1),
            ("rate_limit", Value::Null, 0),
            ("price", Value::Null, 1),
            ("count_tokens", json!(false), 1),
            ("count_tokens", json!(true), 1),
        ];
        for (field, value, revisions) in cases {
            let (mut expected, before) = (harness.get(&path).await.expect(200), harness.revision());
            let mut change = json!({});
            change[field] = value.clone();
            expected[field] = value;
            let patched = harness.patch(&path, change).await.expect(200);
            assert_eq!(patched["propagation"].is_null(), revisions == 0, "{field}");
            assert_eq!(without_receipt(patched), expected);
            assert_eq!(harness.get(&path).await.expect(200), expected);
            assert_eq!(harness.revision(), before + revisions, "{field}");
        }
    }

    #[tokio::test]
    async fn a_policy_replaces_the_whole_one_before_and_the_audit_shows_both() {
        let harness = Harness::furnished().await;
        let path = echo(&harness).await;
        let by_user = json!({"per": "user", "rules": [{"unit": "tokens", "limit": 5, "window_seconds": 9}]});
        // Said at length, and shown without a `per` and a `mode` that have their defaults.
        let sent = json!({"per": "key", "rules": [{"unit": "requests", "limit": 60, "window_seconds": 60,
                                                   "burst": 60, "mode": "enforce"}]});
        let kept = json!({"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60, "burst": 60}]});
        harness.patch(&path, json!({"rate_limit": by_user})).await.expect(200);
        let before = harness.revision();
        for revision in [json!(before + 1), Value::Null] {
            let patched = harness.patch(&path, json!({"rate_limit": sent})).await.expect(200);
            assert_eq!(patched["rate_limit"], kept);
            assert_eq!(patched["propagation"]["revision"], revision);
        }
        let audit = harness.get("/v1/audit?action=api.change").await.expect(200);
        let [last, first] = audit["items"].as_array().unwrap().as_slice() else { panic!("{audit}") };
        assert_eq!((&first["before"]["rate_limit"], &first["after"]["rate_limit"]), (&Value::Null, &by_user));
        assert_eq!((&last["before"]["rate_limit"], &last["after"]["rate_limit"]), (&by_user, &kept));
        assert_eq!(last["revision"], before + 1);
    }

    #[tokio::test]
    async fn tokens_are_counted_while_something_depends_on_them() {
        let harness = Harness::furnished().await;
        let path = echo(&harness).await;
        let by_token = json!({"rules": [{"unit": "tokens", "limit": 5, "window_seconds": 9}]});
        let price = json!({"per_million_output_tokens_micros": 1});
        let off = json!({"count_tokens": false});
        for (field, value) in [("rate_limit", &by_token), ("price", &price)] {
            let mut change = json!({});
            change[field] = value.clone();
            harness.patch(&path, change.clone()).await.expect(200);
            assert_eq!(harness.patch(&path, off.clone()).await.pointers(), ["/count_tokens"]);
            let mut without = json!({"count_tokens": false});
            without[field] = Value::Null;
            harness.patch(&path, without).await.expect(200);
            assert_eq!(harness.patch(&path, change.clone()).await.pointers(), ["/count_tokens"]);
            change["count_tokens"] = json!(true);
            harness.patch(&path, change).await.expect(200);
            let mut nothing = json!({});
            nothing[field] = Value::Null;
            harness.patch(&path, nothing).await.expect(200);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_or_in_the_way_is_refused_and_changes_nothing() {
        let harness = Harness::furnished().await;
        let (path, before) = (echo(&harness).await, harness.fingerprint().await);
        let cases = [
            (json!({"name": ""}), "/name"),
            (json!({"match": {"path_prefix": ""}}), "/match/path_prefix"),
            (json!({"rate_limit": {"rules": []}}), "/rate_limit/rules"),
            (json!({"rate_limit": {"per": "user"}}), "/rate_limit"),
            (json!({"rate_limit": {"per": "team", "rules": []}}), "/rate_limit/per"),
            (json!({"price": {"per_call_micros": -1}}), "/price/per_call_micros"),
            (json!({"kind": "dedicated"}), "/kind"),
            (json!({"organization": "acme"}), "/organization"),
        ];
        for (change, pointer) in cases {
            assert_eq!(harness.patch(&path, change).await.pointers(), [pointer]);
        }
        harness.patch(&path, json!({"name": "private-echo"})).await.expect(409);
        harness.patch(&path, json!({"match": {"path_prefix": "/dedicated/v1"}})).await.expect(409);
        harness.patch("/v1/apis/api_0000000000000", json!({})).await.expect(404);
        harness.assert_guarded("PATCH", &path).await;
        assert_eq!(harness.fingerprint().await, before);
    }
}
