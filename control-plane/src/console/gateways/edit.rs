//! `/gateways/new` and `/gateways/{id}/change`: a gateway, to be created or changed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::issued::IssuedView;
use super::{PATH, api_path};
use crate::console::Console;
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Fields, Posted, attempt};
use crate::console::html::field::{self, Field};
use crate::console::html::frame::{Frame, Section, View};
use crate::console::keys::fields::api_boxes;
use crate::console::model::{Api, Gateway, List, Written};
use crate::console::session::Session;

/// A gateway and its form.
pub struct EditView {
    /// What there is; nothing for a new one.
    gateway: Option<Gateway>,
    apis: Vec<Api>,
    fields: Fields,
    faults: Faults,
}

/// Shows the form of a new one.
pub async fn begin(State(console): State<Console>, session: Session) -> Result<Markup, Failure> {
    session.operates()?;
    let fields = Fields::from_pairs([("scope", "all".to_owned()), (ATTEMPT, attempt(&console)?)]);
    let view = view(&session, None, fields, Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Shows the form of one.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let gateway: Gateway = session.client.get(&api_path(&id)?, &[]).await?;
    let scope = if gateway.apis.is_some() { "some" } else { "all" };
    let staleness = gateway.max_staleness_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    let pairs = [("name", gateway.name.clone()), ("scope", scope.to_owned()), ("max_staleness", staleness)];
    let apis = gateway.apis.iter().flatten().map(|api| ("apis", api.clone()));
    let fields = Fields::from_pairs(pairs.into_iter().chain(apis));
    let view = view(&session, Some(gateway), fields, Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Creates one, and shows its token; or the form again, with what is wrong.
pub async fn create(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let faults = match read(&fields) {
        Ok(body) => match session.client.post("/v1/gateways", body, fields.given(ATTEMPT)).await {
            Ok(issued) => {
                let page = session.frame.page(&IssuedView { issued, is_reissue: false });
                return Ok((StatusCode::CREATED, page).into_response());
            }
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    again(&session, None, fields, faults).await
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
    let gateway = session.client.get(&path, &[]).await?;
    again(&session, Some(gateway), fields, faults).await
}

fn read(fields: &Fields) -> Result<Value, Faults> {
    let max_staleness: Option<u32> = match fields.given("max_staleness") {
        Some(text) => {
            Some(text.parse().map_err(|_| Faults::one("/max_staleness_seconds", "expected a number of seconds"))?)
        }
        None => None,
    };
    let apis: Vec<&str> = fields.all("apis").collect();
    let apis = if fields.text("scope") == "some" { json!(apis) } else { Value::Null };
    Ok(json!({"name": fields.text("name"), "apis": apis, "max_staleness_seconds": max_staleness}))
}

async fn again(
    session: &Session,
    gateway: Option<Gateway>,
    fields: Fields,
    faults: Faults,
) -> Result<Response, Failure> {
    let view = view(session, gateway, fields, faults).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response())
}

async fn view(
    session: &Session,
    gateway: Option<Gateway>,
    fields: Fields,
    faults: Faults,
) -> Result<EditView, Failure> {
    let apis: List<Api> = session.client.get("/v1/apis", &[]).await?;
    Ok(EditView { gateway, apis: apis.items, fields, faults })
}

impl View for EditView {
    const SECTION: Section = Section::Gateways;

    fn title(&self) -> String {
        self.gateway.as_ref().map_or("New gateway".to_owned(), |gateway| format!("Change {}", gateway.name))
    }

    fn body(&self, frame: &Frame) -> Markup {
        let (fields, faults) = (&self.fields, &self.faults);
        let known = self.gateway.as_ref().map(|gateway| format!("{PATH}/{}", gateway.id));
        let place = known.clone().unwrap_or(PATH.to_owned());
        let action = known.as_ref().map_or("/gateways/new".to_owned(), |place| format!("{place}/change"));
        html! {
            p .crumbs { a href=(place) { (self.gateway.as_ref().map_or("Gateways", |gateway| &gateway.name)) } }
            h1 { (self.title()) }
            (field::summary(faults))
            form .stacked method="post" action=(action) {
                (frame.token())
                input type="hidden" name=(ATTEMPT) value=(fields.text(ATTEMPT));
                (Field {
                    name: "name", label: "Name", hint: "Where it is, or what it is for: edge, mesh, eu-west.",
                    is_required: true, characters_max: Some(100), pointer: "/name", ..Field::default()
                }.render(fields, faults))
                (self.apis())
                (Field {
                    name: "max_staleness", label: "Seconds without contact until workers refuse everything",
                    hint: "From 5 to 86400. With it, a receipt says by when a change holds even where it cannot be \
                           delivered. Left empty, workers go on with what they know.",
                    pointer: "/max_staleness_seconds", ..Field::default()
                }.render(fields, faults))
                div .buttons {
                    button type="submit" { @if known.is_some() { "Save" } @else { "Create gateway" } }
                    a href=(place) { "Cancel" }
                }
            }
        }
    }
}

impl EditView {
    fn apis(&self) -> Markup {
        let is_confined = self.fields.text("scope") == "some";
        html! {
            fieldset .field {
                legend { "Serves" }
                label .choice {
                    input type="radio" name="scope" value="all" checked[!is_confined];
                    span { "All APIs, those to come included" }
                }
                label .choice {
                    input type="radio" name="scope" value="some" checked[is_confined];
                    span { "Only these:" }
                }
                div .choices .indented {
                    (api_boxes(&self.apis, &self.fields))
                }
                p .hint { "Its workers are told of no other API, and of no key that opens none of these." }
                (field::errors("apis", "/apis", &self.faults))
            }
        }
    }
}

#[cfg(test)]
impl EditView {
    /// A new one, and one that there is, as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let fields = Fields::from_pairs(["name", "max_staleness", ATTEMPT].map(|name| (name, text.to_owned())));
        let view = |(gateway, faults)| Self { gateway, apis: Api::samples(text), fields: fields.clone(), faults };
        let known = Gateway::samples(text).pop();
        [(None, Faults::default()), (known, Faults::samples(text))].into_iter().map(view).collect()
    }
}
