//! `/advice`: all advice, or that for one reason.

use maud::{Markup, html};
use serde::Deserialize;

use super::{PATH, read};
use crate::api::advice::ReasonName;
use crate::console::address::Query;
use crate::console::client::link;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::table::{Head, table};
use crate::console::html::time::{day, day_or};
use crate::console::model::{AdviceItem, List};
use crate::console::session::Session;

/// The reasons as they are chosen, and what each is called.
const REASONS: [(&str, &str); 6] = [
    ("", "All"),
    ("unused", "Unused"),
    ("expiring", "Ending soon"),
    ("never_expires", "Never ending"),
    ("unused_scopes", "Scopes not used"),
    ("unscoped", "Opens everything"),
];

/// Which advice is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    reason: String,
    cursor: String,
}

/// The page.
pub struct AdviceView {
    asked: Asked,
    advice: List<AdviceItem>,
    told: Told,
}

/// Shows the page.
pub async fn show(session: Session, Query(asked): Query<Asked>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let advice = read(&session, &asked.reason, &asked.cursor).await?;
    let told = done.tell(&session).await;
    Ok(session.frame.page(&AdviceView { asked, advice, told }))
}

impl View for AdviceView {
    const SECTION: Section = Section::Advice;

    fn title(&self) -> String {
        "Advice".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        html! {
            h1 { "Advice" }
            (self.told.render())
            nav .tabs aria-label="Reason" {
                @for (reason, title) in REASONS {
                    a href=(link(PATH, &[("reason", reason)]))
                        aria-current=[(reason == self.asked.reason).then_some("page")] { (title) }
                }
            }
            @if self.advice.items.is_empty() { (self.nothing()) } @else { (self.count()) (self.table(frame)) }
            (self.pages())
        }
    }
}

impl AdviceView {
    fn nothing(&self) -> Markup {
        html! {
            div .empty {
                @if self.is_part() { p { strong { "Nothing to mend among these keys." } } }
                @else { p { strong { "Nothing to mend." } } }
                p {
                    "Keys show up here that nobody has used for 30 days, that end within 14 days or never, and that open more "
                    "APIs than they call."
                }
            }
        }
    }

    /// Whether this is one of several pages.
    const fn is_part(&self) -> bool {
        !self.asked.cursor.is_empty() || self.advice.next_cursor.is_some()
    }

    fn count(&self) -> Markup {
        let count = self.advice.items.len();
        html! {
            p .quiet {
                (count) @if count == 1 { " piece of advice" } @else { " pieces of advice" }
                @if self.is_part() { " on this page" }
            }
        }
    }

    fn pages(&self) -> Markup {
        let page = |cursor: &str| link(PATH, &[("reason", &self.asked.reason), ("cursor", cursor)]);
        html! {
            @if self.is_part() {
                nav .pages aria-label="Pages" {
                    @if !self.asked.cursor.is_empty() { a href=(page("")) { "First page" } }
                    @if let Some(cursor) = &self.advice.next_cursor { a rel="next" href=(page(cursor)) { "Next page" } }
                }
            }
        }
    }

    fn table(&self, frame: &Frame) -> Markup {
        let heads =
            [Head::Text("Key"), Head::Text("Advice"), Head::Text("Last used"), Head::Text("Creator"), Head::Actions];
        table("Advice", &heads, &html! { @for item in &self.advice.items { (self.row(frame, item)) } })
    }

    fn row(&self, frame: &Frame, item: &AdviceItem) -> Markup {
        let key = &item.key;
        html! {
            tr {
                th scope="row" data-label="Key" { a href={ "/keys/" (key.id) } { (key.name) } " " code .quiet { (key.masked) } }
                td data-label="Advice" { span { (sentence(item)) } }
                td data-label="Last used" { (day_or(key.last_used_at.as_ref(), "Never")) }
                td data-label="Creator" { (key.created_by_name) }
                td .actions {
                    @match item.reason {
                        ReasonName::Unused => a .danger href={ "/keys/" (key.id) "/delete" } { "Delete" span .sr { " " (key.name) } },
                        ReasonName::Expiring | ReasonName::NeverExpires | ReasonName::UnusedScopes | ReasonName::Unscoped => {
                            form method="post" action="/advice/mend" {
                                (frame.token())
                                input type="hidden" name="key" value=(key.id);
                                input type="hidden" name="reason" value=(name(item.reason));
                                input type="hidden" name="shown" value=(self.asked.reason);
                                input type="hidden" name="cursor" value=(self.asked.cursor);
                                button .link type="submit" { (mend(item.reason)) span .sr { ": " (key.name) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Why, in a sentence about this key.
fn sentence(item: &AdviceItem) -> Markup {
    html! {
        @match item.reason {
            ReasonName::Unused => @if item.key.last_used_at.is_some() { "Nobody has used it for 30 days." }
                @else { "It has never been used." },
            ReasonName::Expiring => {
                @if let Some(end) = &item.key.expires_at { "It ends on " (day(end)) "." }
            },
            ReasonName::NeverExpires => "It never ends: if it gets out, it stays good.",
            ReasonName::UnusedScopes | ReasonName::Unscoped => (item.detail),
        }
    }
}

/// What the one click does.
const fn mend(reason: ReasonName) -> &'static str {
    match reason {
        ReasonName::Unused => "Delete",
        ReasonName::Expiring => "Extend by a year",
        ReasonName::NeverExpires => "End it in a year",
        ReasonName::UnusedScopes | ReasonName::Unscoped => "Confine to what it calls",
    }
}

/// A reason as the admin API calls it.
pub const fn name(reason: ReasonName) -> &'static str {
    match reason {
        ReasonName::Unused => "unused",
        ReasonName::Expiring => "expiring",
        ReasonName::NeverExpires => "never_expires",
        ReasonName::UnusedScopes => "unused_scopes",
        ReasonName::Unscoped => "unscoped",
    }
}

#[cfg(test)]
impl AdviceView {
    /// For every reason, and without any.
    pub fn samples(text: &str) -> Vec<Self> {
        let asked = Asked { reason: text.to_owned(), cursor: text.to_owned() };
        let told = Told::samples(text).remove(0);
        vec![
            Self { asked: asked.clone(), advice: AdviceItem::samples(text), told },
            Self { asked, advice: List { items: Vec::new(), next_cursor: None }, told: Told::default() },
        ]
    }
}
