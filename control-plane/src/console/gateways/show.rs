//! `/gateways/{id}`: one gateway and its workers.

use axum::extract::Path;
use maud::{Markup, html};

use super::{PATH, api_path, lag};
use crate::console::address::Query;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::badge::badge;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::table::{Head, table};
use crate::console::html::time::time;
use crate::console::model::{Api, Gateway, List, Worker};
use crate::console::session::Session;

/// The gateway.
pub struct ShowView {
    gateway: Gateway,
    /// What the APIs that it may serve are called.
    apis: Vec<Api>,
    told: Told,
}

/// Shows the gateway.
pub async fn show(session: Session, Path(id): Path<String>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let gateway: Gateway = session.client.get(&api_path(&id)?, &[]).await?;
    let apis: List<Api> = session.client.get("/v1/apis", &[]).await?;
    let told = done.tell(&session).await;
    Ok(session.frame.page(&ShowView { gateway, apis: apis.items, told }))
}

impl View for ShowView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        self.gateway.name.clone()
    }

    fn body(&self, frame: &Frame) -> Markup {
        let gateway = &self.gateway;
        let path = format!("{PATH}/{}", gateway.id);
        html! {
            p .crumbs { a href=(PATH) { "Gateways" } }
            div .heading {
                h1 { (gateway.name) }
                div .buttons {
                    a .button .secondary href={ (path) "/change" } { "Change" }
                    a .button .secondary href={ (path) "/reissue" } { "New token" }
                    a .button .danger href={ (path) "/delete" } { "Delete" }
                }
            }
            (self.told.render())
            dl .facts {
                div { dt { "Token" } dd { code { (gateway.masked) } } }
                div { dt { "Serves" } dd { (self.serves()) } }
                div { dt { "Workers without contact" } dd { (without_contact(gateway)) } }
                div { dt { "Created" } dd { (time(&gateway.created_at)) } }
                div { dt { "Id" } dd { code { (gateway.id) } } }
            }
            h2 { "Workers" }
            @if gateway.workers.is_empty() {
                div .empty {
                    p { strong { "No worker has been heard in ten minutes." } }
                    p { "Start an Envoy with the filter and this gateway's token; each of its threads shows up here." }
                }
            } @else { (self.table(frame)) }
        }
    }
}

/// What its workers do when nobody reaches them any more.
fn without_contact(gateway: &Gateway) -> String {
    match gateway.max_staleness_seconds {
        None => "Go on with what they know".to_owned(),
        Some(seconds) => format!("Refuse everything after {seconds} s"),
    }
}

impl ShowView {
    /// The APIs that it serves, by name.
    fn serves(&self) -> Markup {
        let name = |id: &str| self.apis.iter().find(|api| api.id == id).map(|api| api.name.clone());
        html! {
            @match &self.gateway.apis {
                None => "All APIs",
                Some(ids) if ids.is_empty() => span .quiet { "None" },
                Some(ids) => @for (index, id) in ids.iter().enumerate() {
                    @if index > 0 { ", " }
                    a href={ "/apis/" (id) } { (name(id).as_deref().unwrap_or(id)) }
                },
            }
        }
    }

    fn table(&self, frame: &Frame) -> Markup {
        let heads = [
            Head::Text("Worker"),
            Head::Text("Node"),
            Head::Text("State"),
            Head::Number("Revision"),
            Head::Number("Memory"),
            Head::Text("Last seen"),
            Head::Actions,
        ];
        table(
            &format!("Workers of {}", self.gateway.name),
            &heads,
            &html! { @for worker in &self.gateway.workers { (self.row(frame, worker)) } },
        )
    }

    fn row(&self, frame: &Frame, worker: &Worker) -> Markup {
        let (class, text) = lag(worker);
        html! {
            tr {
                th scope="row" data-label="Worker" { code { (worker.id) } }
                td data-label="Node" { (worker.node.as_deref().unwrap_or("not said")) }
                td data-label="State" { (badge(class, &text)) }
                td .number data-label="Revision" {
                    @match worker.revision { Some(revision) => (revision), None => span .quiet { "none" } }
                }
                td .number data-label="Memory" {
                    @match worker.memory_bytes { Some(bytes) => (mebibytes(bytes)), None => span .quiet { "not said" } }
                }
                td data-label="Last seen" { (time(&worker.last_seen_at)) }
                td .actions {
                    form method="post" action={ (PATH) "/" (self.gateway.id) "/workers/delete" } {
                        (frame.token())
                        input type="hidden" name="worker" value=(worker.id);
                        button .link .danger type="submit" title="Receipts no longer wait for it" {
                            "It is gone" span .sr { ": worker " (worker.id) }
                        }
                    }
                }
            }
        }
    }
}

/// `12.5 MiB`.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
impl ShowView {
    /// With workers in every state, and without any.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(gateway, told)| Self { gateway, apis: Api::samples(text), told };
        Gateway::samples(text).into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
