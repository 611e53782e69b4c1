//! The admin API: JSON over HTTP, described by `/openapi.json` for programs and by `/docs` for people.
//!
//! One file per operation: what it takes, every way in which it refuses, what it does, and tests of all that.
//! A request is authenticated first, then read as a whole, then acted upon in one transaction. [`extract`] reads,
//! [`caller`] authenticates, [`crate::problem`] refuses.

pub mod advice;
pub mod apis;
pub mod attempts;
pub mod audit;
pub mod caller;
mod cursor;
pub mod docs;
pub mod extract;
pub mod gateways;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod leaks;
pub mod me;
pub mod metrics;
pub mod openapi;
pub mod organizations;
pub mod propagation;
pub mod refusals;
pub mod refused;
pub mod sessions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod usage;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::key::{Brand, PlainKey};
use serde::{Serialize, Serializer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use attempts::Attempts;
use metrics::Collected;
use refused::DeadTokens;

use crate::fleet::Fleet;
use crate::hasher::Hasher;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::Store;

/// The longest that an admin call takes: half a minute of waiting for workers, and the work itself.
const CALL_TIME_MAX: Duration = Duration::from_secs(45);

/// What the operations work with. Clones share it.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The brand of the keys that are issued.
    pub brand: Arc<Brand>,
    /// The workers that receipts wait for.
    pub fleet: Fleet,
    /// What is told to Prometheus.
    pub collected: Collected,
    /// What hashes passwords.
    pub hasher: Hasher,
    /// Who has failed to sign in lately.
    pub attempts: Attempts,
    /// Who has called with a dead token lately.
    pub dead_tokens: DeadTokens,
}

impl App {
    /// What operates on this database, and knows of no failed attempts yet.
    pub fn new(store: Store, brand: Brand, fleet: Fleet, metrics: &Metrics) -> Self {
        let hasher = Hasher::new(store.entropy().clone());
        Self {
            store,
            brand: Arc::new(brand),
            collected: Collected::new(metrics, fleet.clone()),
            fleet,
            hasher,
            attempts: Attempts::default(),
            dead_tokens: DeadTokens::default(),
        }
    }
}

/// Serializes a secret into the one answer that shows it: the only way out of the admin API for any.
fn reveal<S: Serializer>(secret: &PlainKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// 201, with the place where what was created is found from now on.
fn created(place: String, view: impl Serialize) -> Response {
    (StatusCode::CREATED, [(LOCATION, place)], Json(view)).into_response()
}

/// The admin API as a service.
pub fn router(app: App) -> Router {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(keys::issue::issue, keys::list::list))
        .routes(routes!(keys::get::get, keys::patch::patch, keys::delete::delete))
        .routes(routes!(keys::reissue::reissue))
        .routes(routes!(apis::create::create, apis::list::list))
        .routes(routes!(apis::get::get, apis::patch::patch, apis::delete::delete))
        .routes(routes!(organizations::create::create, organizations::list::list))
        .routes(routes!(organizations::get::get, organizations::patch::patch, organizations::delete::delete))
        .routes(routes!(users::create::create, users::list::list))
        .routes(routes!(users::get::get, users::patch::patch, users::delete::delete))
        .routes(routes!(tokens::create::create, tokens::list::list))
        .routes(routes!(tokens::get::get, tokens::delete::delete))
        .routes(routes!(sessions::create::create))
        .routes(routes!(me::get))
        .routes(routes!(gateways::create::create, gateways::list::list))
        .routes(routes!(gateways::get::get, gateways::patch::patch, gateways::delete::delete))
        .routes(routes!(gateways::reissue::reissue))
        .routes(routes!(gateways::workers::delete::delete))
        .routes(routes!(propagation::get::get))
        .routes(routes!(leaks::report))
        .routes(routes!(usage::list::list))
        .routes(routes!(advice::list::list))
        .routes(routes!(audit::list::list))
        .routes(routes!(health::health))
        .split_for_parts();
    openapi::complete(&mut document);
    router
        .route("/openapi.json", get(openapi::serve))
        .layer(middleware::from_fn_with_state(app.clone(), refused::audit))
        .route(metrics::PATH, get(metrics::metrics))
        .route("/docs", get(docs::serve))
        .route(docs::STYLE_PATH, get(docs::style))
        .layer(axum::Extension(openapi::Document::new(&document)))
        .layer(axum::Extension(docs::Documentation::new(&document)))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn(guard))
        .with_state(app)
}

/// Bounds every call in time, and keeps every answer out of caches.
async fn guard(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(CALL_TIME_MAX, next.run(request)).await;
    let mut response =
        answered.unwrap_or_else(|_| Problem::unavailable("This took too long and was given up.").into_response());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn not_found() -> Problem {
    Problem::not_found("resource")
}

async fn method_not_allowed() -> Problem {
    let detail = "This resource does not take this method. The Allow header lists those that it takes.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
