//! `/keys/{id}/delete`: delete a key, after a look at who still uses it.

use axum::extract::Path;
use axum::response::Redirect;
use maud::{Markup, html};
use portcullis_core::id::Key as KeyMark;

use super::{PATH, api_path};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::Posted;
use crate::console::html::confirm::confirm;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::grouped;
use crate::console::html::time::time_or;
use crate::console::model::{Key, Usage, Written};
use crate::console::session::Session;
use crate::domain::timestamp::Timestamp;

/// Over how long callers are looked at: a week.
const RECENT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

/// The question.
pub struct DeleteView {
    key: Key,
    /// Calls of the last seven days, by API.
    usage: Usage,
}

/// Asks whether it is to be deleted.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let key: Key = session.client.get(&api_path::<KeyMark>(&id)?, &[]).await?;
    let usage = recent(&session, &key.id).await?;
    Ok(session.frame.page(&DeleteView { key, usage }))
}

/// What was used of a key in the last week, by API.
pub async fn recent(session: &Session, key: &str) -> Result<Usage, Failure> {
    let from: Timestamp = session.now.before(RECENT);
    Ok(session.client.get("/v1/usage", &[("key", key), ("group_by", "api"), ("from", &from.to_string())]).await?)
}

/// Deletes the key, and shows the receipt.
pub async fn delete(Path(id): Path<String>, Posted { session, .. }: Posted) -> Result<Redirect, Failure> {
    let path = api_path::<KeyMark>(&id)?;
    let written: Written = session.client.delete(&path).await?;
    Ok(lead(&format!("{PATH}/{id}"), Said::Deleted, &written))
}

impl View for DeleteView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("Delete {}?", self.key.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let place = format!("{PATH}/{}", self.key.id);
        html! {
            p .crumbs { a href=(place) { (self.key.name) } }
            h1 { (self.title()) }
            p { "Every call with this key is refused from then on. That cannot be undone." }
            (callers(&self.key, &self.usage))
            (confirm(frame, &format!("{place}/delete"), &html! {}, &format!("Delete {}", self.key.name), ("Keep it", &place)))
        }
    }
}

/// Which key it is, when it was last used, and how much of late.
pub fn callers(key: &Key, usage: &Usage) -> Markup {
    html! {
        dl .facts {
            div { dt { "Key" } dd { code { (key.masked) } } }
            div { dt { "Creator" } dd { (key.created_by_name) } }
            div { dt { "Last used" } dd { (time_or(key.last_used_at.as_ref(), "Never")) } }
            div {
                dt { "Last 7 days" }
                dd {
                    @if usage.total.calls == 0 { "No calls" }
                    @else {
                        strong { (grouped(usage.total.calls)) " calls" } ":"
                        ul .plain {
                            @for item in &usage.items {
                                li { (grouped(item.counts.calls)) " to " (item.api_name.as_deref().unwrap_or("another API")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
impl DeleteView {
    /// Used, and never used.
    pub fn samples(text: &str) -> Vec<Self> {
        let usage =
            [Usage::sample(text), Usage { items: Vec::new(), total: Default::default(), ..Usage::sample(text) }];
        Key::samples(text).into_iter().zip(usage).map(|(key, usage)| Self { key, usage }).collect()
    }
}
