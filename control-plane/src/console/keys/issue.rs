//! `/keys/issue`: issue a key of a kind.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::expiry::{self, Chosen};
use super::issued::IssuedView;
use super::{PATH, Tab, apis_of, fields};
use crate::console::Console;
use crate::console::address::Query;
use crate::console::client::link;
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Fields, Posted, attempt};
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::model::{Api, IssuedKey, List, Organization, choices};
use crate::console::session::Session;
use crate::domain::user::RoleName;

/// Which kind is asked for.
#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    kind: Tab,
}

/// The form.
pub struct IssueView {
    tab: Tab,
    apis: Vec<Api>,
    /// Where an operator can issue a key, unless they have chosen.
    organizations: Vec<Organization>,
    fields: Fields,
    faults: Faults,
}

/// Shows the form.
pub async fn show(
    State(console): State<Console>,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Markup, Failure> {
    let attempt = attempt(&console)?;
    let begun = [("expiry", expiry::DEFAULT.to_owned()), ("scope", "all".to_owned()), (ATTEMPT, attempt)];
    let view = view(&session, asked.kind, Fields::from_pairs(begun), Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Issues the key, and shows its secret; or the form again, with what is wrong.
pub async fn issue(State(console): State<Console>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let tab = Tab::of(fields.text("kind"));
    let faults = match read(&session, tab, &fields) {
        Ok(body) => match session.client.post("/v1/keys", body, fields.given(ATTEMPT)).await {
            Ok(issued) => {
                let issued: IssuedKey = issued;
                let apis = apis_of(&session.client, tab, &issued.key.organization).await?;
                let view = IssuedView::new(issued, &apis, console.settings.gateway_url.as_ref(), false);
                return Ok((StatusCode::CREATED, session.frame.page(&view)).into_response());
            }
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    let view = view(&session, tab, fields, faults).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response())
}

async fn view(session: &Session, tab: Tab, fields: Fields, faults: Faults) -> Result<IssueView, Failure> {
    let organization = match session.me.organization.as_deref() {
        Some(own) => own,
        None => session.organization(),
    };
    let organizations = if organization.is_empty() {
        let all: List<Organization> = session.client.get("/v1/organizations", &[]).await?;
        all.items
    } else {
        Vec::new()
    };
    let apis = apis_of(&session.client, tab, organization).await?;
    Ok(IssueView { tab, apis, organizations, fields, faults })
}

fn read(session: &Session, tab: Tab, fields: &Fields) -> Result<Value, Faults> {
    let mut body = json!({"kind": tab.name(), "name": fields.text("name"), "apis": fields::read_scopes(fields)?});
    match Chosen::read(fields, session.now)? {
        Chosen::At(end) => body["expires_at"] = json!(end),
        Chosen::Never | Chosen::Keep => {}
    }
    if tab == Tab::Dedicated {
        body["rate_limit_enabled"] = json!(fields.is_ticked("rate_limit"));
    }
    let budget = fields::read_budget(fields)?;
    if !budget.is_null() {
        body["monthly_budget"] = budget;
    }
    let chosen = fields.given("organization").unwrap_or(session.organization());
    if session.is_operator() && !chosen.is_empty() {
        body["organization"] = json!(chosen);
    }
    Ok(body)
}

impl View for IssueView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("Issue a {} key", self.tab.title().to_lowercase())
    }

    fn body(&self, frame: &Frame) -> Markup {
        let (fields, faults) = (&self.fields, &self.faults);
        let names = choices(None, &self.organizations);
        html! {
            h1 { (self.title()) }
            (field::summary(faults))
            form .stacked method="post" action="/keys/issue" {
                (frame.token())
                input type="hidden" name="kind" value=(self.tab.name());
                input type="hidden" name=(ATTEMPT) value=(fields.text(ATTEMPT));
                (fields::name(fields, faults))
                @if !names.is_empty() {
                    (field::select("organization", "Organization", &names, fields.text("organization")))
                    (field::errors("organization", "/organization", faults))
                }
                (expiry::render(fields, faults, false))
                (fields::scopes(&self.apis, fields, faults))
                (fields::rate_limit(self.tab, &self.apis, fields, faults))
                @if frame.role != RoleName::Member { (fields::budget(fields, faults)) }
                div .buttons {
                    button type="submit" { "Issue key" }
                    a href=(link(PATH, &[("kind", self.tab.name())])) { "Cancel" }
                }
            }
        }
    }
}

#[cfg(test)]
impl IssueView {
    /// As it begins, and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let typed = ["name", "expires_at", "budget_cost", "budget_tokens", ATTEMPT, "organization"];
        let typed = Fields::from_pairs(typed.map(|name| (name, text.to_owned())));
        let begun = Fields::from_pairs([("expiry", expiry::DEFAULT.to_owned())]);
        vec![
            Self {
                tab: Tab::Dedicated,
                apis: Api::samples(text),
                organizations: Organization::samples(text),
                fields: begun,
                faults: Faults::default(),
            },
            Self {
                tab: Tab::Serverless,
                apis: Vec::new(),
                organizations: Vec::new(),
                fields: typed,
                faults: Faults::samples(text),
            },
        ]
    }
}
