//! `POST /v1/apis`: create an API.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::api::Access;
use portcullis_core::id::Api as ApiMark;
use portcullis_core::key::ApiKind;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApiView, Match};
use crate::api::caller::Operator;
use crate::api::extract::{JsonBody, QueryOf};
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::keys::KindName;
use crate::api::propagation::{PropagationView, WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, Forbidden, WriteError};
use crate::api::{App, created};
use crate::domain::api::{Api, Price, Route, check_counting};
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::rate_limit::RateLimit;
use crate::storage::{NewApi, View};

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApi {
    /// 1 to 100 characters, without control characters; no other API's name.
    #[schema(min_length = 1, max_length = 100, example = "echo")]
    name: String,
    kind: KindName,
    /// The owner of a dedicated API, by id or name; not for a serverless one.
    organization: Option<String>,
    #[serde(rename = "match")]
    route: Match,
    /// The policy that callers are held to; none if this is left out.
    rate_limit: Option<RateLimit>,
    /// What a call costs; nothing if this is left out.
    price: Option<Price>,
    /// Whether the tokens of responses are counted; they are if this is left out. Limits and prices for tokens need it.
    count_tokens: Option<bool>,
    /// Whether the upstream is shown the caller's `Authorization` header.
    forward_credential: Option<bool>,
}

/// What to create, with every field read; the owner has yet to be looked up.
#[derive(Debug)]
struct Draft {
    name: Name,
    owner: Option<String>,
    route: Route,
    rate_limit: Option<RateLimit>,
    price: Option<Price>,
    count_tokens: bool,
    forward_credential: bool,
}

