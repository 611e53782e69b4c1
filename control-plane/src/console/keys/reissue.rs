//! `/keys/{id}/reissue`: give a key a new secret, and show it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use portcullis_core::id::Key as KeyMark;
use serde_json::{Value, json};

use super::delete::{callers, recent};
use super::expiry::{self, Chosen};
use super::issued::IssuedView;
use super::{PATH, api_path, apis_of};
use crate::api::keys::StatusName;
use crate::console::Console;
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Fields, Posted, attempt};
use crate::console::html::field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::time::local;
use crate::console::model::{IssuedKey, Key, Usage};
use crate::console::session::Session;

/// For how long the old secret works on, and what that is called.
const OVERLAPS: [(&str, &str); 4] = [
    ("0", "It stops at once"),
    ("3600", "It works for one more hour"),
    ("86400", "It works for one more day"),
    ("604800", "It works for seven more days"),
];

/// The form.
pub struct ReissueView {
    key: Key,
    usage: Usage,
    fields: Fields,
    faults: Faults,
}

/// Shows the form.
pub async fn show(State(console): State<Console>, session: Session, Path(id): Path<String>) -> Result<Markup, Failure> {
    let key: Key = session.client.get(&api_path::<KeyMark>(&id)?, &[]).await?;
    let usage = recent(&session, &key.id).await?;
    let fields = begin(&key, attempt(&console)?);
    let view = ReissueView { key, usage, fields, faults: Faults::default() };
    Ok(session.frame.page(&view))
}

/// Reissues the key, and shows its secret; or the form again, with what is wrong.
pub async fn reissue(
    State(console): State<Console>,
    Path(id): Path<String>,
    Posted { session, fields }: Posted,
) -> Result<Response, Failure> {
    let path = api_path::<KeyMark>(&id)?;
    let faults = match read(&session, &fields) {
        Ok(body) => match session.client.post(&format!("{path}/reissue"), body, fields.given(ATTEMPT)).await {
            Ok(issued) => {
                let issued: IssuedKey = issued;
                let apis = apis_of(&session.client, issued.key.kind.into(), &issued.key.organization).await?;
                let view = IssuedView::new(issued, &apis, console.settings.gateway_url.as_ref(), true);
                return Ok((StatusCode::CREATED, session.frame.page(&view)).into_response());
            }
            Err(refusal) => Faults::try_from(refusal)?,
        },
        Err(faults) => faults,
    };
    let key: Key = session.client.get(&path, &[]).await?;
    let usage = recent(&session, &key.id).await?;
    let view = ReissueView { key, usage, fields, faults };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response())
}

/// What the form begins with: a key that has expired needs a new expiry.
fn begin(key: &Key, attempt: String) -> Fields {
    let expiry = if key.status == StatusName::Expired { expiry::DEFAULT } else { expiry::KEEP };
    Fields::from_pairs([
        ("expiry", expiry.to_owned()),
        ("expires_at", key.expires_at.as_deref().map(local).unwrap_or_default()),
        ("overlap", "0".to_owned()),
        (ATTEMPT, attempt),
    ])
}

fn read(session: &Session, fields: &Fields) -> Result<Value, Faults> {
    let overlap: u32 = fields.text("overlap").parse().unwrap_or_default();
    let mut body = json!({"overlap_seconds": overlap});
    match Chosen::read(fields, session.now)? {
        Chosen::At(end) => body["expires_at"] = json!(end),
        Chosen::Never => body["expires_at"] = Value::Null,
        Chosen::Keep => {}
    }
    Ok(body)
}

impl View for ReissueView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("Reissue {}?", self.key.name)
    }

    fn body(&self, frame: &Frame) -> Markup {
        let place = format!("{PATH}/{}", self.key.id);
        let (fields, faults) = (&self.fields, &self.faults);
        html! {
            p .crumbs { a href=(place) { (self.key.name) } }
            h1 { (self.title()) }
            p {
                "The key gets a new secret and keeps everything else. If the old one may be known to somebody, let it stop "
                "at once: whoever calls with it is refused."
            }
            (callers(&self.key, &self.usage))
            (field::summary(faults))
            form .stacked method="post" action={ (place) "/reissue" } {
                (frame.token())
                input type="hidden" name=(ATTEMPT) value=(fields.text(ATTEMPT));
                (field::select("overlap", "The old secret", &OVERLAPS, fields.text("overlap")))
                (field::errors("overlap", "/overlap_seconds", faults))
                (expiry::render(fields, faults, self.key.status != StatusName::Expired))
                div .buttons {
                    button .danger type="submit" { "Reissue " (self.key.name) }
                    a href=(place) { "Keep it" }
                }
            }
        }
    }
}

#[cfg(test)]
impl ReissueView {
    /// As it begins, and as it comes back.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |(key, faults): (Key, Faults)| Self {
            fields: begin(&key, text.to_owned()),
            usage: Usage::sample(text),
            faults,
            key,
        };
        Key::samples(text).into_iter().zip([Faults::default(), Faults::samples(text)]).map(view).collect()
    }
}
