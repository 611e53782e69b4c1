//! `GET /v1/tokens/{id}`: one access token.

use axum::Json;
use axum::extract::State;
use portcullis_core::id::Token as TokenMark;

use super::{TokenView, handled};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::PathId;
use crate::api::refusals::{Always, NotFound, OneError};

/// One access token, revoked ones included.
#[utoipa::path(
    get, path = "/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, body = TokenView, description = "The token"), Always, NotFound)
)]
pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<TokenMark>,
) -> Result<Json<TokenView>, OneError> {
    let (token, _) = handled(&mut app.store.read().await?.view(), id, actor).await?;
    Ok(Json(TokenView::new(token, app.store.clock().now())))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Harness;

    #[tokio::test]
    async fn an_unknown_token_is_not_found() {
        let harness = Harness::new().await;
        harness.get("/v1/tokens/tok_0000000000000").await.expect(404);
        harness.assert_guarded("GET", "/v1/tokens/tok_0000000000000").await;
    }
}
