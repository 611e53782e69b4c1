//! `/members/{id}/delete`: delete a user, with their keys or without.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::{PATH, api_path_of_another};
use crate::console::client::link;
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Posted};
use crate::console::html::confirm::confirm;
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View, role_name};
use crate::console::model::{Key, List, User, Written};
use crate::console::session::Session;

/// How many keys are counted.
const LIMIT: &str = "200";

/// The question.
pub struct DeleteView {
    user: User,
    /// How many active keys they have issued, as far as they were counted.
    keys: usize,
    has_more_keys: bool,
    faults: Faults,
}

/// Asks whether they are to be deleted.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let view = view(&session, &id, Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Deletes them; or shows the question again, with what stands in the way.
pub async fn delete(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let revoke_keys = if fields.is_ticked("revoke_keys") { "true" } else { "" };
    let path = link(&api_path_of_another(&session, &id)?, &[("revoke_keys", revoke_keys)]);
    let faults = match session.client.delete::<Written>(&path).await {
        Ok(written) => return Ok(lead(PATH, Said::Deleted, &written).into_response()),
        Err(refusal) => Faults::try_from(refusal)?,
    };
    let view = view(&session, &id, faults).await?;
    Ok((StatusCode::CONFLICT, session.frame.page(&view)).into_response())
}

async fn view(session: &Session, id: &str, faults: Faults) -> Result<DeleteView, Failure> {
    let user: User = session.client.get(&api_path_of_another(session, id)?, &[]).await?;
    let query = [("created_by", user.id.as_str()), ("status", "active"), ("limit", LIMIT)];
    let keys: List<Key> = session.client.get("/v1/keys", &query).await?;
    Ok(DeleteView { user, keys: keys.items.len(), has_more_keys: keys.next_cursor.is_some(), faults })
}

impl View for DeleteView {
    const SECTION: Section = Section::Members;

    fn title(&self) -> String {
        format!("Delete {}?", self.user.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let path = format!("{PATH}/{}", self.user.id);
        html! {
            p .crumbs { a href=(path) { (self.user.name) } }
            h1 { (self.title()) }
            p { "They are signed out, and their access tokens open nothing any more. What they did stays in the audit." }
            (field::summary(&self.faults))
            dl .facts {
                div { dt { "Role" } dd { (role_name(self.user.role)) } }
                div { dt { "Active keys that they issued" } dd { (self.keys) @if self.has_more_keys { " or more" } } }
            }
            (confirm(frame, &format!("{path}/delete"), &html! {
                @if self.keys > 0 {
                    p {
                        label .choice {
                            input type="checkbox" name="revoke_keys" value="yes";
                            span { "Delete the keys that they issued as well; otherwise those go on working" }
                        }
                    }
                }
            }, &format!("Delete {}", self.user.name), ("Keep them", &path)))
        }
    }
}

#[cfg(test)]
impl DeleteView {
    /// With keys and without, as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(user, keys)| Self { user, keys, has_more_keys: keys > 0, faults: Faults::samples(text) };
        User::samples(text).into_iter().zip([0, 200]).map(view).collect()
    }
}
