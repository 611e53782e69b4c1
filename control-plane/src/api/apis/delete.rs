//! `DELETE /v1/apis/{id}`: delete an API.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Api as ApiMark;

use super::ApiView;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadQuery, Forbidden, NotFound, OneError};

/// Deletes an API. Only operators do. A key that is confined to it opens nothing then; it does not open everything.
#[utoipa::path(
    delete, path = "/v1/apis/{id}", tag = "apis",
    params(("id" = String, Path, description = "The API's id"), WaitQuery),
    responses(
        (status = 200, body = Written<ApiView>, description = "The API as it was"),
        Always, Forbidden, NotFound, BadQuery,
    )
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<ApiMark>,
    QueryOf(query): QueryOf<WaitQuery>,
) -> Result<Json<Written<ApiView>>, OneError> {
    let mut write = app.store.write(Some(actor)).await?;
    let api = write.view().api(id).await?.ok_or(OneError::Unknown("API"))?;
    let allowed = actor.sees_api(&api).and_then(|()| actor.operates());
    allowed.map_err(|denied| OneError::Denied(denied, "API"))?;
    write.delete_api(&api).await?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(Json(Written::new(api.into(), propagation)))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text};
    use serde_json::json;

    #[tokio::test]
    async fn a_key_confined_to_a_deleted_api_stays_confined() {
        let harness = Harness::furnished().await;
        let body = json!({"kind": "serverless", "name": "k", "apis": ["echo"]});
        let key = harness.post("/v1/keys", body).await.expect(201);
        let (api, before) = (key["apis"][0].as_str().unwrap(), harness.revision());
        let path = format!("/v1/apis/{api}");
        assert_eq!(harness.delete(&path).await.expect(200)["name"], "echo");
        assert_eq!(harness.revision(), before + 1);
        harness.get(&path).await.expect(404);
        harness.delete(&path).await.expect(404);
        let confined = harness.get(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
        assert_eq!(confined["apis"], json!([api]));
        harness.assert_guarded("DELETE", &path).await;
    }
}
