//! The API's own description, generated from the operations.

use std::sync::Arc;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description};

use crate::domain::fault::Fault;
use crate::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Portcullis admin API",
        description = "Issue, list, change, delete and reissue API keys; manage the APIs that they open, the \
                       organizations they belong to and the gateways that enforce them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem, Fault)),
    security(("access_token" = [])),
    tags(
        (name = "keys", description = "API keys"),
        (name = "apis", description = "APIs and their policies"),
        (name = "organizations", description = "Organizations"),
        (name = "gateways", description = "Gateways and their workers"),
        (name = "health", description = "Health"),
    )
)]
struct Base;

/// The part of the description that no operation says of itself.
pub fn base() -> Description {
    let mut description = Base::openapi();
    let scheme =
        Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("An access token of the admin API")).build();
    description
        .components
        .get_or_insert_with(Components::new)
        .add_security_scheme("access_token", SecurityScheme::Http(scheme));
    description
}

/// The description, rendered once.
#[derive(Debug, Clone)]
pub struct Document(Arc<str>);

impl Document {
    /// Renders `description`.
    pub fn new(description: &Description) -> Self {
        let text = description.to_json().unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be rendered");
            "{}".to_owned()
        });
        Self(text.into())
    }
}

/// `GET /openapi.json`. No token needed: it says what the source code says.
pub async fn serve(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.0.to_string())
}
