//! `/account`: who one is, the password, and the access tokens that one has.

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::PATH;
use crate::console::Console;
use crate::console::address::Query;
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Fields, attempt};
use crate::console::html::field::{self, Field};
use crate::console::html::frame::{Frame, Section, View, role_name};
use crate::console::html::table::{Head, table};
use crate::console::html::time::{time, time_or};
use crate::console::model::{List, Me, Token};
use crate::console::session::Session;
use crate::domain::name::Name;

/// What was just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The password is another one.
    Password,
    /// A token was deleted.
    Deleted,
}

/// What was just done, in the query.
#[derive(Debug, Deserialize)]
pub struct Asked {
    done: Option<Done>,
}

/// The page.
pub struct AccountView {
    me: Me,
    tokens: Vec<Token>,
    done: Option<Done>,
    pub fields: Fields,
    pub faults: Faults,
}

/// Shows the page.
pub async fn show(
    State(console): State<Console>,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Markup, Failure> {
    let fields = Fields::from_pairs([("days", "90".to_owned()), (ATTEMPT, attempt(&console)?)]);
    let view = AccountView { done: asked.done, ..view(&session, fields, Faults::default()).await? };
    Ok(session.frame.page(&view))
}

/// The page with what was typed, and what is wrong with it.
pub async fn view(session: &Session, fields: Fields, faults: Faults) -> Result<AccountView, Failure> {
    let tokens: List<Token> = session.client.get("/v1/tokens", &[]).await?;
    let own = tokens.items.into_iter().filter(|token| token.user == session.me.user).collect();
    Ok(AccountView { me: session.me.clone(), tokens: own, done: None, fields, faults })
}

impl View for AccountView {
    const SECTION: Section = Section::Account;

    fn title(&self) -> String {
        "Your account".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        html! {
            h1 { (self.title()) }
            @match self.done {
                Some(Done::Password) => div .alert .good role="status" {
                    "Your password is changed. Everywhere else you are signed out."
                },
                Some(Done::Deleted) => div .alert .good role="status" { "Deleted. It opens nothing any more." },
                None => {}
            }
            (field::summary(&self.faults))
            dl .facts {
                div { dt { "Name" } dd { (self.me.name) } }
                div { dt { "Role" } dd { (role_name(self.me.role)) } }
                @if let Some(organization) = &self.me.organization_name {
                    div { dt { "Organization" } dd { (organization) } }
                }
            }
            (self.password(frame))
            (self.tokens(frame))
        }
    }
}

impl AccountView {
    fn password(&self, frame: &Frame) -> Markup {
        let password = |name, label, autocomplete, hint, pointer| {
            let characters_max = Some(256);
            Field { name, label, kind: "password", is_required: true, autocomplete, hint, pointer, characters_max }
                .render(&self.fields, &self.faults)
        };
        html! {
            h2 { @if self.me.has_password { "Change your password" } @else { "Set a password" } }
            form .stacked method="post" action="/account/password" {
                (frame.token())
                // So that a password manager knows whose it is.
                input type="text" name="username" value=(self.me.name) autocomplete="username" readonly hidden
                    aria-label="Name";
                @if self.me.has_password {
                    (password("current_password", "Your password", "current-password", "", "/current_password"))
                }
                (password("password", "New password", "new-password", "12 characters or more, without your name.",
                          "/password"))
                div .buttons { button type="submit" { "Change password" } }
            }
        }
    }

    fn tokens(&self, frame: &Frame) -> Markup {
        let name = Field {
            name: "name",
            label: "Name",
            hint: "What program will use it: deployments, monitoring.",
            is_required: true,
            characters_max: Some(100),
            pointer: "/name",
            ..Field::default()
        };
        html! {
            h2 { "Access tokens" }
            p { "With an access token a program calls the admin API as you. " a href="/docs" { "API reference" } "." }
            form .stacked method="post" action="/account/tokens" {
                (frame.token())
                input type="hidden" name=(ATTEMPT) value=(self.fields.text(ATTEMPT));
                (name.render(&self.fields, &self.faults))
                (field::select("days", "It ends after", &DAYS, self.fields.text("days")))
                (field::errors("days", "/expires_at", &self.faults))
                div .buttons { button type="submit" { "Create token" } }
            }
            (self.table(frame))
        }
    }

    fn table(&self, frame: &Frame) -> Markup {
        let heads = [Head::Text("Name"), Head::Text("Token"), Head::Text("Created"), Head::Text("Ends"), Head::Actions];
        table(
            "Your access tokens and sessions",
            &heads,
            &html! { @for token in &self.tokens { (self.row(frame, token)) } },
        )
    }

    fn row(&self, frame: &Frame, token: &Token) -> Markup {
        let is_this = token.id == self.me.token;
        html! {
            tr {
                th scope="row" data-label="Name" {
                    @if token.name == Name::session().as_str() { "Session" } @else { (token.name) }
                    @if is_this { " " span .quiet { "(this browser)" } }
                }
                td data-label="Token" { code { (token.masked) } }
                td data-label="Created" { (time(&token.created_at)) }
                td data-label="Ends" { (time_or(token.expires_at.as_ref(), "Never")) }
                td .actions {
                    @if token.bootstrap { span .quiet { "Set by the environment" } }
                    @else if !is_this {
                        form method="post" action={ (PATH) "/tokens/delete" } {
                            (frame.token())
                            input type="hidden" name="id" value=(token.id);
                            button .link .danger type="submit" { "Delete" span .sr { " " (token.name) } }
                        }
                    }
                }
            }
        }
    }
}

/// When a token ends, in days; empty for never.
const DAYS: [(&str, &str); 4] = [("90", "90 days"), ("30", "30 days"), ("365", "1 year"), ("", "Never")];

#[cfg(test)]
impl AccountView {
    /// As it begins, and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let fields = Fields::from_pairs([("name", text.to_owned()), (ATTEMPT, text.to_owned())]);
        let states = [(Faults::default(), Some(Done::Password)), (Faults::samples(text), None)];
        let view = |(faults, done)| Self {
            me: Me::sample(text),
            tokens: Token::samples(text),
            done,
            fields: fields.clone(),
            faults,
        };
        states.into_iter().map(view).collect()
    }
}
