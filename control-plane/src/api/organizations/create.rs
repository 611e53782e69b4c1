//! `POST /v1/organizations`: create an organization.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::OrganizationView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::JsonBody;
use crate::api::refusals::{Always, BadBody, Conflict};
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::problem::Problem;
use crate::storage::StorageError;

/// What to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// 1 to 100 characters, without control characters; no other organization's name.
    #[schema(min_length = 1, max_length = 100, example = "acme")]
    name: String,
}

/// Why no organization is created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Fields are wrong.
    #[error("fields are wrong")]
    Fields(Faults),
    /// The name is taken.
    #[error("There is an organization with this name already.")]
    Taken,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntoResponse for CreateError {
    fn into_response(self) -> Response {
        match self {
            Self::Fields(faults) => faults.into(),
            Self::Taken => Problem::new(StatusCode::CONFLICT, self),
            Self::Storage(error) => error.into(),
        }
        .into_response()
    }
}

/// Creates an organization.
#[utoipa::path(
    post, path = "/v1/organizations", tag = "organizations", request_body = CreateOrganization,
    responses(
        (status = 201, body = OrganizationView, description = "Created",
         headers(("Location" = String, description = "Where it is found"))),
        Always, BadBody, Conflict,
    )
)]
pub async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    body: JsonBody<CreateOrganization>,
) -> Result<Response, CreateError> {
    let name = Name::parse(&body.value.name).map_err(|error| CreateError::Fields(Faults::one("/name", error)))?;
    let mut write = app.store.write(Some(actor)).await?;
    let created = write.create_organization(&name).await?;
    let created = created.ok_or(CreateError::Taken)?;
    write.commit().await?;
    let location = format!("/v1/organizations/{}", created.id);
    let view = OrganizationView::from(created);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;

    #[tokio::test]
    async fn an_organization_is_created_and_filters_hear_nothing_of_it() {
        let harness = Harness::new().await;
        let answer = harness.post("/v1/organizations", json!({"name": " acme "})).await;
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let created = answer.expect(201);
        assert_eq!(location, format!("/v1/organizations/{}", text(&created, "id")));
        assert_eq!((text(&created, "name"), text(&created, "created_at")), ("acme", "2027-01-01T00:00:00Z"));
        assert_eq!(harness.get(&location).await.expect(200), created);
        assert_eq!(harness.revision(), 0);
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_must_be_one() {
        let harness = Harness::new().await;
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(409);
        assert_eq!(harness.post("/v1/organizations", json!({"name": " "})).await.pointers(), ["/name"]);
        assert_eq!(harness.post("/v1/organizations", json!({"name": "a", "x": 1})).await.pointers(), ["/x"]);
        harness.assert_guarded("POST", "/v1/organizations").await;
    }
}
