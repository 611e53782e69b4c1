//! `/audit`: the audit, newest first, filtered and in pages.

use maud::{Markup, html};
use serde::Deserialize;

use super::words::phrase;
use super::{PATH, entry};
use crate::console::address::Query;
use crate::console::client::link;
use crate::console::failure::Failure;
use crate::console::html::field::select;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::table::{Head, table};
use crate::console::html::time::from_local;
use crate::console::model::{AuditEntry, List, User};
use crate::console::session::Session;
use crate::domain::audit::Action;

/// How many entries a page holds: no more than a page of 60 KB has room for.
const LIMIT: &str = "25";

/// Which entries are shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    action: String,
    outcome: String,
    user: String,
    subject: String,
    from: String,
    to: String,
    cursor: String,
}

/// The page.
pub struct AuditView {
    asked: Asked,
    entries: List<AuditEntry>,
    /// Who can be chosen.
    users: Vec<User>,
}

/// Shows the page.
pub async fn show(session: Session, Query(asked): Query<Asked>) -> Result<Markup, Failure> {
    // An instant that is none is left as it is, for the admin API to refuse.
    let instant = |text: &str| from_local(text).map_or_else(|| text.to_owned(), |instant| instant.to_string());
    let (from, to) = (instant(&asked.from), instant(&asked.to));
    let query = [
        ("action", asked.action.as_str()),
        ("outcome", &asked.outcome),
        ("user", asked.user.trim()),
        ("subject", asked.subject.trim()),
        ("from", &from),
        ("to", &to),
        ("cursor", &asked.cursor),
        ("limit", LIMIT),
        ("organization", session.organization()),
    ];
    let entries = session.client.get("/v1/audit", &query).await?;
    // Operators act on the things of every organization, so all whom one sees can be chosen.
    let users: List<User> = session.client.get("/v1/users", &[]).await?;
    Ok(session.frame.page(&AuditView { asked, entries, users: users.items }))
}

impl View for AuditView {
    const SECTION: Section = Section::Audit;

    fn title(&self) -> String {
        "Audit".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        html! {
            h1 { "Audit" }
            (self.filter())
            @if self.entries.items.is_empty() {
                div .empty {
                    p { strong { "No entry matches." } }
                    p { "Every change leaves an entry, and so does everything that was refused." }
                    p { a href=(PATH) { "Show everything" } }
                }
            } @else { (self.table(frame)) (self.pages()) }
        }
    }
}

impl AuditView {
    /// Who can be chosen, with whoever is: they may have been deleted since.
    fn people(&self) -> Vec<(&str, &str)> {
        let chosen = self.asked.user.trim();
        let known = self.users.iter().map(|user| (user.id.as_str(), user.name.as_str()));
        let is_known = chosen.is_empty() || self.users.iter().any(|user| user.id == chosen);
        let gone = (!is_known).then_some((chosen, chosen));
        std::iter::once(("", "Anyone")).chain(known).chain(gone).collect()
    }

    fn filter(&self) -> Markup {
        let all = Action::ALL.iter().map(|action| (action.name(), phrase(*action)));
        let actions: Vec<(&str, &str)> = std::iter::once(("", "anything")).chain(all).collect();
        let outcomes = [("", "Done and refused"), ("done", "Done"), ("refused", "Refused")];
        let asked = &self.asked;
        html! {
            form .filter method="get" action=(PATH) role="search" {
                (select("user", "Who", &self.people(), self.asked.user.trim()))
                (select("action", "Did", &actions, &asked.action))
                (select("outcome", "Outcome", &outcomes, &asked.outcome))
                div .field {
                    label for="subject" { "To this, by id" }
                    input #subject name="subject" type="search" value=(asked.subject) maxlength="100";
                }
                div .field {
                    label for="from" { "From (UTC)" }
                    input #from name="from" type="datetime-local" value=(asked.from);
                }
                div .field {
                    label for="to" { "Before (UTC)" }
                    input #to name="to" type="datetime-local" value=(asked.to);
                }
                button .secondary type="submit" { "Show" }
            }
        }
    }

    fn table(&self, frame: &Frame) -> Markup {
        let heads = [
            Head::Text("When"),
            Head::Text("Who"),
            Head::Text("What"),
            Head::Text("Outcome"),
            Head::Text("From"),
            Head::Number("Revision"),
        ];
        table(
            "Entries, newest first",
            &heads,
            &html! { @for entry in &self.entries.items { (entry::row(entry, frame.role)) } },
        )
    }

    fn pages(&self) -> Markup {
        let asked = &self.asked;
        let page = |cursor: &str| {
            let query = [
                ("action", asked.action.as_str()),
                ("outcome", &asked.outcome),
                ("user", &asked.user),
                ("subject", &asked.subject),
                ("from", &asked.from),
                ("to", &asked.to),
                ("cursor", cursor),
            ];
            link(PATH, &query)
        };
        html! {
            nav .pages aria-label="Pages" {
                @if !asked.cursor.is_empty() { a href=(page("")) { "Newest" } }
                @if let Some(cursor) = &self.entries.next_cursor { a rel="next" href=(page(cursor)) { "Older" } }
            }
        }
    }
}

#[cfg(test)]
impl AuditView {
    /// Every action, done and refused; and nothing.
    pub fn samples(text: &str) -> Vec<Self> {
        let asked = Asked {
            action: text.to_owned(),
            user: text.to_owned(),
            subject: text.to_owned(),
            from: text.to_owned(),
            cursor: text.to_owned(),
            ..Asked::default()
        };
        let entries = List { items: AuditEntry::samples(text), next_cursor: Some(text.to_owned()) };
        let nothing = List { items: Vec::new(), next_cursor: None };
        let view = |entries| Self { asked: asked.clone(), entries, users: User::samples(text) };
        [entries, nothing].into_iter().map(view).collect()
    }
}
