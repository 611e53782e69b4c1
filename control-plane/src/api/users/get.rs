//! `GET /v1/users/{id}`: one user.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::User as UserMark;

use super::{UserView, seen};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One user.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, body = UserView, description = "The user"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<UserMark>,
) -> Result<Json<UserView>, OneError> {
    let user = seen(&mut app.store.read().await?.view(), id, actor).await?;
    Ok(Json(user.into()))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;
    use crate::domain::user::RoleName;

    #[tokio::test]
    async fn a_member_sees_themselves_and_nobody_else() {
        let harness = Harness::furnished().await;
        let ada = harness.person("ada", RoleName::Member).await;
        let bob = harness.person("bob", RoleName::Member).await;
        let get = |id| harness.call("GET", &format!("/v1/users/{id}")).by(&ada).send();
        assert_eq!(get(ada.user.id).await.expect(200)["name"], "ada");
        get(bob.user.id).await.expect(404);
        harness.get("/v1/users/usr_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/users/usr_0000000000000").await;
    }
}
