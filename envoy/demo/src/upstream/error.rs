//! Errors in the shape that OpenAI's client libraries parse.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The body is no JSON, or not of the expected shape.
    #[error("We could not parse the JSON body of your request: {0}")]
    MalformedJson(#[from] serde_json::Error),
    /// There is nothing to echo.
    #[error("'messages' holds no message with the role 'user'.")]
    NoUserMessage,
    /// No such model.
    #[error("The model '{0}' does not exist.")]
    UnknownModel(String),
    /// The body did not arrive, or is larger than this server reads.
    #[error("{0}")]
    UnreadableBody(#[from] BytesRejection),
}

impl UpstreamError {
    fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson(_) | Self::NoUserMessage => StatusCode::BAD_REQUEST,
            Self::UnknownModel(_) => StatusCode::NOT_FOUND,
            Self::UnreadableBody(rejection) => rejection.status(),
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::UnknownModel(_) => Some("model_not_found"),
            Self::MalformedJson(_) | Self::NoUserMessage | Self::UnreadableBody(_) => None,
        }
    }
}

impl IntoResponse for UpstreamError {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "message": self.to_string(),
            "type": "invalid_request_error",
            "param": null,
            "code": self.code(),
        }});
        (self.status(), Json(body)).into_response()
    }
}
