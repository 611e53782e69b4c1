//! The audit of what was refused: every write, and every look at what the caller may not see.
//!
//! A layer around every operation. [`Caller`](super::caller::Caller) leaves here who calls, and a refusal that is
//! about rights leaves its mark on the answer; what was tried follows from method and path. So no operation can
//! forget to audit its refusals. A look at what is not there at all is a mistake, and leaves nothing.
//!
//! A request with an unknown token is not audited: there is no who, and anyone on the network could fill the
//! disk. A token that is expired or revoked still has an owner, so a call with one is: the first in each minute, for
//! the same reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use portcullis_core::id::TokenId;

use super::App;
use crate::domain::actor::Actor;
use crate::domain::audit::{Action, Refusal};
use crate::domain::timestamp::Timestamp;
use crate::problem::DeniedMark;

/// Where the caller of a request becomes known to the layers around its operation.
#[derive(Debug, Clone, Default)]
pub struct Slot(Arc<OnceLock<Actor>>);

impl Slot {
    /// Notes who calls.
    pub fn set(&self, actor: Actor) {
        // The first to say it is the one that was authenticated.
        let _ = self.0.set(actor);
    }
}

/// How long a dead token is not recorded again.
const SILENCE: Duration = Duration::from_secs(60);

/// The dead tokens that called in the last minute. Clones share them. There are never more than tokens were issued.
#[derive(Debug, Clone, Default)]
pub struct DeadTokens(Arc<Mutex<HashMap<TokenId, Timestamp>>>);

impl DeadTokens {
    /// Whether this one has not called for a minute. Then it has now.
    fn is_news(&self, token: TokenId, now: Timestamp) -> bool {
        let mut called = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.before(SILENCE);
        called.retain(|_, at| *at > oldest);
        if called.contains_key(&token) {
            return false;
        }
        called.insert(token, now);
        true
    }
}

/// The longest id that is recorded as the subject of a refusal.
const SUBJECT_BYTES_MAX: usize = 40;

/// Records a refusal once its answer is known.
pub async fn audit(State(app): State<App>, matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let slot = Slot::default();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(slot.clone());
    let action = matched.and_then(|matched| action_of(&parts.method, matched.as_str()));
    let subject = subject_of(&mut parts).await;
    let writes = !parts.method.is_safe();
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    let denied = response.extensions().get::<DeniedMark>().is_some();
    // Whoever calls with a token that is no longer valid is refused because of who they are, whatever they ask.
    let about_rights = denied || status == StatusCode::UNAUTHORIZED;
    if status.is_client_error()
        && (writes || about_rights)
        && let Some(actor) = slot.0.get()
        && let Some(action) = action
        && (status != StatusCode::UNAUTHORIZED || app.dead_tokens.is_news(actor.token, app.store.clock().now()))
    {
        let refusal = Refusal { action, subject: subject.as_deref(), status: status.as_u16() };
        if let Err(error) = app.store.audit_refusal(*actor, refusal).await {
            tracing::error!(%error, action = action.name(), status = status.as_u16(), "a refusal is not in the audit");
        }
    }
    response
}

/// The id in the path as its operation reads it, if it could be one.
async fn subject_of(parts: &mut Parts) -> Option<String> {
    let read = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let (_, id) = read.iter().find(|(name, _)| *name == "id")?;
    let plausible =
        id.len() <= SUBJECT_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plausible.then(|| id.to_owned())
}

/// What a request tries to do.
pub fn action_of(method: &Method, matched: &str) -> Option<Action> {
    let (_, resource) = matched.split_once("/v1/")?;
    // HEAD is a GET of which the answer's body is left out.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    Some(match (method.as_str(), resource) {
        ("GET", "keys" | "keys/{id}") => Action::KeyRead,
        ("POST", "keys") => Action::KeyIssue,
        ("PATCH", "keys/{id}") => Action::KeyChange,
        ("DELETE", "keys/{id}") => Action::KeyDelete,
        ("POST", "keys/{id}/reissue") => Action::KeyReissue,
        ("POST", "leaks") => Action::LeakReport,
        ("GET", "apis" | "apis/{id}") => Action::ApiRead,
        ("POST", "apis") => Action::ApiCreate,
        ("PATCH", "apis/{id}") => Action::ApiChange,
        ("DELETE", "apis/{id}") => Action::ApiDelete,
        ("GET", "organizations" | "organizations/{id}") => Action::OrganizationRead,
        ("POST", "organizations") => Action::OrganizationCreate,
        ("PATCH", "organizations/{id}") => Action::OrganizationChange,
        ("DELETE", "organizations/{id}") => Action::OrganizationDelete,
        ("GET", "me" | "users" | "users/{id}") => Action::UserRead,
        ("POST", "users") => Action::UserCreate,
        ("PATCH", "users/{id}") => Action::UserChange,
        ("DELETE", "users/{id}") => Action::UserDelete,
        ("GET", "tokens" | "tokens/{id}") => Action::TokenRead,
        ("POST", "tokens") => Action::TokenCreate,
        ("DELETE", "tokens/{id}") => Action::TokenDelete,
        ("POST", "sessions") => Action::SessionCreate,
        ("GET", "gateways" | "gateways/{id}") => Action::GatewayRead,
        ("POST", "gateways") => Action::GatewayCreate,
        ("PATCH", "gateways/{id}") => Action::GatewayChange,
        ("POST", "gateways/{id}/reissue") => Action::GatewayReissue,
        ("DELETE", "gateways/{id}") => Action::GatewayDelete,
        ("DELETE", "gateways/{id}/workers/{worker}") => Action::WorkerDelete,
        ("GET", "propagation/{revision}") => Action::PropagationRead,
        ("GET", "usage") => Action::UsageRead,
        ("GET", "advice") => Action::AdviceRead,
        ("GET", "audit") => Action::AuditRead,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
