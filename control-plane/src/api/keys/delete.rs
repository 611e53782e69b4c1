//! `DELETE /v1/keys/{id}`: revoke a key, for good.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Key as KeyMark;

use super::{KeyView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{PathId, QueryOf};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadQuery, NotFound, OneError};
use crate::domain::audit::Action;

/// Deletes a key: its secret opens nothing any more, and the receipt says where that holds already. Deleting it again
/// changes nothing, and is answered with the receipt of the newest revision.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id"), WaitQuery),
    responses(
        (status = 200, body = Written<KeyView>, description = "The key, revoked, with the receipt of that"),
        Always, NotFound, BadQuery,
    )
)]
pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<KeyMark>,
    QueryOf(query): QueryOf<WaitQuery>,
) -> Result<Json<Written<KeyView>>, OneError> {
    let mut write = app.store.write(Some(actor)).await?;
    let mut key = handled(&mut write.view(), id, actor).await?;
    let now = write.now();
    let propagation = if key.revoked_at.is_none() {
        key = write.revoke_key(&key, Action::KeyDelete).await?;
        app.receipt(write.commit().await?, query.wait_ms).await
    } else {
        drop(write);
        app.receipt_of_all(query.wait_ms).await
    };
    Ok(Json(Written::new(KeyView::new(key, now), propagation)))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, text, without_receipt};
    use serde_json::json;

    #[tokio::test]
    async fn a_deleted_key_is_revoked_for_good_and_deleting_it_again_changes_nothing() {
        let harness = Harness::furnished().await;
        let key = harness.issue("k").await;
        let path = format!("/v1/keys/{}", text(&key, "id"));
        let before = harness.revision();
        let deleted = harness.delete(&path).await.expect(200);
        assert_eq!((&deleted["status"], &deleted["propagation"]["revision"]), (&json!("revoked"), &json!(before + 1)));
        assert_eq!(harness.revision(), before + 1);
        assert_eq!(harness.delete(&path).await.expect(200), deleted);
        assert_eq!(harness.revision(), before + 1);
        assert_eq!(harness.get(&path).await.expect(200), without_receipt(deleted));
        assert_eq!(harness.store.snapshot(&crate::domain::gateway::Serves::Everything).await.unwrap().keys, 0);
    }

    #[tokio::test]
    async fn an_unknown_key_is_not_found() {
        let harness = Harness::new().await;
        harness.delete("/v1/keys/key_0000000000000").await.expect(404);
        harness.assert_guarded("DELETE", "/v1/keys/key_0000000000000").await;
    }
}
