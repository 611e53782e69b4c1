//! The page on which one signs in.

use maud::{Markup, html};

use crate::console::client::link;
use crate::console::forms::{Faults, Fields, TOKEN};
use crate::console::html::field::{self, Field};
use crate::console::html::frame;

/// The page.
pub struct SignInView {
    /// What the forms carry.
    pub form_token: String,
    /// Where to go afterwards.
    pub next: String,
    /// What the button for single sign-on says, if there is one.
    pub single_sign_on: Option<String>,
    pub fields: Fields,
    pub faults: Faults,
}

impl SignInView {
    /// The whole page.
    pub fn page(&self) -> Markup {
        frame::bare("Sign in", &self.body())
    }

    fn body(&self) -> Markup {
        html! {
            h1 { "Sign in" }
            (field::summary(&self.faults))
            @if let Some(label) = &self.single_sign_on {
                p .buttons { a .button href=(link("/sign-in/oidc", &[("next", &self.next)])) { (label) } }
                p .quiet { "or with a password:" }
            }
            (self.by_password())
            (self.by_token())
        }
    }

    fn hidden(&self) -> Markup {
        html! {
            input type="hidden" name=(TOKEN) value=(self.form_token);
            input type="hidden" name="next" value=(self.next);
        }
    }

    fn by_password(&self) -> Markup {
        let name = Field {
            name: "name",
            label: "Name",
            is_required: true,
            autocomplete: "username",
            characters_max: Some(100),
            pointer: "/name",
            ..Field::default()
        };
        let password = Field {
            name: "password",
            label: "Password",
            kind: "password",
            is_required: true,
            autocomplete: "current-password",
            characters_max: Some(256),
            pointer: "/password",
            ..Field::default()
        };
        html! {
            form .stacked method="post" action="/sign-in" {
                (self.hidden())
                (name.render(&self.fields, &self.faults))
                (password.render(&self.fields, &self.faults))
                div .buttons { button type="submit" { "Sign in" } }
            }
        }
    }

    fn by_token(&self) -> Markup {
        let token = Field {
            name: "token",
            label: "Access token",
            kind: "password",
            is_required: true,
            hint: "The first operator has one from the first start of the control plane. It is not kept in your browser: you \
                   get a session of 12 hours in its place.",
            pointer: "/token",
            characters_max: Some(512),
            ..Field::default()
        };
        html! {
            details .alternative open[self.faults.at("/token").next().is_some()] {
                summary { "Sign in with an access token" }
                form .stacked method="post" action="/sign-in/token" {
                    (self.hidden())
                    (token.render(&self.fields, &self.faults))
                    div .buttons { button .secondary type="submit" { "Sign in with it" } }
                }
            }
        }
    }
}

#[cfg(test)]
impl SignInView {
    /// As it begins, and after a failure.
    pub fn samples(text: &str) -> Vec<Self> {
        let faults = [Faults::default(), Faults::samples(text)];
        let fields = Fields::from_pairs([("name", text.to_owned()), ("token", text.to_owned())]);
        let view = |faults| Self {
            form_token: text.to_owned(),
            next: text.to_owned(),
            single_sign_on: Some(text.to_owned()),
            fields: fields.clone(),
            faults,
        };
        faults.into_iter().map(view).collect()
    }
}