/// Creates an API. Only operators do.
#[utoipa::path(
    post, path = "/v1/apis", tag = "apis",
    request_body(content = CreateApi, example = json!({
        "name": "chat", "kind": "serverless", "match": {"path_prefix": "/v1/chat"},
        "rate_limit": {"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60}]}
    })),
    params(IdempotencyHeader, WaitQuery),
    responses(
        (status = 201, body = Written<ApiView>, description = "Created",
         headers(("Location" = String, description = "Where it is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, Forbidden, BadQuery, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Operator(actor): Operator,
    idempotency: Idempotency,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<CreateApi>,
) -> Result<Response, WriteError> {
    let draft = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    if let Some(earlier) = idempotency.earlier::<ApiMark>(&mut write, actor, body.digest).await? {
        let api = write.view().api(earlier.id).await?.ok_or(WriteError::Gone)?;
        drop(write);
        return Ok(replayed(answer(api, app.receipt_of_all(query.wait_ms).await)));
    }
    let new = resolve(&mut write.view(), draft).await?;
    let api = write.create_api(new).await??;
    idempotency.remember(&mut write, actor, body.digest, api.id, None).await?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(answer(api, propagation))
}

fn answer(api: Api, propagation: Option<PropagationView>) -> Response {
    created(format!("/v1/apis/{}", api.id), Written::new(ApiView::from(api), propagation))
}

fn parse(request: CreateApi) -> Result<Draft, Faults> {
    let mut faults = Faults::default();
    let name = faults.take("/name", Name::parse(&request.name));
    let route = Route::parse(request.route.hosts.as_deref(), &request.route.path_prefix);
    let route = route.map_err(|found| faults.extend(found)).ok();
    match (ApiKind::from(request.kind), &request.organization) {
        (ApiKind::Serverless, None) | (ApiKind::Dedicated, Some(_)) => {}
        (ApiKind::Serverless, Some(_)) => {
            faults.add("/organization", "a serverless API belongs to no organization");
        }
        (ApiKind::Dedicated, None) => {
            faults.add("/organization", "a dedicated API belongs to an organization: say which");
        }
    }
    if let Some(policy) = &request.rate_limit {
        policy.check(&mut faults);
    }
    if let Some(price) = &request.price {
        price.check(&mut faults);
    }
    let count_tokens = request.count_tokens.unwrap_or(true);
    check_counting(count_tokens, request.rate_limit.as_ref(), request.price.as_ref(), &mut faults);
    faults.check()?;
    Ok(Draft {
        name: name.ok_or_else(Faults::default)?,
        owner: request.organization,
        route: route.ok_or_else(Faults::default)?,
        rate_limit: request.rate_limit,
        price: request.price,
        count_tokens,
        forward_credential: request.forward_credential.unwrap_or(false),
    })
}

/// Looks up the owner that the draft names.
async fn resolve(view: &mut View<'_>, draft: Draft) -> Result<NewApi, WriteError> {
    let access = match &draft.owner {
        None => Access::Serverless,
        Some(reference) => {
            let missing = "there is no organization with this id or name";
            let owner = view.organization_named(reference).await?;
            let owner = owner.ok_or_else(|| Faults::one("/organization", missing))?;
            Access::Dedicated(owner.id)
        }
    };
    Ok(NewApi {
        name: draft.name,
        access,
        route: draft.route,
        rate_limit: draft.rate_limit,
        price: draft.price,
        count_tokens: draft.count_tokens,
        forward_credential: draft.forward_credential,
    })
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text, without_receipt};
    use serde_json::json;

    #[tokio::test]
    async fn an_api_is_created_with_all_it_can_have() {
        let harness = Harness::new().await;
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
        let body = json!({
            "name": "chat", "kind": "ded", "organization": "acme",
            "match": {"hosts": ["B.example", "a.example", "b.example"], "path_prefix": "/v1/"},
            "rate_limit": {"per": "organization", "rules": [
                {"unit": "requests", "limit": 0, "window_seconds": 60},
                {"unit": "tokens", "limit": 10_000, "window_seconds": 86_400, "burst": 5, "mode": "observe"},
            ]},
            "price": {"per_call_micros": 7}, "count_tokens": true, "forward_credential": true,
        });
        let answer = harness.post("/v1/apis", body.clone()).await;
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let created = answer.expect(201);
        assert_eq!(created["match"], json!({"hosts": ["a.example", "b.example"], "path_prefix": "/v1"}));
        assert_eq!(created["rate_limit"], body["rate_limit"]);
        let price = json!({"per_call_micros": 7, "per_million_input_tokens_micros": 0,
                           "per_million_output_tokens_micros": 0});
        assert_eq!(created["price"], price);
        assert_eq!((text(&created, "kind"), &created["forward_credential"]), ("dedicated", &json!(true)));
        assert_eq!(harness.get(&location).await.expect(200), without_receipt(created));
        assert_eq!(harness.revision(), 1);
    }

    #[tokio::test]
    async fn wrong_fields_are_named_and_nothing_is_created() {
        let harness = Harness::furnished().await;
        let before = harness.fingerprint().await;
        let one = json!({"unit": "requests", "limit": 1, "window_seconds": 1});
        let rule = |rule: serde_json::Value| json!({"rate_limit": {"rules": [rule]}});
        let cases = [
            (json!({"name": ""}), "/name"),
            (json!({"kind": "dedicated"}), "/organization"),
            (json!({"organization": "acme"}), "/organization"),
            (json!({"kind": "dedicated", "organization": "nobody"}), "/organization"),
            (json!({"match": {"path_prefix": "new"}}), "/match/path_prefix"),
            (json!({"match": {"path_prefix": "/a/../b"}}), "/match/path_prefix"),
            (json!({"match": {"path_prefix": format!("/{}", "x".repeat(1024))}}), "/match/path_prefix"),
            (json!({"match": {"path_prefix": "/new", "hosts": []}}), "/match/hosts"),
            (json!({"match": {"path_prefix": "/new", "hosts": ["a", "b:80"]}}), "/match/hosts/1"),
            (json!({"match": {"path_prefix": "/new", "headers": {}}}), "/match/headers"),
            (json!({"rate_limit": {"rules": []}}), "/rate_limit/rules"),
            (rule(json!({"unit": "bytes", "limit": 1, "window_seconds": 1})), "/rate_limit/rules/0/unit"),
            (rule(json!({"unit": "tokens", "limit": -1, "window_seconds": 1})), "/rate_limit/rules/0/limit"),
            (rule(json!({"unit": "tokens", "limit": 1, "window_seconds": 0})), "/rate_limit/rules/0/window_seconds"),
            (
                rule(json!({"unit": "tokens", "limit": 1, "window_seconds": 1, "mode": "shadow"})),
                "/rate_limit/rules/0/mode",
            ),
            (
                rule(json!({"unit": "tokens", "limit": 1, "window_seconds": 1, "burst": -1})),
                "/rate_limit/rules/0/burst",
            ),
            (rule(json!({"unit": "tokens", "limit": 1, "window_seconds": 1, "cost": 1})), "/rate_limit/rules/0/cost"),
            (rule(json!({"unit": "tokens", "limit": 1})), "/rate_limit/rules/0"),
            (json!({"rate_limit": {"per": "address", "rules": [one]}}), "/rate_limit/per"),
            (json!({"rate_limit": {"rules": [one, one]}}), "/rate_limit/rules/1"),
            (json!({"price": {"per_call_micros": 1.5}}), "/price/per_call_micros"),
            (json!({"price": {"per_call_micros": 2_000_000_000_000_u64}}), "/price/per_call_micros"),
            (json!({"price": {"per_hour": 1}}), "/price/per_hour"),
            (json!({"count_tokens": 1}), "/count_tokens"),
            (json!({"count_tokens": false, "price": {"per_million_input_tokens_micros": 1}}), "/count_tokens"),
            (json!({"count_tokens": false, "price": {"per_million_output_tokens_micros": 1}}), "/count_tokens"),
            (
                json!({"count_tokens": false,
                       "rate_limit": {"rules": [{"unit": "tokens", "limit": 1, "window_seconds": 1}]}}),
                "/count_tokens",
            ),
        ];
        for (changes, pointer) in cases {
            let mut body = json!({"name": "new", "kind": "serverless", "match": {"path_prefix": "/new"}});
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            assert_eq!(harness.post("/v1/apis", body.clone()).await.pointers(), [pointer], "{body}");
        }
        assert_eq!(harness.fingerprint().await, before);
        harness.assert_guarded("POST", "/v1/apis").await;
    }

    #[tokio::test]
    async fn another_api_with_the_name_or_at_the_place_is_a_conflict_that_is_named() {
        let harness = Harness::furnished().await;
        let named = json!({"name": "echo", "kind": "serverless", "match": {"path_prefix": "/new"}});
        harness.post("/v1/apis", named).await.expect(409);
        let placed = json!({"name": "new", "kind": "serverless", "match": {"path_prefix": "/dedicated/v1/"}});
        let problem = harness.post("/v1/apis", placed).await.expect(409);
        assert!(text(&problem, "detail").contains("\"private-echo\""));
        let hosted = json!({"name": "new", "kind": "serverless", "match": {"path_prefix": "/v1", "hosts": ["a"]}});
        harness.post("/v1/apis", hosted).await.expect(201);
    }
}
