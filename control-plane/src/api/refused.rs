//! The audit of what was refused: every write, and every look at what the caller may not see.
//!
//! A layer around every operation. [`Caller`](super::caller::Caller) leaves here who calls, and a refusal that is
//! about rights leaves its mark on the answer; what was tried follows from method and path. So no operation can
//! forget to audit its refusals.
//!
//! A request with an unknown token is not audited: there is no who, and anyone on the network could fill the
//! disk. A token that is expired or revoked still has an owner.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use crate::domain::actor::Actor;
use crate::domain::audit::{Action, Refusal};
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

/// The longest id that is recorded as the subject of a refusal.
const SUBJECT_BYTES_MAX: usize = 40;

/// Records a refusal once its answer is known.
pub async fn audit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let subject = matched.as_deref().and_then(|matched| subject_of(matched, request.uri().path()));
    let response = next.run(request).await;
    let status = response.status();
    let denied = response.extensions().get::<DeniedMark>().is_some();
    let refused = status.is_client_error() && (denied || method != Method::GET);
    if refused
        && let Some(actor) = slot.0.get()
        && let Some(action) = matched.and_then(|matched| action_of(&method, &matched))
    {
        let refusal = Refusal { action, subject: subject.as_deref(), status: status.as_u16() };
        if let Err(error) = app.store.audit_refusal(*actor, refusal).await {
            tracing::error!(%error, action = action.name(), status = status.as_u16(), "a refusal is not in the audit");
        }
    }
    response
}

/// The id in the path, if it could be one.
fn subject_of(matched: &str, path: &str) -> Option<String> {
    let place = matched.split('/').position(|segment| segment == "{id}")?;
    let id = path.split('/').nth(place)?;
    let plausible =
        id.len() <= SUBJECT_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plausible.then(|| id.to_owned())
}

/// What a request tries to do.
pub fn action_of(method: &Method, matched: &str) -> Option<Action> {
    let (_, resource) = matched.split_once("/v1/")?;
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
        ("GET", "users" | "users/{id}") => Action::UserRead,
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
        ("GET", "audit") => Action::AuditRead,
        _ => return None,
    })
}
