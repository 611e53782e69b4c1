//! `/members`: the users that one sees.

use std::collections::HashMap;

use maud::{Markup, html};

use super::PATH;
use crate::console::address::Query;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::frame::{Frame, Section, View, role_name};
use crate::console::html::table::{Head, table};
use crate::console::html::time::day;
use crate::console::model::{List, Organization, User};
use crate::console::session::Session;
use crate::domain::user::RoleName;

/// The list.
pub struct ListView {
    users: Vec<User>,
    /// What organizations are called, for operators.
    organizations: HashMap<String, String>,
    /// Whoever looks.
    own: String,
    told: Told,
}

/// Shows the list.
pub async fn show(session: Session, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let users: List<User> = session.client.get("/v1/users", &[("organization", session.organization())]).await?;
    let organizations: List<Organization> = session.client.get("/v1/organizations", &[]).await?;
    let organizations =
        organizations.items.into_iter().map(|organization| (organization.id, organization.name)).collect();
    let told = done.tell(&session).await;
    let view = ListView { users: users.items, organizations, own: session.me.user.clone(), told };
    Ok(session.frame.page(&view))
}

impl View for ListView {
    const SECTION: Section = Section::Members;

    fn title(&self) -> String {
        "Members".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        html! {
            div .heading {
                h1 { "Members" }
                @if frame.role != RoleName::Member { a .button href={ (PATH) "/new" } { "New member" } }
            }
            (self.told.render())
            @if self.users.is_empty() {
                div .empty {
                    p { strong { "Nobody yet." } }
                    p { "Members issue keys of their own; admins see all keys of the organization." }
                }
            } @else { (self.table(frame)) }
        }
    }
}

impl ListView {
    fn table(&self, frame: &Frame) -> Markup {
        let operates = frame.role == RoleName::Operator;
        let organization = operates.then_some(Head::Text("Organization"));
        let heads = [Head::Text("Name"), Head::Text("Role")].into_iter().chain(organization);
        let heads: Vec<Head<'_>> = heads.chain([Head::Text("Password"), Head::Text("Since"), Head::Actions]).collect();
        table("Members", &heads, &html! { @for user in &self.users { (self.row(user, operates)) } })
    }

    fn row(&self, user: &User, operates: bool) -> Markup {
        let path = format!("{PATH}/{}", user.id);
        let is_own = user.id == self.own;
        let home = user.organization.as_ref().and_then(|id| self.organizations.get(id));
        html! {
            tr {
                th scope="row" data-label="Name" {
                    @if is_own { a href="/account" { (user.name) } " " span .quiet { "(you)" } }
                    @else { a href=(path) { (user.name) } }
                }
                td data-label="Role" { (role_name(user.role)) }
                @if operates {
                    td data-label="Organization" {
                        @match home { Some(name) => (name), None => span .quiet { "None" } }
                    }
                }
                td data-label="Password" { @if user.has_password { "Set" } @else { span .quiet { "None" } } }
                td data-label="Since" { (day(&user.created_at)) }
                td .actions {
                    @if !is_own { a .danger href={ (path) "/delete" } { "Delete" span .sr { " " (user.name) } } }
                }
            }
        }
    }
}

#[cfg(test)]
impl ListView {
    /// With users of every role, and without any.
    pub fn samples(text: &str) -> Vec<Self> {
        let names = HashMap::from([("org_0fq3s7m2k9x4b".to_owned(), text.to_owned())]);
        let own = "usr_0fq3s7m2k9x4b".to_owned();
        let view = |(users, told)| Self { users, organizations: names.clone(), own: own.clone(), told };
        [User::samples(text), Vec::new()].into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
