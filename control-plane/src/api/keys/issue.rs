//! `POST /v1/keys`: issue a key.
//!
//! The secret is drawn here, shown in this one answer, and stored nowhere. So a retry with the same
//! `Idempotency-Key` cannot repeat the answer. Instead it *reissues* the key that the first attempt made: the
//! same id with a new secret, while the one that got lost on its way is dead. However often it is retried,
//! there is one key and one live secret.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::{Key as KeyMark, OrganizationId};
use portcullis_core::key::{ApiKind, Kind};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EXPIRY_PAST, KeyView, KindName, RATE_LIMIT_KIND, budget_allowed, issued, parse_expiry, scopes};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, JsonBody, QueryOf};
use crate::api::idempotency::{Idempotency, IdempotencyHeader, Made, replayed};
use crate::api::organizations::seen_named;
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, Forbidden, WriteError};
use crate::domain::actor::Actor;
use crate::domain::budget::Budget;
use crate::domain::fault::Faults;
use crate::domain::key::{Key, KeyStatus};
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::storage::{Handover, NewKey, View, Write};

/// What to issue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    kind: KindName,
    /// 1 to 100 characters, without control characters.
    #[schema(min_length = 1, max_length = 100, example = "batch jobs")]
    name: String,
    /// When the key ends; it never does if this is left out.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Ids or names of the APIs to which the key is confined; all of its kind if this is left out.
    #[schema(min_items = 1, max_items = 100)]
    apis: Option<Vec<String>>,
    /// Whether the key is held to the rate limits of the APIs that it calls. Only for dedicated keys.
    rate_limit_enabled: Option<bool>,
    /// What may be used with it in a calendar month (UTC); as much as there is if this is left out. Not for members.
    #[serde(default)]
    #[schema(value_type = Option<Budget>)]
    monthly_budget: Field<Budget>,
    /// Whose key it is, by id or name. Left out it is the caller's organization, or the only one there is.
    organization: Option<String>,
}

/// What to issue, with every field read; what it names has yet to be looked up.
#[derive(Debug)]
struct Draft {
    kind: ApiKind,
    name: Name,
    expires_at: Option<Timestamp>,
    apis: Option<Vec<String>>,
    rate_limit_enabled: bool,
    monthly_budget: Option<Budget>,
    organization: Option<String>,
}

/// Issues a key. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys",
    request_body(content = IssueRequest, example = json!({"kind": "serverless", "name": "batch jobs"})),
    params(IdempotencyHeader, WaitQuery),
    responses(
        (status = 201, body = Written<super::IssuedKey>, description = "Issued, with its secret",
         headers(("Location" = String, description = "Where the key is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, Forbidden, BadQuery, BadBody, Conflict,
    )
)]
pub async fn issue(
    State(app): State<App>,
    Caller(actor): Caller,
    idempotency: Idempotency,
    QueryOf(query): QueryOf<WaitQuery>,
    body: JsonBody<IssueRequest>,
) -> Result<Response, WriteError> {
    budget_allowed(&body.value.monthly_budget, actor)?;
    let draft = parse(body.value)?;
    let secret = app.store.entropy().key(&app.brand, Kind::Api(draft.kind))?;
    let mut write = app.store.write(Some(actor)).await?;
    let now = write.now();
    if let Some(earlier) = idempotency.earlier::<KeyMark>(&mut write, actor, body.digest).await? {
        let before = replayable(&mut write, earlier).await?;
        let key = write.reissue_key(&before, before.expires_at, Handover::Retry, &secret).await?;
        idempotency.remember(&mut write, actor, body.digest, key.id, Some(key.digest)).await?;
        let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
        return Ok(replayed(issued(secret, KeyView::new(key, now), propagation)));
    }
    let new = resolve(&mut write, actor, draft).await?;
    let key = write.issue_key(new, &secret).await?;
    idempotency.remember(&mut write, actor, body.digest, key.id, Some(key.digest)).await?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(issued(secret, KeyView::new(key, now), propagation))
}

/// The key that the earlier request issued, if it can have a new secret.
async fn replayable(write: &mut Write, earlier: Made<KeyMark>) -> Result<Key, WriteError> {
    let now = write.now();
    let key = write.view().key(earlier.id).await?.ok_or(WriteError::Gone)?;
    match key.status(now) {
        KeyStatus::Active => {
            earlier.check(key.digest)?;
            Ok(key)
        }
        KeyStatus::Expired => Err(WriteError::Conflict("The key that this request issued has expired.".to_owned())),
        KeyStatus::Revoked => Err(WriteError::Gone),
    }
}

fn parse(request: IssueRequest) -> Result<Draft, Faults> {
    let mut faults = Faults::default();
    let kind = ApiKind::from(request.kind);
    let name = faults.take("/name", Name::parse(&request.name));
    let expires_at = request.expires_at.as_deref().map(parse_expiry).transpose();
    let expires_at = faults.take("/expires_at", expires_at).flatten();
    if let Some(apis) = &request.apis {
        scopes::check(apis, &mut faults);
    }
    let rate_limit_enabled = request.rate_limit_enabled.unwrap_or(false);
    if rate_limit_enabled && kind == ApiKind::Serverless {
        faults.add("/rate_limit_enabled", RATE_LIMIT_KIND);
    }
    if let Field::Value(budget) = &request.monthly_budget {
        budget.check(&mut faults);
    }
    faults.check()?;
    Ok(Draft {
        kind,
        name: name.ok_or_else(Faults::default)?,
        expires_at,
        apis: request.apis,
        rate_limit_enabled,
        monthly_budget: request.monthly_budget.or_keep(None),
        organization: request.organization,
    })
}

/// Looks up what the draft names, as far as `actor` sees it.
async fn resolve(write: &mut Write, actor: Actor, draft: Draft) -> Result<NewKey, WriteError> {
    let now = write.now();
    if draft.expires_at.is_some_and(|end| end <= now) {
        return Err(Faults::one("/expires_at", EXPIRY_PAST).into());
    }
    let mut view = write.view();
    let organization = owner(&mut view, actor, draft.organization.as_deref()).await?;
    let apis = match &draft.apis {
        Some(references) => Some(scopes::resolve(&mut view, references, draft.kind, organization).await??),
        None => None,
    };
    Ok(NewKey {
        kind: draft.kind,
        organization,
        created_by: actor.user,
        name: draft.name,
        expires_at: draft.expires_at,
        apis,
        rate_limit_enabled: draft.rate_limit_enabled,
        monthly_budget: draft.monthly_budget,
    })
}

/// Whose key it will be: what the request says, the caller's own organization, or the only one.
async fn owner(view: &mut View<'_>, actor: Actor, reference: Option<&str>) -> Result<OrganizationId, WriteError> {
    let (found, missing) = match (reference, actor.role.organization()) {
        (Some(reference), _) => {
            (seen_named(view, actor, reference).await?, "there is no organization with this id or name")
        }
        (None, Some(own)) => (view.organization(own).await?.map(|own| own.id), "your organization has been deleted"),
        (None, None) => (
            view.only_organization().await?.map(|only| only.id),
            "say whose key it is: there is not exactly one organization",
        ),
    };
    found.ok_or_else(|| Faults::one("/organization", missing).into())
}

#[cfg(test)]
mod tests;
