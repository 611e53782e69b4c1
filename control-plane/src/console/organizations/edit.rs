//! `/organizations/new` and `/organizations/{id}`: an organization, to be created or changed.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{PATH, api_path};
use crate::console::address::Query;
use crate::console::done::{Done, Said, Told, lead};
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields, Posted};
use crate::console::html::badge::badge;
use crate::console::html::field::{self, Field};
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money;
use crate::console::html::time::time;
use crate::console::keys::fields::{budget, budget_fields, read_budget};
use crate::console::model::{Organization, Written};
use crate::console::session::Session;

/// An organization and its form.
pub struct EditView {
    /// What there is; nothing for a new one.
    organization: Option<Organization>,
    fields: Fields,
    faults: Faults,
    told: Told,
}

/// Shows the form of a new one.
pub async fn begin(session: Session) -> Result<Markup, Failure> {
    session.operates()?;
    let view =
        EditView { organization: None, fields: Fields::default(), faults: Faults::default(), told: Told::default() };
    Ok(session.frame.page(&view))
}

/// Shows one.
pub async fn show(session: Session, Path(id): Path<String>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    session.operates()?;
    let organization: Organization = session.client.get(&api_path(&id)?, &[]).await?;
    let name = [("name", organization.name.clone())];
    let fields = Fields::from_pairs(name.into_iter().chain(budget_fields(organization.monthly_budget.as_ref())));
    let told = done.tell(&session).await;
    let view = EditView { organization: Some(organization), fields, faults: Faults::default(), told };
    Ok(session.frame.page(&view))
}

/// Creates one; or shows the form again, with what is wrong.
pub async fn create(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let faults = match read(&fields) {
        Ok(body) => match session.client.post::<Written>("/v1/organizations", body, None).await {
            Ok(written) => return Ok(lead(PATH, Said::Created, &written).into_response()),
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    Ok(again(&session, None, fields, faults))
}

/// Changes one; or shows the form again, with what is wrong.
pub async fn change(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let path = api_path(&id)?;
    let faults = match read(&fields) {
        Ok(body) => match session.client.patch::<Written>(&path, body).await {
            Ok(written) => return Ok(lead(&format!("{PATH}/{id}"), Said::Saved, &written).into_response()),
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    let organization: Organization = session.client.get(&path, &[]).await?;
    Ok(again(&session, Some(organization), fields, faults))
}

fn read(fields: &Fields) -> Result<Value, Faults> {
    Ok(json!({"name": fields.text("name"), "monthly_budget": read_budget(fields)?}))
}

fn again(session: &Session, organization: Option<Organization>, fields: Fields, faults: Faults) -> Response {
    let view = EditView { organization, fields, faults, told: Told::default() };
    (StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response()
}

impl View for EditView {
    const SECTION: Section = Section::Organizations;

    fn title(&self) -> String {
        self.organization.as_ref().map_or("New organization".to_owned(), |organization| organization.name.clone())
    }

    fn body(&self, frame: &Frame) -> Markup {
        let known = self.organization.as_ref().map(|organization| format!("{PATH}/{}", organization.id));
        html! {
            p .crumbs { a href=(PATH) { "Organizations" } }
            div .heading {
                h1 { (self.title()) }
                @if let Some(path) = &known { a .button .danger href={ (path) "/delete" } { "Delete" } }
            }
            (self.told.render())
            @if let Some(organization) = &self.organization {
                dl .facts {
                    div { dt { "Created" } dd { (time(&organization.created_at)) } }
                    div { dt { "Monthly budget" } dd {
                        (money::budget(organization.monthly_budget.as_ref()))
                        @if organization.over_budget { " " (badge("warn", "Used up")) }
                    } }
                    div { dt { "Id" } dd { code { (organization.id) } } }
                }
            }
            (field::summary(&self.faults))
            form .stacked method="post" action=(known.as_deref().unwrap_or("/organizations/new")) {
                (frame.token())
                (Field {
                    name: "name", label: "Name", is_required: true, characters_max: Some(100), pointer: "/name",
                    ..Field::default()
                }.render(&self.fields, &self.faults))
                (budget(&self.fields, &self.faults))
                div .buttons {
                    button type="submit" { @if known.is_some() { "Save" } @else { "Create organization" } }
                    a href=(PATH) { "Cancel" }
                }
            }
        }
    }
}

#[cfg(test)]
impl EditView {
    /// A new one, and one that there is, as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let fields = Fields::from_pairs([("name", text.to_owned()), ("budget_cost", text.to_owned())]);
        let told = Told::samples(text).remove(0);
        let known = Organization::samples(text).pop();
        vec![
            Self { organization: None, fields: fields.clone(), faults: Faults::default(), told: Told::default() },
            Self { organization: known, fields, faults: Faults::samples(text), told },
        ]
    }
}
