//! `/gateways/{id}/reissue`: give a gateway another token, and show it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::json;

use super::issued::IssuedView;
use super::{PATH, api_path, cut_off, workers};
use crate::console::Console;
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Posted, attempt};
use crate::console::html::confirm::confirm;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::model::{Gateway, IssuedGateway};
use crate::console::session::Session;

/// The question.
pub struct ReissueView {
    gateway: Gateway,
    attempt: String,
}

/// Asks whether it is to have another token.
pub async fn show(State(console): State<Console>, session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let gateway = session.client.get(&api_path(&id)?, &[]).await?;
    Ok(session.frame.page(&ReissueView { gateway, attempt: attempt(&console)? }))
}

/// Gives it another token, and shows that.
pub async fn reissue(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let path = format!("{}/reissue", api_path(&id)?);
    let issued: IssuedGateway = session.client.post(&path, json!({}), fields.given(ATTEMPT)).await?;
    Ok((StatusCode::CREATED, session.frame.page(&IssuedView { issued, is_reissue: true })).into_response())
}

impl View for ReissueView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        format!("New token for {}?", self.gateway.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let path = format!("{PATH}/{}", self.gateway.id);
        html! {
            p .crumbs { a href=(path) { (self.gateway.name) } }
            h1 { (self.title()) }
            p {
                "The old token is dead at once. " (cut_off(&self.gateway)) ". That lasts until their Envoys are started "
                "with the new one."
            }
            @if !self.gateway.workers.is_empty() {
                div .alert .warn { strong { (workers(self.gateway.workers.len())) } " heard in the last ten minutes." }
            }
            (confirm(frame, &format!("{path}/reissue"), &html! {
                input type="hidden" name=(ATTEMPT) value=(self.attempt);
            }, &format!("Give {} a new token", self.gateway.name), ("Keep the old one", &path)))
        }
    }
}

#[cfg(test)]
impl ReissueView {
    /// Each gateway.
    pub fn samples(text: &str) -> Vec<Self> {
        Gateway::samples(text).into_iter().map(|gateway| Self { gateway, attempt: text.to_owned() }).collect()
    }
}
