//! `/apis/{id}/delete`: delete an API.

use axum::extract::Path;
use axum::response::Redirect;
use maud::{Markup, html};

use super::list::{kind, place};
use super::{PATH, api_path};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::html::confirm::confirm;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::grouped;
use crate::console::model::{Api, Usage, Written};
use crate::console::session::Session;

/// The question.
pub struct DeleteView {
    api: Api,
    usage: Usage,
}

/// Asks whether it is to be deleted.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    session.operates()?;
    let api: Api = session.client.get(&api_path(&id)?, &[]).await?;
    let usage = session.client.get("/v1/usage", &[("api", &api.id)]).await?;
    Ok(session.frame.page(&DeleteView { api, usage }))
}

/// Deletes it, and shows the receipt.
pub async fn delete(Path(id): Path<String>, Posted { session, .. }: Posted) -> Result<Redirect, Failure> {
    let written: Written = session.client.delete(&api_path(&id)?).await?;
    Ok(lead(PATH, Said::Deleted, &written))
}

impl View for DeleteView {
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        format!("Delete {}?", self.api.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let path = format!("{PATH}/{}", self.api.id);
        html! {
            p .crumbs { a href=(path) { (self.api.name) } }
            h1 { (self.title()) }
            p {
                "Calls to its place are answered with 404 from then on, unless another API covers it. Keys that are "
                "confined to it alone then open nothing; they do not open more. What it was used for and what that cost "
                "stays on record."
            }
            dl .facts {
                div { dt { "Kind" } dd { (kind(self.api.kind)) } }
                div { dt { "Answers at" } dd { (place(&self.api)) } }
                div { dt { "Calls this month" } dd { (grouped(self.usage.total.calls)) } }
            }
            (confirm(frame, &format!("{path}/delete"), &html! {}, &format!("Delete {}", self.api.name), ("Keep it", &path)))
        }
    }
}

#[cfg(test)]
impl DeleteView {
    /// Each sort of API.
    pub fn samples(text: &str) -> Vec<Self> {
        Api::samples(text).into_iter().map(|api| Self { api, usage: Usage::sample(text) }).collect()
    }
}
