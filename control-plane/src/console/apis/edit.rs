//! `/apis/new` and `/apis/{id}`: an API, to be created, changed or read.
//!
//! Operators change all of it, admins the policy of their organization's own APIs; everyone else reads.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::json;

use super::list::{kind, limit, organizations, owner, place, price};
use super::{PATH, api_path, fields, rules};
use crate::api::keys::KindName;
use crate::console::address::Query;
use crate::console::done::{Done, Said, Told, lead};
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields, Posted};
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::model::{Api, Organization, Written, choices};
use crate::console::session::Session;
use crate::domain::user::RoleName;

const KINDS: [(&str, &str); 2] = [
    ("serverless", "Serverless: all organizations share it"),
    ("dedicated", "Dedicated: it belongs to one organization"),
];

/// An API and its form.
pub struct EditView {
    /// What there is; nothing for a new one.
    api: Option<Api>,
    organizations: Vec<Organization>,
    fields: Fields,
    faults: Faults,
    told: Told,
}

/// Shows the form of a new one.
pub async fn begin(session: Session) -> Result<Markup, Failure> {
    session.operates()?;
    let begun =
        [("kind", "serverless"), ("organization", session.organization()), ("per", "key"), ("count_tokens", "yes")];
    let fields = Fields::from_pairs(begun.map(|(name, value)| (name, value.to_owned())));
    let view = view(&session, None, fields, Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Shows one.
pub async fn show(session: Session, Path(id): Path<String>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let api: Api = session.client.get(&api_path(&id)?, &[]).await?;
    let fields = Fields::from_pairs(fields::write(&api).into_iter().chain(rules::write(api.rate_limit.as_ref())));
    let told = done.tell(&session).await;
    let view = EditView { told, ..view(&session, Some(api), fields, Faults::default()).await? };
    Ok(session.frame.page(&view))
}

/// Creates one; or shows the form again, with what is wrong.
pub async fn create(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    if fields.is_ticked("preview") {
        return again(&session, None, fields, Faults::default()).await;
    }
    let faults = match read(&fields) {
        Ok(mut body) => {
            body["kind"] = json!(fields.text("kind"));
            if fields.text("kind") == "dedicated" {
                body["organization"] = json!(fields.given("organization"));
            }
            match session.client.post::<Written>("/v1/apis", body, None).await {
                Ok(written) => return Ok(lead(PATH, Said::Created, &written).into_response()),
                Err(refusal) => Faults::try_from(refusal)?,
            }
        }
        Err(faults) => faults,
    };
    again(&session, None, fields, faults).await
}

/// Changes one; or shows the form again, with what is wrong.
pub async fn change(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let path = api_path(&id)?;
    let api: Api = session.client.get(&path, &[]).await?;
    if fields.is_ticked("preview") {
        return again(&session, Some(api), fields, Faults::default()).await;
    }
    let read = if session.is_operator() { read(&fields) } else { limits(&fields) };
    let faults = match read {
        Ok(body) => match session.client.patch::<Written>(&path, body).await {
            Ok(written) => return Ok(lead(&format!("{PATH}/{id}"), Said::Saved, &written).into_response()),
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    again(&session, Some(api), fields, faults).await
}

fn read(fields: &Fields) -> Result<serde_json::Value, Faults> {
    match (fields::read(fields), rules::read(fields)) {
        (Ok(mut body), Ok(policy)) => {
            body["rate_limit"] = policy;
            Ok(body)
        }
        (Err(mut faults), Err(others)) => {
            faults.fields.extend(others.fields);
            Err(faults)
        }
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
    }
}

fn limits(fields: &Fields) -> Result<serde_json::Value, Faults> {
    Ok(json!({"rate_limit": rules::read(fields)?}))
}

async fn again(session: &Session, api: Option<Api>, fields: Fields, faults: Faults) -> Result<Response, Failure> {
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = view(session, api, fields, faults).await?;
    Ok((status, session.frame.page(&view)).into_response())
}

async fn view(session: &Session, api: Option<Api>, fields: Fields, faults: Faults) -> Result<EditView, Failure> {
    let organizations = organizations(session).await?;
    Ok(EditView { api, organizations, fields, faults, told: Told::default() })
}

impl View for EditView {
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        self.api.as_ref().map_or("New API".to_owned(), |api| api.name.clone())
    }

    fn body(&self, frame: &Frame) -> Markup {
        let form = match (&self.api, frame.role) {
            (None, _) => self.form(frame, "/apis/new", "Create API", true),
            (Some(api), RoleName::Operator) => self.form(frame, &format!("{PATH}/{}", api.id), "Save", true),
            (Some(api), RoleName::Admin) if api.kind == KindName::Dedicated => {
                self.form(frame, &format!("{PATH}/{}", api.id), "Save the rate limit", false)
            }
            (Some(_), RoleName::Admin | RoleName::Member) => html! {},
        };
        html! {
            p .crumbs { a href=(PATH) { "APIs" } }
            div .heading {
                h1 { (self.title()) }
                @if let (Some(api), RoleName::Operator) = (&self.api, frame.role) {
                    a .button .danger href={ (PATH) "/" (api.id) "/delete" } { "Delete" }
                }
            }
            (self.told.render())
            @if let Some(api) = &self.api { (self.facts(api)) }
            (field::summary(&self.faults))
            (form)
        }
    }
}

impl EditView {
    fn facts(&self, api: &Api) -> Markup {
        html! {
            dl .facts {
                div { dt { "Kind" } dd { (kind(api.kind)) } }
                @if let Some(owner) = owner(api, &self.organizations) { div { dt { "Organization" } dd { (owner.name) } } }
                div { dt { "Answers at" } dd { (place(api)) } }
                div { dt { "Rate limit" } dd { (limit(api)) } }
                div { dt { "Price" } dd { (price(api.price.as_ref())) } }
                div { dt { "Tokens" } dd { @if api.count_tokens { "Counted" } @else { "Not counted" } } }
                div { dt { "Authorization header" } dd {
                    @if api.forward_credential { "Shown to the upstream" } @else { "Kept from the upstream" }
                } }
                div { dt { "Id" } dd { code { (api.id) } } }
            }
        }
    }

    /// The form: all of it, or the policy alone.
    fn form(&self, frame: &Frame, action: &str, button: &str, is_whole: bool) -> Markup {
        let (fields, faults) = (&self.fields, &self.faults);
        html! {
            form .stacked .wide method="post" action=(action) {
                (frame.token())
                @if is_whole {
                    (fields::name(fields, faults))
                    @if self.api.is_none() { (self.kind()) }
                    (fields::place(fields, faults))
                }
                (rules::render(fields, faults))
                @if !is_whole { (field::errors("count_tokens", "/count_tokens", &uncounted(faults))) }
                @if is_whole {
                    (fields::price(fields, faults))
                    (fields::credential(fields))
                }
                div .buttons {
                    button type="submit" { (button) }
                    (rules::preview_button())
                    a href=(PATH) { "Cancel" }
                }
            }
        }
    }

    /// What stays as it is once the API is there.
    fn kind(&self) -> Markup {
        // Nobody is meant until somebody is chosen.
        let names = choices(Some("None"), &self.organizations);
        html! {
            (field::select("kind", "Kind", &KINDS, self.fields.text("kind")))
            (field::select("organization", "Organization, for a dedicated API", &names, self.fields.text("organization")))
            (field::errors("organization", "/organization", &self.faults))
            p .hint { "Neither can be changed later: keys are issued for them." }
        }
    }
}

/// What stands in the way of a limit for who cannot have tokens counted.
fn uncounted(faults: &Faults) -> Faults {
    let detail = "The tokens of this API are not counted, so a rule cannot count them. An operator can change that.";
    faults.at("/count_tokens").next().map(|_| Faults::one("/count_tokens", detail)).unwrap_or_default()
}

#[cfg(test)]
impl EditView {
    /// A new one, and each that there is, as it begins and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |api: Option<Api>, faults: Faults| {
            let typed =
                ["name", "hosts", "path_prefix", "price_call", "organization"].map(|name| (name, text.to_owned()));
            let policy = api.as_ref().and_then(|api| api.rate_limit.as_ref());
            let fields = Fields::from_pairs(typed.into_iter().chain(rules::write(policy)));
            let told = Told::samples(text).remove(0);
            Self { api, organizations: Organization::samples(text), fields, faults, told }
        };
        let known = Api::samples(text).into_iter().map(|api| view(Some(api), Faults::default()));
        known.chain([view(None, Faults::default()), view(None, Faults::samples(text))]).collect()
    }
}
