//! `/organizations`: all of them, and which one is looked at.

use maud::{Markup, html};

use super::PATH;
use crate::console::address::Query;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::badge::badge;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money;
use crate::console::html::table::{Head, table};
use crate::console::html::time::day;
use crate::console::model::{List, Organization};
use crate::console::session::Session;

/// The list.
pub struct ListView {
    organizations: Vec<Organization>,
    told: Told,
}

/// Shows the list.
pub async fn show(session: Session, Query(done): Query<Done>) -> Result<Markup, Failure> {
    session.operates()?;
    let all: List<Organization> = session.client.get("/v1/organizations", &[]).await?;
    let told = done.tell(&session).await;
    Ok(session.frame.page(&ListView { organizations: all.items, told }))
}

impl View for ListView {
    const SECTION: Section = Section::Organizations;

    fn title(&self) -> String {
        "Organizations".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        let chosen = frame.organization.as_ref();
        html! {
            div .heading {
                h1 { "Organizations" }
                a .button href={ (PATH) "/new" } { "New organization" }
            }
            (self.told.render())
            @if let Some(chosen) = chosen {
                form .alert method="post" action={ (PATH) "/choose" } {
                    (frame.token())
                    "You look at " strong { (chosen.name) } " alone. "
                    button .link type="submit" { "Look at all organizations" }
                }
            }
            @if self.organizations.is_empty() { (nothing()) } @else { (self.table(frame)) }
        }
    }
}

fn nothing() -> Markup {
    html! {
        div .empty {
            p { strong { "No organization yet." } }
            p { "Keys, members and budgets belong to an organization: a customer, a department, a team." }
            p { a .button href={ (PATH) "/new" } { "Create the first one" } }
        }
    }
}

impl ListView {
    fn table(&self, frame: &Frame) -> Markup {
        let heads = [Head::Text("Name"), Head::Text("Monthly budget"), Head::Text("Created"), Head::Actions];
        table(
            "Organizations",
            &heads,
            &html! { @for organization in &self.organizations { (row(frame, organization)) } },
        )
    }
}

fn row(frame: &Frame, organization: &Organization) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Name" { a href={ (PATH) "/" (organization.id) } { (organization.name) } }
            td data-label="Monthly budget" {
                span {
                    (money::budget(organization.monthly_budget.as_ref()))
                    @if organization.over_budget { " " (badge("warn", "Used up")) }
                }
            }
            td data-label="Created" { (day(&organization.created_at)) }
            td .actions {
                form method="post" action={ (PATH) "/choose" } {
                    (frame.token())
                    input type="hidden" name="organization" value=(organization.id);
                    button .link type="submit" { "Look at it" span .sr { ": " (organization.name) } }
                }
            }
        }
    }
}

#[cfg(test)]
impl ListView {
    /// With organizations, and without.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(organizations, told)| Self { organizations, told };
        [Organization::samples(text), Vec::new()].into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
