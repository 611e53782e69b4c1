//! `/gateways`: all of them, with how many workers each has and how far the slowest is behind.

use maud::{Markup, html};

use super::{PATH, lag};
use crate::console::address::Query;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::badge::badge;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::table::{Head, table};
use crate::console::model::{Gateway, List};
use crate::console::session::Session;

/// How many nodes are named.
const NODES_MAX: usize = 3;

/// The list.
pub struct ListView {
    gateways: Vec<Gateway>,
    told: Told,
}

/// Shows the list.
pub async fn show(session: Session, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let all: List<Gateway> = session.client.get("/v1/gateways", &[]).await?;
    let told = done.tell(&session).await;
    Ok(session.frame.page(&ListView { gateways: all.items, told }))
}

impl View for ListView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        "Gateways".to_owned()
    }

    fn body(&self, _: &Frame) -> Markup {
        html! {
            div .heading {
                h1 { "Gateways" }
                a .button href={ (PATH) "/new" } { "New gateway" }
            }
            (self.told.render())
            @if self.gateways.is_empty() { (nothing()) } @else { (self.table()) }
        }
    }
}

fn nothing() -> Markup {
    html! {
        div .empty {
            p { strong { "No gateway yet." } }
            p {
                "A gateway is a fleet of Envoys with the filter in them. Its token lets their workers hear of keys and of "
                "their deletion."
            }
            p { a .button href={ (PATH) "/new" } { "Create the first one" } }
        }
    }
}

impl ListView {
    fn table(&self) -> Markup {
        let heads = [
            Head::Text("Name"),
            Head::Text("Token"),
            Head::Number("Workers"),
            Head::Text("Slowest worker"),
            Head::Text("Nodes"),
            Head::Text("Serves"),
            Head::Text("Unreached"),
        ];
        table("Gateways", &heads, &html! { @for gateway in &self.gateways { (row(gateway)) } })
    }
}

fn row(gateway: &Gateway) -> Markup {
    // One without a snapshot is behind any other.
    let slowest = gateway.workers.iter().max_by_key(|worker| worker.lag.unwrap_or(u64::MAX));
    html! {
        tr {
            th scope="row" data-label="Name" { a href={ (PATH) "/" (gateway.id) } { (gateway.name) } }
            td data-label="Token" { code { (gateway.masked) } }
            td .number data-label="Workers" { (gateway.workers.len()) }
            td data-label="Slowest worker" {
                @match slowest {
                    Some(worker) => { @let (class, text) = lag(worker); (badge(class, &text)) },
                    None => (badge("bad", "None heard in 10 minutes")),
                }
            }
            td data-label="Nodes" { (nodes(gateway)) }
            td data-label="Serves" { (serves(gateway)) }
            td data-label="Unreached" { (unreached(gateway)) }
        }
    }
}

/// On which nodes its workers are, as far as those are few.
fn nodes(gateway: &Gateway) -> Markup {
    let mut nodes: Vec<&str> = gateway.workers.iter().filter_map(|worker| worker.node.as_deref()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let rest = nodes.len().saturating_sub(NODES_MAX);
    html! {
        @if nodes.is_empty() { span .quiet { "None" } }
        @for (index, node) in nodes.iter().take(NODES_MAX).enumerate() { @if index > 0 { ", " } (node) }
        @if rest > 0 { " and " (rest) " more" }
    }
}

/// What workers do that nobody reaches, in a word or two.
fn unreached(gateway: &Gateway) -> String {
    gateway.max_staleness_seconds.map_or("Go on".to_owned(), |seconds| format!("Refuse after {seconds} s"))
}

/// How many APIs a gateway serves.
fn serves(gateway: &Gateway) -> String {
    match gateway.apis.as_ref().map(Vec::len) {
        None => "All APIs".to_owned(),
        Some(1) => "1 API".to_owned(),
        Some(count) => format!("{count} APIs"),
    }
}

#[cfg(test)]
impl ListView {
    /// With gateways, and without.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(gateways, told)| Self { gateways, told };
        [Gateway::samples(text), Vec::new()].into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
