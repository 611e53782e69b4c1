//! `/apis`: the APIs that one sees.

use maud::{Markup, html};

use super::PATH;
use crate::api::keys::KindName;
use crate::console::address::Query;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::from_micros;
use crate::console::html::policy;
use crate::console::html::table::{Head, table};
use crate::console::model::{Api, List, Organization};
use crate::console::session::Session;
use crate::domain::api::Price;
use crate::domain::user::RoleName;

/// The list.
pub struct ListView {
    apis: Vec<Api>,
    /// Whose the dedicated ones can be, for operators; everyone else sees only their own.
    organizations: Vec<Organization>,
    told: Told,
}

/// Shows the list.
pub async fn show(session: Session, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let apis: List<Api> = session.client.get("/v1/apis", &[]).await?;
    let told = done.tell(&session).await;
    let organizations = organizations(&session).await?;
    Ok(session.frame.page(&ListView { apis: apis.items, organizations, told }))
}

/// The organizations to which APIs can belong, for who sees those of several.
pub async fn organizations(session: &Session) -> Result<Vec<Organization>, Failure> {
    if !session.is_operator() {
        return Ok(Vec::new());
    }
    let all: List<Organization> = session.client.get("/v1/organizations", &[]).await?;
    Ok(all.items)
}

/// Whose a dedicated API is, if that is among `organizations`.
pub fn owner<'a>(api: &Api, organizations: &'a [Organization]) -> Option<&'a Organization> {
    let id = api.organization.as_ref()?;
    organizations.iter().find(|organization| organization.id == *id)
}

impl View for ListView {
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        "APIs".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        let operates = frame.role == RoleName::Operator;
        html! {
            div .heading {
                h1 { "APIs" }
                @if operates { a .button href={ (PATH) "/new" } { "New API" } }
            }
            (self.told.render())
            @if self.apis.is_empty() { (nothing(operates)) } @else { (self.table()) }
        }
    }
}

fn nothing(operates: bool) -> Markup {
    html! {
        div .empty {
            p { strong { "No API yet." } }
            p { "An API is a path, on some hosts or on all, behind which a model answers. Keys open APIs." }
            @if operates { p { a .button href={ (PATH) "/new" } { "Create the first one" } } }
            @else { p { "The platform team creates them." } }
        }
    }
}

impl ListView {
    fn table(&self) -> Markup {
        let heads = [
            Head::Text("Name"),
            Head::Text("Kind"),
            Head::Text("Answers at"),
            Head::Text("Rate limit"),
            Head::Text("Price"),
        ];
        table("APIs", &heads, &html! { @for api in &self.apis { (self.row(api)) } })
    }

    fn row(&self, api: &Api) -> Markup {
        html! {
            tr {
                th scope="row" data-label="Name" { a href={ (PATH) "/" (api.id) } { (api.name) } }
                td data-label="Kind" {
                    div .breaks {
                        (kind(api.kind))
                        @if let Some(owner) = owner(api, &self.organizations) { div .quiet { "of " (owner.name) } }
                    }
                }
                td data-label="Answers at" { (place(api)) }
                td data-label="Rate limit" { (limit(api)) }
                td data-label="Price" { (price(api.price.as_ref())) }
            }
        }
    }
}

/// What a kind is called.
pub const fn kind(kind: KindName) -> &'static str {
    match kind {
        KindName::Serverless => "Serverless",
        KindName::Dedicated => "Dedicated",
    }
}

/// Where an API answers.
pub fn place(api: &Api) -> Markup {
    html! {
        div .breaks {
            code { (api.route.path_prefix) }
            @if let Some(hosts) = &api.route.hosts { div .quiet { "on " (hosts.join(", ")) } }
        }
    }
}

/// The policy of an API in plain language.
pub fn limit(api: &Api) -> Markup {
    html! {
        @match &api.rate_limit {
            Some(limit) => (policy::sentence(limit)),
            None => span .quiet { "None" },
        }
    }
}

/// What calls cost.
pub fn price(price: Option<&Price>) -> Markup {
    let parts = price.map_or_else(Vec::new, |price| {
        vec![
            (price.per_call_micros, "a call"),
            (price.per_million_input_tokens_micros, "a million input tokens"),
            (price.per_million_output_tokens_micros, "a million output tokens"),
        ]
    });
    let mut parts = parts.into_iter().filter(|(amount, _)| *amount > 0).peekable();
    if parts.peek().is_none() {
        return html! { span .quiet { "Free" } };
    }
    html! {
        ul .plain {
            @for (amount, what) in parts { li { (from_micros(amount)) " " span .quiet { (what) } } }
        }
    }
}

#[cfg(test)]
impl ListView {
    /// With APIs, and without.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(apis, told)| Self { apis, organizations: Organization::samples(text), told };
        [Api::samples(text), Vec::new()].into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
