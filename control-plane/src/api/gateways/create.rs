//! `POST /v1/gateways`: create a gateway. Its token is shown in this one answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use portcullis_core::key::{Kind, PlainKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::GatewayView;
use crate::api::caller::Caller;
use crate::api::extract::JsonBody;
use crate::api::refusals::{Always, BadBody, Conflict};
use crate::api::{App, reveal};
use crate::domain::environment::EntropyError;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::problem::Problem;
use crate::storage::StorageError;

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGateway {
    /// 1 to 100 characters, without control characters; no other gateway's name.
    #[schema(min_length = 1, max_length = 100, example = "edge")]
    name: String,
}

/// A gateway with its token.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedGateway {
    /// The token with which its workers ask the sync port. It is shown here and never again.
    #[serde(serialize_with = "reveal")]
    #[schema(value_type = String)]
    token: PlainKey,
    #[serde(flatten)]
    view: GatewayView,
}

/// Why no gateway is created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Fields are wrong.
    #[error("fields are wrong")]
    Fields(Faults),
    /// The name is taken.
    #[error("There is a gateway with this name already.")]
    Taken,
    /// No token could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for CreateError {
    fn into_response(self) -> Response {
        match self {
            Self::Fields(faults) => faults.into(),
            Self::Taken => Problem::new(StatusCode::CONFLICT, self),
            Self::Entropy(error) => error.into(),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Creates a gateway. Its token is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/gateways", tag = "gateways", request_body = CreateGateway,
    responses(
        (status = 201, body = CreatedGateway, description = "Created, with its token",
         headers(("Location" = String, description = "Where it is found"))),
        Always, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    body: JsonBody<CreateGateway>,
) -> Result<Response, CreateError> {
    let name = Name::parse(&body.value.name).map_err(|error| CreateError::Fields(Faults::one("/name", error)))?;
    let token = app.store.entropy().key(&app.brand, Kind::Gateway)?;
    let mut write = app.store.write(Some(actor)).await?;
    let created = write.create_gateway(&name, &token).await?;
    let created = created.ok_or(CreateError::Taken)?;
    let head = write.view().head().await?;
    write.commit().await?;
    let location = format!("/v1/gateways/{}", created.id);
    let view = GatewayView::new(created, Vec::new(), head);
    let body = Json(CreatedGateway { token, view });
    Ok((StatusCode::CREATED, [(LOCATION, location)], body).into_response())
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use portcullis_core::key::{Brand, Kind, parse};
    use serde_json::json;

    #[tokio::test]
    async fn a_gateway_is_created_and_its_token_shown_once() {
        let harness = Harness::new().await;
        let answer = harness.post("/v1/gateways", json!({"name": "edge"})).await;
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let mut created = answer.expect(201);
        assert_eq!(parse(&Brand::default(), text(&created, "token").as_bytes()), Ok(Kind::Gateway));
        created.as_object_mut().unwrap().remove("token");
        assert_eq!(harness.get(&location).await.expect(200), created);
        assert_eq!(harness.revision(), 0);
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_must_be_one() {
        let harness = Harness::new().await;
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(409);
        assert_eq!(harness.post("/v1/gateways", json!({"name": ""})).await.pointers(), ["/name"]);
        assert_eq!(harness.post("/v1/gateways", json!({"name": "a", "token": "x"})).await.pointers(), ["/token"]);
        harness.assert_guarded("POST", "/v1/gateways").await;
    }
}
