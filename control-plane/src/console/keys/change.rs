//! `/keys/{id}/change`: change what a key is called, when it ends, what it opens and what it may use. Its secret stays.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use portcullis_core::id::Key as KeyMark;
use serde_json::{Value, json};

use super::expiry::{self, Chosen};
use super::{PATH, Tab, api_path, apis_of, fields};
use crate::console::done::{Said, lead};
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields, Posted};
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::time::local;
use crate::console::model::{Api, Key, Written};
use crate::console::session::Session;
use crate::domain::user::RoleName;

/// The form.
pub struct ChangeView {
    key: Key,
    apis: Vec<Api>,
    fields: Fields,
    faults: Faults,
}

/// Shows the form.
pub async fn show(session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let key: Key = session.client.get(&api_path::<KeyMark>(&id)?, &[]).await?;
    let fields = begin(&key);
    let view = view(&session, key, fields, Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Changes the key, and shows it; or the form again, with what is wrong.
pub async fn change(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let path = api_path::<KeyMark>(&id)?;
    let key: Key = session.client.get(&path, &[]).await?;
    let faults = match read(&session, &key, &fields) {
        Ok(body) => match session.client.patch::<Written>(&path, body).await {
            Ok(written) => {
                let place = format!("{PATH}/{}", key.id);
                return Ok(lead(&place, Said::Saved, &written).into_response());
            }
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    let view = view(&session, key, fields, faults).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response())
}

async fn view(session: &Session, key: Key, fields: Fields, faults: Faults) -> Result<ChangeView, Failure> {
    let apis = apis_of(&session.client, key.kind.into(), &key.organization).await?;
    Ok(ChangeView { key, apis, fields, faults })
}

/// The key as the form has it.
fn begin(key: &Key) -> Fields {
    let scope = if key.apis.is_some() { "some" } else { "all" };
    let rate_limit = if key.rate_limit_enabled { "yes" } else { "" };
    let pairs = [
        ("name", key.name.clone()),
        ("expiry", expiry::KEEP.to_owned()),
        ("expires_at", key.expires_at.as_deref().map(local).unwrap_or_default()),
        ("scope", scope.to_owned()),
        ("rate_limit", rate_limit.to_owned()),
    ];
    let apis = key.apis.iter().flatten().map(|api| ("apis", api.clone()));
    Fields::from_pairs(pairs.into_iter().chain(fields::budget_fields(key.monthly_budget.as_ref())).chain(apis))
}

fn read(session: &Session, key: &Key, fields: &Fields) -> Result<Value, Faults> {
    let mut body = json!({"name": fields.text("name"), "apis": fields::read_scopes(fields)?});
    match Chosen::read(fields, session.now)? {
        Chosen::At(end) => body["expires_at"] = json!(end),
        Chosen::Never => body["expires_at"] = Value::Null,
        Chosen::Keep => {}
    }
    if Tab::from(key.kind) == Tab::Dedicated {
        body["rate_limit_enabled"] = json!(fields.is_ticked("rate_limit"));
    }
    if session.me.role != RoleName::Member {
        body["monthly_budget"] = fields::read_budget(fields)?;
    }
    Ok(body)
}

impl View for ChangeView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("Change {}", self.key.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let (fields, faults) = (&self.fields, &self.faults);
        let place = format!("{PATH}/{}", self.key.id);
        html! {
            p .crumbs { a href=(place) { (self.key.name) } }
            h1 { (self.title()) }
            (field::summary(faults))
            form .stacked method="post" action={ (place) "/change" } {
                (frame.token())
                (fields::name(fields, faults))
                (expiry::render(fields, faults, true))
                (fields::scopes(&self.apis, fields, faults))
                (fields::rate_limit(self.key.kind.into(), &self.apis, fields, faults))
                @if frame.role != RoleName::Member { (fields::budget(fields, faults)) }
                div .buttons {
                    button type="submit" { "Save" }
                    a href=(place) { "Cancel" }
                }
            }
        }
    }
}

#[cfg(test)]
impl ChangeView {
    /// As it begins, and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(key, faults): (Key, Faults)| Self { fields: begin(&key), apis: Api::samples(text), faults, key };
        Key::samples(text).into_iter().zip([Faults::default(), Faults::samples(text)]).map(view).collect()
    }
}
