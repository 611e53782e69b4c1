//! `/organizations/{id}/delete`: delete an organization that has nothing left.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::{PATH, api_path};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Posted};
use crate::console::html::confirm::confirm;
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::model::{Organization, Written};
use crate::console::session::Session;

/// The question.
pub struct DeleteView {
    organization: Organization,
    faults: Faults,
}

/// Asks whether it is to be deleted.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    session.operates()?;
    let organization = session.client.get(&api_path(&id)?, &[]).await?;
    Ok(session.frame.page(&DeleteView { organization, faults: Faults::default() }))
}

/// Deletes it; or shows the question again, with what stands in the way.
pub async fn delete(Path(id): Path<String>, Posted { session, .. }: Posted) -> Result<Response, Failure> {
    let path = api_path(&id)?;
    let faults = match session.client.delete::<Written>(&path).await {
        Ok(written) => return Ok(lead(PATH, Said::Deleted, &written).into_response()),
        Err(refusal) => Faults::try_from(refusal)?,
    };
    let organization = session.client.get(&path, &[]).await?;
    let page = session.frame.page(&DeleteView { organization, faults });
    Ok((StatusCode::CONFLICT, page).into_response())
}

impl View for DeleteView {
    const SECTION: Section = Section::Organizations;

    fn title(&self) -> String {
        format!("Delete {}?", self.organization.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let path = format!("{PATH}/{}", self.organization.id);
        html! {
            p .crumbs { a href=(path) { (self.organization.name) } }
            h1 { (self.title()) }
            p { "An organization that still has keys, members or dedicated APIs stays: delete those first." }
            (field::summary(&self.faults))
            (confirm(frame, &format!("{path}/delete"), &html! {}, &format!("Delete {}", self.organization.name), ("Keep it", &path)))
        }
    }
}

#[cfg(test)]
impl DeleteView {
    /// As it begins, and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(organization, faults)| Self { organization, faults };
        Organization::samples(text).into_iter().zip([Faults::default(), Faults::samples(text)]).map(view).collect()
    }
}
