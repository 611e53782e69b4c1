//! A key that was just issued or reissued: its secret, this once, how to use it, and how far it has come.

use maud::{Markup, html};

use super::PATH;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::receipt;
use crate::console::html::secret::{secret, snippet};
use crate::console::html::time::time;
use crate::console::model::{Api, IssuedKey};
use crate::domain::public_url::PublicUrl;

/// What stands for the gateway while nobody has said where it is.
const PLACEHOLDER: &str = "https://YOUR-GATEWAY";

/// A key with its secret.
pub struct IssuedView {
    issued: IssuedKey,
    /// How the API is called that is shown as an example, and where it answers.
    example: Option<(String, String)>,
    is_reissue: bool,
}

impl IssuedView {
    /// The key, with the first of `apis` that it opens as an example. `gateway` is where callers reach them.
    pub fn new(issued: IssuedKey, apis: &[Api], gateway: Option<&PublicUrl>, is_reissue: bool) -> Self {
        let opens = |api: &&Api| issued.key.apis.as_ref().is_none_or(|scopes| scopes.contains(&api.id));
        let example =
            apis.iter().find(opens).map(|api| (api.name.clone(), address(api, gateway.map(PublicUrl::origin))));
        Self { issued, example, is_reissue }
    }
}

/// Where callers reach an API: at its own host if it has one, else at the gateway.
fn address(api: &Api, gateway: Option<&str>) -> String {
    let gateway = gateway.unwrap_or(PLACEHOLDER);
    let base = match api.route.hosts.as_deref() {
        Some([host, ..]) => {
            let (scheme, rest) = gateway.split_once("://").unwrap_or(("https", gateway));
            let port = rest.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
            port.map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}"))
        }
        Some([]) | None => gateway.to_owned(),
    };
    format!("{base}{}", api.route.path_prefix.trim_end_matches('/'))
}

impl View for IssuedView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        if self.is_reissue { "Key reissued".to_owned() } else { "Key issued".to_owned() }
    }

    fn body(&self, _: &Frame) -> Markup {
        let key = &self.issued.key;
        html! {
            h1 { (self.title()) ": " (key.name) }
            (secret("Your API key", &self.issued.secret))
            @if let Some(propagation) = &self.issued.propagation { (receipt::receipt(self.done(), propagation)) }
            @if let Some(end) = &key.overlap_ends_at { p { "The old secret works beside it until " (time(end)) "." } }
            @match &key.expires_at {
                Some(end) => p { "The key stops working at " (time(end)) "." },
                None => p { "The key never expires. " a href={ (PATH) "/" (key.id) "/change" } { "Give it an expiry" } },
            }
            @if let Some((name, address)) = &self.example {
                h2 { "Call " (name) " with it" }
                @if address.starts_with(PLACEHOLDER) {
                    p .quiet {
                        "Put the address of your gateway in place of YOUR-GATEWAY. An operator can set it for everyone with "
                        code { "PORTCULLIS_GATEWAY_URL" } "."
                    }
                }
                (snippet("curl", "curl", &curl(address, &self.issued.secret)))
                (snippet("openai", "OpenAI client for Python", &openai(address, &self.issued.secret)))
            }
            p .buttons { a .button href={ (PATH) "/" (key.id) } { "Done, I have saved it" } }
        }
    }
}

impl IssuedView {
    const fn done(&self) -> &'static str {
        match (self.is_reissue, self.issued.key.overlap_ends_at.is_some()) {
            (true, false) => "The old secret is dead.",
            (true, true) | (false, _) => "The key works.",
        }
    }
}

fn curl(address: &str, secret: &str) -> String {
    format!(
        "curl {address}/chat/completions \\\n  -H 'Authorization: Bearer {secret}' \\\n  -H 'Content-Type: application/json' \\\n  \
         -d '{{\"model\": \"echo\", \"messages\": [{{\"role\": \"user\", \"content\": \"hello\"}}]}}'"
    )
}

fn openai(address: &str, secret: &str) -> String {
    format!(
        "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{address}\", api_key=\"{secret}\")\n\
         answer = client.chat.completions.create(\n    model=\"echo\", messages=[{{\"role\": \"user\", \"content\": \"hello\"}}]\n)\n\
         print(answer.choices[0].message.content)"
    )
}

#[cfg(test)]
impl IssuedView {
    /// Issued, and reissued with an overlap.
    pub fn samples(text: &str) -> Vec<Self> {
        let issued = || IssuedKey::sample(text);
        vec![
            Self::new(issued(), &Api::samples(text), Some(&"http://127.0.0.1:10000".parse().unwrap()), false),
            Self::new(issued(), &[], None, true),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_reached_at_its_own_host_if_it_has_one() {
        let mut api = Api::samples("x").remove(0);
        api.route.path_prefix = "/v1/".to_owned();
        api.route.hosts = None;
        assert_eq!(address(&api, Some("http://127.0.0.1:10000")), "http://127.0.0.1:10000/v1");
        assert_eq!(address(&api, None), "https://YOUR-GATEWAY/v1");
        api.route.hosts = Some(vec!["models.example.com".to_owned()]);
        assert_eq!(address(&api, Some("http://127.0.0.1:10000")), "http://models.example.com:10000/v1");
        assert_eq!(address(&api, Some("https://gate.example.com")), "https://models.example.com/v1");
    }
}
