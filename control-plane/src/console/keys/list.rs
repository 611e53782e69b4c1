//! `/keys`: the keys of a kind, searched, sorted and in pages.

use maud::{Markup, html};
use serde::Deserialize;

use super::{PATH, Tab};
use crate::api::keys::StatusName;
use crate::console::address::Query;
use crate::console::client::link;
use crate::console::failure::Failure;
use crate::console::html::badge;
use crate::console::html::field::select;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::table::{Head, table};
use crate::console::html::time::{day, day_or};
use crate::console::model::{Key, List};
use crate::console::session::Session;

/// How many keys a page holds: no more than a page of 60 KB has room for.
const LIMIT: &str = "40";

/// What is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    kind: Tab,
    q: String,
    status: String,
    sort: String,
    cursor: String,
}

impl Shown {
    /// A list in another order, or another part of it: from the beginning.
    fn link(&self, changed: (&str, &str)) -> String {
        let now = [("kind", self.kind.name()), ("q", &self.q), ("status", &self.status), ("sort", &self.sort)];
        let mut query: Vec<(&str, &str)> = now.into_iter().filter(|(name, _)| *name != changed.0).collect();
        query.push(changed);
        link(PATH, &query)
    }

    fn is_narrowed(&self) -> bool {
        !self.q.is_empty() || !self.status.is_empty() || !self.cursor.is_empty()
    }
}

/// The list.
pub struct ListView {
    shown: Shown,
    keys: Vec<Key>,
    next_cursor: Option<String>,
}

/// Shows the list.
pub async fn show(session: Session, Query(shown): Query<Shown>) -> Result<Markup, Failure> {
    let query = [
        ("kind", shown.kind.name()),
        ("q", &shown.q),
        ("status", &shown.status),
        ("sort", &shown.sort),
        ("cursor", &shown.cursor),
        ("limit", LIMIT),
        ("organization", session.organization()),
    ];
    let keys: List<Key> = session.client.get("/v1/keys", &query).await?;
    let view = ListView { shown, keys: keys.items, next_cursor: keys.next_cursor };
    Ok(session.frame.page(&view))
}

impl View for ListView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("{} API keys", self.shown.kind.title())
    }

    fn body(&self, _: &Frame) -> Markup {
        let issue = link("/keys/issue", &[("kind", self.shown.kind.name())]);
        html! {
            div .heading {
                h1 { "API Key Management" }
                a .button href=(issue) { "Issue key" }
            }
            (self.tabs())
            (self.filter())
            @if self.keys.is_empty() { (self.nothing(&issue)) } @else { (self.table()) (self.pages()) }
        }
    }
}

impl ListView {
    fn tabs(&self) -> Markup {
        html! {
            nav .tabs aria-label="Kind of key" {
                @for tab in Tab::ALL {
                    a href=(link(PATH, &[("kind", tab.name())]))
                        aria-current=[(tab == self.shown.kind).then_some("page")] { (tab.title()) }
                }
            }
        }
    }

    fn filter(&self) -> Markup {
        let states = [("", "Active and expired"), ("active", "Active"), ("expired", "Expired"), ("revoked", "Deleted")];
        let shown = &self.shown;
        html! {
            form .filter method="get" action=(PATH) role="search" {
                input type="hidden" name="kind" value=(shown.kind.name());
                @if !shown.sort.is_empty() { input type="hidden" name="sort" value=(shown.sort); }
                div .field {
                    label for="q" { "Name or value" }
                    input #q name="q" type="search" value=(shown.q) maxlength="100";
                }
                (select("status", "Status", &states, &shown.status))
                button .secondary type="submit" { "Search" }
            }
        }
    }

    fn nothing(&self, issue: &str) -> Markup {
        html! {
            div .empty {
                @if self.shown.is_narrowed() {
                    p { strong { "No key matches." } }
                    p { a href=(link(PATH, &[("kind", self.shown.kind.name())])) { "Show all keys" } }
                } @else {
                    p { strong { "No " (self.shown.kind.title().to_lowercase()) " key yet." } }
                    p { (purpose(self.shown.kind)) }
                    p { a .button href=(issue) { "Issue the first one" } }
                }
            }
        }
    }

    /// A column's title, which sorts by it and turns the order round.
    fn sortable(&self, title: &str, name: &str) -> Markup {
        let down = format!("-{name}");
        let sort = if self.shown.sort.is_empty() { "-issued_at" } else { self.shown.sort.as_str() };
        let (order, next) = match sort {
            sort if sort == name => (Some("ascending"), down.as_str()),
            sort if sort == down => (Some("descending"), name),
            _ => (None, name),
        };
        html! {
            th scope="col" aria-sort=[order] { a .sort href=(self.shown.link(("sort", next))) { (title) } }
        }
    }

    fn table(&self) -> Markup {
        let heads = [
            Head::Cell(self.sortable("Name", "name")),
            Head::Text("Key"),
            Head::Text("Status"),
            Head::Cell(self.sortable("Issued", "issued_at")),
            Head::Cell(self.sortable("Expires", "expires_at")),
            Head::Text("Creator"),
            Head::Cell(self.sortable("Last used", "last_used_at")),
            Head::Actions,
        ];
        table(&self.title(), &heads, &html! { @for key in &self.keys { (row(key)) } })
    }

    fn pages(&self) -> Markup {
        html! {
            nav .pages aria-label="Pages" {
                @if !self.shown.cursor.is_empty() { a href=(self.shown.link(("cursor", ""))) { "First page" } }
                @if let Some(cursor) = &self.next_cursor {
                    a rel="next" href=(self.shown.link(("cursor", cursor))) { "Next page" }
                }
            }
        }
    }
}

fn row(key: &Key) -> Markup {
    let path = format!("{PATH}/{}", key.id);
    let is_deleted = key.status == StatusName::Revoked;
    html! {
        tr {
            th scope="row" data-label="Name" { a href=(path) { (key.name) } }
            td data-label="Key" { code { (key.masked) } }
            td data-label="Status" { (badge::of_key(key)) }
            td data-label="Issued" { (day(&key.issued_at)) }
            td data-label="Expires" { (day_or(key.expires_at.as_ref(), "Never")) }
            td data-label="Creator" { (key.created_by_name) }
            td data-label="Last used" { (day_or(key.last_used_at.as_ref(), "Never")) }
            td .actions {
                @if !is_deleted {
                    a href={ (path) "/reissue" } { "Reissue" span .sr { " " (key.name) } }
                    a .danger href={ (path) "/delete" } { "Delete" span .sr { " " (key.name) } }
                }
            }
        }
    }
}

const fn purpose(kind: Tab) -> &'static str {
    match kind {
        Tab::Serverless => {
            "A serverless key opens the APIs that all organizations share. Callers send it with every call."
        }
        Tab::Dedicated => {
            "A dedicated key opens the APIs that belong to your organization, held to their rate limits if you want."
        }
    }
}

#[cfg(test)]
impl ListView {
    /// With keys of every state, and without any.
    pub fn samples(text: &str) -> Vec<Self> {
        let shown = |kind| Shown { kind, q: text.to_owned(), sort: "name".to_owned(), ..Shown::default() };
        vec![
            Self { shown: shown(Tab::Serverless), keys: Key::samples(text), next_cursor: Some(text.to_owned()) },
            Self { shown: shown(Tab::Dedicated), keys: Vec::new(), next_cursor: None },
            Self { shown: Shown::default(), keys: Vec::new(), next_cursor: None },
        ]
    }
}
