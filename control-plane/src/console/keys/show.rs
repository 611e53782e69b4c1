//! `/keys/{id}`: one key, what it opens, what was used of it lately, and the receipt of what was just done to it.

use axum::extract::Path;
use maud::{Markup, html};
use portcullis_core::id::Key as KeyMark;

use super::{PATH, Tab, api_path, apis_of};
use crate::api::keys::StatusName;
use crate::console::address::Query;
use crate::console::client::link;
use crate::console::done::{Done, Told};
use crate::console::failure::Failure;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::{budget, grouped, shown};
use crate::console::html::time::{time, time_or};
use crate::console::html::{badge, policy};
use crate::console::model::{Api, Key, Usage};
use crate::console::session::Session;

/// The key.
pub struct ShowView {
    key: Key,
    apis: Vec<Api>,
    usage: Usage,
    told: Told,
}

/// Shows the key.
pub async fn show(session: Session, Path(id): Path<String>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let key: Key = session.client.get(&api_path::<KeyMark>(&id)?, &[]).await?;
    let apis = apis_of(&session.client, key.kind.into(), &key.organization).await?;
    let usage = session.client.get("/v1/usage", &[("key", &key.id)]).await?;
    let told = done.tell(&session).await;
    let view = ShowView { key, apis, usage, told };
    Ok(session.frame.page(&view))
}

impl View for ShowView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        self.key.name.clone()
    }

    fn body(&self, _: &Frame) -> Markup {
        let key = &self.key;
        let path = format!("{PATH}/{}", key.id);
        let is_deleted = key.status == StatusName::Revoked;
        let list = link(PATH, &[("kind", Tab::from(key.kind).name())]);
        html! {
            p .crumbs { a href=(list) { "API Key Management" } }
            div .heading {
                h1 { (key.name) }
                @if !is_deleted {
                    div .buttons {
                        a .button .secondary href={ (path) "/change" } { "Change" }
                        a .button .secondary href={ (path) "/reissue" } { "Reissue" }
                        a .button .danger href={ (path) "/delete" } { "Delete" }
                    }
                }
            }
            (self.told.render())
            (self.facts())
            (self.used())
        }
    }
}

impl ShowView {
    fn facts(&self) -> Markup {
        let key = &self.key;
        html! {
            dl .facts {
                div { dt { "Key" } dd { code { (key.masked) } } }
                div { dt { "Status" } dd { (badge::of_key(key)) } }
                div { dt { "Kind" } dd { (Tab::from(key.kind).title()) } }
                div { dt { "Creator" } dd { (key.created_by_name) } }
                div { dt { "Issued" } dd { (time(&key.issued_at)) } }
                div { dt { "Expires" } dd { (time_or(key.expires_at.as_ref(), "Never")) } }
                div { dt { "Last used" } dd { (time_or(key.last_used_at.as_ref(), "Never")) } }
                @if let Some(end) = &key.overlap_ends_at {
                    div { dt { "Old secret" } dd { "Works until " (time(end)) } }
                }
                div { dt { "Opens" } dd { (self.opens()) } }
                div { dt { "Rate limit" } dd { (self.limits()) } }
                div { dt { "Monthly budget" } dd { (budget(key.monthly_budget.as_ref())) } }
                div { dt { "Id" } dd { code { (key.id) } } }
            }
        }
    }

    fn opens(&self) -> Markup {
        html! {
            @match &self.key.apis {
                None => { "All " (Tab::from(self.key.kind).name()) " APIs" },
                Some(ids) => ul .plain {
                    @for id in ids {
                        @match self.apis.iter().find(|api| api.id == *id) {
                            Some(api) => li { (api.name) " " span .quiet { (api.route.path_prefix) } },
                            None => li { code { (id) } },
                        }
                    }
                },
            }
        }
    }

    fn limits(&self) -> Markup {
        let key = &self.key;
        let opens = |api: &&Api| key.apis.as_ref().is_none_or(|scopes| scopes.contains(&api.id));
        let is_limited = key.rate_limit_enabled || Tab::from(key.kind) == Tab::Serverless;
        let limits: Vec<_> =
            self.apis.iter().filter(opens).filter_map(|api| Some((api, api.rate_limit.as_ref()?))).collect();
        html! {
            @if !is_limited { "Off" }
            @else if limits.is_empty() { "No API that it opens has a policy" }
            @else {
                ul .plain { @for (api, limit) in limits { li { (api.name) ": " (policy::sentence(limit)) } } }
            }
        }
    }

    fn used(&self) -> Markup {
        let total = &self.usage.total;
        let more = link("/usage", &[("by", "day"), ("key", &self.key.id)]);
        html! {
            h2 { "This month" }
            dl .tiles {
                div { dt { "Calls" } dd { (grouped(total.calls)) } }
                div { dt { "Refused" } dd { (grouped(total.refused)) } }
                div { dt { "Tokens" } dd { (grouped(total.total_tokens)) } }
                div { dt { "Cost" } dd { (shown(total.cost_micros)) } }
            }
            p { a href=(more) { "Usage of this key over time" } }
        }
    }
}

#[cfg(test)]
impl ShowView {
    /// Keys of every state, with a receipt of each sort.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(key, told)| Self { key, told, apis: Api::samples(text), usage: Usage::sample(text) };
        Key::samples(text).into_iter().zip(Told::samples(text)).map(view).collect()
    }
}
