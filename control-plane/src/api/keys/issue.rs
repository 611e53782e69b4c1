//! `POST /v1/keys`: issue a key.
//!
//! The secret is drawn here, shown in this one answer, and stored nowhere. So a retry with the same
//! `Idempotency-Key` cannot repeat the answer. Instead it *reissues* the key that the first attempt made: the
//! same id with a new secret, while the one that got lost on its way is dead. However often it is retried,
//! there is one key and one live secret.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_core::digest::Digest;
use portcullis_core::key::{ApiKind, Kind};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EXPIRY_PAST, KeyView, KindName, issued, parse_expiry, scopes};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::JsonBody;
use crate::api::refusals::{Always, BadBody, Conflict};
use crate::domain::environment::EntropyError;
use crate::domain::fault::Faults;
use crate::domain::key::KeyStatus;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::problem::Problem;
use crate::storage::{Earlier, NewKey, StorageError, Write};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

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
    /// Whose key it is, by id or name. It may be left out while there is only one organization.
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
    organization: Option<String>,
}

/// Why no key is issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Fields are wrong.
    #[error("fields are wrong")]
    Fields(Faults),
    /// The `Idempotency-Key` is no such key.
    #[error("Idempotency-Key: expected 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters.")]
    IdempotencyKey,
    /// The `Idempotency-Key` stands for another request.
    #[error("This Idempotency-Key was used with another body.")]
    OtherRequest,
    /// The key that this request issued before has been deleted since.
    #[error("The key that this request issued has been deleted.")]
    Deleted,
    /// The key that this request issued before has expired since.
    #[error("The key that this request issued has expired.")]
    Expired,
    /// No secret could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Faults> for IssueError {
    fn from(faults: Faults) -> Self {
        Self::Fields(faults)
    }
}

impl IntoResponse for IssueError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Fields(faults) => faults.into(),
            Self::IdempotencyKey => Problem::new(StatusCode::BAD_REQUEST, self),
            Self::OtherRequest => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, self),
            Self::Deleted | Self::Expired => Problem::new(StatusCode::CONFLICT, self),
            Self::Entropy(error) => error.into(),
            Self::Storage(error) => error.into(),
        };
        problem.into_response()
    }
}

/// Issues a key. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", request_body = IssueRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "Makes a retry safe: within 24 hours, the same key with the same body never makes a \
                       second API key, but gives the first one a new secret")),
    responses(
        (status = 201, body = super::IssuedKey, description = "Issued, with its secret",
         headers(("Location" = String, description = "Where the key is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, BadBody, Conflict,
    )
)]
pub async fn issue(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    body: JsonBody<IssueRequest>,
) -> Result<Response, IssueError> {
    let idempotency_key = parse_idempotency_key(&headers)?;
    let draft = parse(body.value)?;
    let secret = app.store.entropy().key(&app.brand, Kind::Api(draft.kind))?;
    let mut write = app.store.write(Some(actor)).await?;
    let now = write.now();
    if let Some(idempotency_key) = &idempotency_key
        && let Some(earlier) = write.earlier_request(actor, idempotency_key).await?
    {
        let before = replayable(&mut write, earlier, body.digest).await?;
        let key = write.reissue_key(&before, before.expires_at, &secret).await?;
        write.commit().await?;
        let mut response = issued(secret, KeyView::new(key, now));
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, replayed);
        return Ok(response);
    }
    let new = resolve(&mut write, draft).await?;
    let key = write.issue_key(actor, new, &secret).await?;
    if let Some(idempotency_key) = &idempotency_key {
        let done = Earlier { request: body.digest, key: key.id };
        write.remember_request(actor, idempotency_key, done).await?;
    }
    write.commit().await?;
    Ok(issued(secret, KeyView::new(key, now)))
}

/// The key that the earlier request issued, if this is a retry of it and the key can have a new secret.
async fn replayable(
    write: &mut Write,
    earlier: Earlier,
    request: Digest,
) -> Result<crate::domain::key::Key, IssueError> {
    if earlier.request != request {
        return Err(IssueError::OtherRequest);
    }
    let now = write.now();
    let key = write.view().key(earlier.key).await?;
    let key = key.ok_or(IssueError::Deleted)?;
    match key.status(now) {
        KeyStatus::Active => Ok(key),
        KeyStatus::Expired => Err(IssueError::Expired),
        KeyStatus::Revoked => Err(IssueError::Deleted),
    }
}

fn parse_idempotency_key(headers: &HeaderMap) -> Result<Option<String>, IssueError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&value.len());
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if fits && visible && values.next().is_none() => Ok(Some(text.to_owned())),
        Ok(_) | Err(_) => Err(IssueError::IdempotencyKey),
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
        faults.add("/rate_limit_enabled", super::patch::RATE_LIMIT_KIND);
    }
    faults.check()?;
    Ok(Draft {
        kind,
        name: name.ok_or_else(Faults::default)?,
        expires_at,
        apis: request.apis,
        rate_limit_enabled,
        organization: request.organization,
    })
}

/// Looks up what the draft names.
async fn resolve(write: &mut Write, draft: Draft) -> Result<NewKey, IssueError> {
    let now = write.now();
    if draft.expires_at.is_some_and(|end| end <= now) {
        return Err(Faults::one("/expires_at", EXPIRY_PAST).into());
    }
    let mut view = write.view();
    let (organization, missing) = match &draft.organization {
        Some(reference) => (view.organization_named(reference).await?, "there is no organization with this id or name"),
        None => (view.only_organization().await?, "say whose key it is: there is not exactly one organization"),
    };
    let organization = organization.ok_or_else(|| Faults::one("/organization", missing))?;
    let apis = match &draft.apis {
        Some(references) => Some(scopes::resolve(&mut view, references, draft.kind, organization.id).await??),
        None => None,
    };
    Ok(NewKey {
        kind: draft.kind,
        organization: organization.id,
        name: draft.name,
        expires_at: draft.expires_at,
        apis,
        rate_limit_enabled: draft.rate_limit_enabled,
    })
}

#[cfg(test)]
mod tests;
