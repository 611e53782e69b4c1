//! The list of models: there is one, and it echoes.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::error::UpstreamError;

/// The one model's id.
pub const MODEL: &str = "echo";

/// `GET /v1/models`.
pub async fn list() -> Json<Value> {
    Json(json!({"object": "list", "data": [model()]}))
}

/// `GET /v1/models/{id}`.
///
/// # Errors
///
/// [`UpstreamError::UnknownModel`] for every id but [`MODEL`].
pub async fn read(Path(id): Path<String>) -> Result<Json<Value>, UpstreamError> {
    if id == MODEL { Ok(Json(model())) } else { Err(UpstreamError::UnknownModel(id)) }
}

fn model() -> Value {
    json!({"id": MODEL, "object": "model", "created": 1_700_000_000, "owned_by": "portcullis-demo"})
}
