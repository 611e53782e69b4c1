//! A gateway that was just created or given another token: the token, this once, and how its Envoys get it.

use maud::{Markup, html};

use super::PATH;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::secret::{secret, snippet};
use crate::console::model::IssuedGateway;

/// A gateway with its token.
pub struct IssuedView {
    pub issued: IssuedGateway,
    pub is_reissue: bool,
}

impl View for IssuedView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        if self.is_reissue { "New token".to_owned() } else { "Gateway created".to_owned() }
    }

    fn body(&self, _: &Frame) -> Markup {
        let environment = format!("export PORTCULLIS_GATEWAY_TOKEN='{}'", self.issued.token);
        html! {
            h1 { (self.title()) ": " (self.issued.name) }
            (secret("The gateway's token", &self.issued.token))
            h2 { "Start Envoy with it" }
            p { "Envoy hands it to the filter from its environment, so that it is in no configuration:" }
            (snippet("environment", "Environment of Envoy", &environment))
            p .buttons { a .button href={ (PATH) "/" (self.issued.id) } { "Done, I have saved it" } }
        }
    }
}

#[cfg(test)]
impl IssuedView {
    /// Created, and given another token.
    pub fn samples(text: &str) -> Vec<Self> {
        let issued =
            || IssuedGateway { id: "gtw_0fq3s7m2k9x4b".to_owned(), name: text.to_owned(), token: text.to_owned() };
        vec![Self { issued: issued(), is_reissue: false }, Self { issued: issued(), is_reissue: true }]
    }
}
