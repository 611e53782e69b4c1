//! `POST /account/tokens`: create an access token, and show it; `POST /account/tokens/delete`: delete one.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use portcullis_core::id::TokenId;
use serde_json::{Value, json};

use super::PATH;
use super::show::view;
use crate::console::client::link;
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Posted};
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::secret::secret;
use crate::console::model::IssuedToken;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token with its secret.
pub struct TokenView {
    issued: IssuedToken,
}

/// Creates a token, and shows it; or the account again, with what is wrong.
pub async fn create(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let mut body = json!({"name": fields.text("name")});
    if let Some(days) = fields.given("days") {
        let days: u32 = days.parse().map_err(|_| Failure::not_found())?;
        body["expires_at"] = json!(session.now.after(DAY.saturating_mul(days)));
    }
    let faults = match session.client.post("/v1/tokens", body, fields.given(ATTEMPT)).await {
        Ok(issued) => {
            let page = session.frame.page(&TokenView { issued });
            return Ok((StatusCode::CREATED, page).into_response());
        }
        Err(refusal) => Faults::try_from(refusal)?,
    };
    let page = session.frame.page(&view(&session, fields, faults).await?);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// Deletes a token of one's own, or ends another session.
pub async fn delete(Posted { session, fields }: Posted) -> Result<Redirect, Failure> {
    let id: TokenId = fields.text("id").parse().map_err(|_| Failure::not_found())?;
    session.client.delete::<Value>(&format!("/v1/tokens/{id}")).await?;
    Ok(Redirect::to(&link(PATH, &[("done", "deleted")])))
}

impl View for TokenView {
    const SECTION: Section = Section::Account;

    fn title(&self) -> String {
        "Access token created".to_owned()
    }

    fn body(&self, _: &Frame) -> Markup {
        html! {
            h1 { (self.title()) ": " (self.issued.name) }
            (secret("Your access token", &self.issued.token))
            p .buttons { a .button href=(PATH) { "Done, I have saved it" } }
        }
    }
}

#[cfg(test)]
impl TokenView {
    /// A token.
    pub fn samples(text: &str) -> Vec<Self> {
        vec![Self { issued: IssuedToken { token: text.to_owned(), name: text.to_owned() } }]
    }
}
