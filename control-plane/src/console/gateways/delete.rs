//! `/gateways/{id}/delete`: delete a gateway.

use axum::extract::Path;
use axum::response::Redirect;
use maud::{Markup, html};

use super::{PATH, api_path, cut_off, workers};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::html::confirm::confirm;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::model::{Gateway, Written};
use crate::console::session::Session;

/// The question.
pub struct DeleteView {
    gateway: Gateway,
}

/// Asks whether it is to be deleted.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let gateway = session.client.get(&api_path(&id)?, &[]).await?;
    Ok(session.frame.page(&DeleteView { gateway }))
}

/// Deletes it.
pub async fn delete(Path(id): Path<String>, Posted { session, .. }: Posted) -> Result<Redirect, Failure> {
    let written: Written = session.client.delete(&api_path(&id)?).await?;
    Ok(lead(PATH, Said::Deleted, &written))
}

impl View for DeleteView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        format!("Delete {}?", self.gateway.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let path = format!("{PATH}/{}", self.gateway.id);
        html! {
            p .crumbs { a href=(path) { (self.gateway.name) } }
            h1 { (self.title()) }
            p {
                "Its token is dead at once. " (cut_off(&self.gateway)) ". So stop its Envoys first. Receipts wait for them "
                "until they have been silent for ten minutes."
            }
            @if !self.gateway.workers.is_empty() {
                div .alert .warn { strong { (workers(self.gateway.workers.len())) } " heard in the last ten minutes." }
            }
            (confirm(frame, &format!("{path}/delete"), &html! {}, &format!("Delete {}", self.gateway.name), ("Keep it", &path)))
        }
    }
}

#[cfg(test)]
impl DeleteView {
    /// Each gateway.
    pub fn samples(text: &str) -> Vec<Self> {
        Gateway::samples(text).into_iter().map(|gateway| Self { gateway }).collect()
    }
}
