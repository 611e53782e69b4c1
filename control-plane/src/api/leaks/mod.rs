//! `POST /v1/leaks`: revoke secrets that were found where they should not be.
//!
//! Whoever holds a secret could use it, so anyone with an access token may report one. What it opened, by id and
//! name, is told only to whom may see that. A report is looked up first and written then, in one transaction and
//! so in one revision: what nobody knows takes no lock.
//!
//! Two sorts of secret are not revoked, as their loss would cost more than it saves: the bootstrap token, and the
//! tokens of gateways, whose filters would no longer hear of any deletion. What to do is said instead.
//!
//! Nothing of a report is repeated that a list of keys would not show: a text that is no key of this brand is
//! named by its place alone.

mod view;

use std::collections::HashSet;
use std::fmt;

use axum::Json;
use axum::extract::State;
use portcullis_core::digest::Digest;
use portcullis_core::key::{Kind, PlainKey};
use portcullis_core::wire::Revision;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::extract::{JsonBody, QueryOf};
use super::idempotency::{Idempotency, IdempotencyHeader};
use super::propagation::{WaitQuery, Written};
use super::refusals::{Always, BadBody, BadQuery, WriteError};
use crate::domain::actor::Actor;
use crate::domain::audit::Action;
use crate::domain::fault::Faults;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::problem::Problem;
use crate::scan::Scanner;
use crate::storage::{Found, StorageError, Write};

use view::{LeakItem, LeakOutcome, LeakReport};

/// The most secrets in one report.
const SECRETS_MAX: usize = 1_000;
/// What a report that cannot be read is told: serde's own words would repeat it.
const SHAPE: &str = "expected `secrets`, a list of texts, or `text`, a text, and perhaps `source`, a name";

/// What was found: `secrets` or `text`, exactly one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportLeaks {
    /// The secrets, one by one.
    #[schema(min_items = 1, max_items = 1000, example = json!(["pc_ded_Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwxyz12"]))]
    secrets: Option<Vec<String>>,
    /// A text that may have keys in it: a log, a file, a message. Every key of this deployment is found.
    #[schema(min_length = 1, max_length = 65536)]
    text: Option<String>,
    /// Where it was found; it is kept in the audit.
    #[schema(min_length = 1, max_length = 100, example = "a public repository")]
    source: Option<String>,
}

impl fmt::Debug for ReportLeaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportLeaks").finish_non_exhaustive()
    }
}

/// One text of a report.
struct Suspect {
    index: usize,
    digest: Digest,
    /// What it is by its form, if it is a key of this brand.
    form: Option<(Kind, PlainKey)>,
}

/// Reports leaked secrets. Keys and access tokens are revoked, for good; reporting them again changes nothing.
///
/// Anyone may report. A secret that occurs more than once in a report has one item, at its first place.
#[utoipa::path(
    post, path = "/v1/leaks", tag = "leaks", request_body = ReportLeaks,
    params(IdempotencyHeader, WaitQuery),
    responses(
        (status = 200, body = Written<LeakReport>, description = "What each of them was"),
        Always, BadQuery, BadBody,
    )
)]
pub async fn report(
    State(app): State<App>,
    Caller(actor): Caller,
    _: Idempotency,
    QueryOf(query): QueryOf<WaitQuery>,
    body: Result<JsonBody<ReportLeaks>, Problem>,
) -> Result<Json<Written<LeakReport>>, ReportError> {
    let body = body.map_err(|problem| ReportError::Body(problem.unquoted(SHAPE)))?;
    let scanner = Scanner::new(app.brand.as_ref().clone());
    let source = source(&scanner, body.value.source.as_deref()).map_err(WriteError::from)?;
    let suspects = suspects(&app, &scanner, body.value).map_err(WriteError::from)?;
    let (report, revision) = judge_all(&app, actor, suspects, source).await.map_err(WriteError::from)?;
    Ok(Json(Written::new(report, app.receipt(revision, query.wait_ms).await)))
}

/// Why nothing is reported.
#[derive(Debug)]
pub enum ReportError {
    /// The body cannot be read.
    Body(Problem),
    /// All the rest.
    Write(WriteError),
}

impl From<WriteError> for ReportError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl axum::response::IntoResponse for ReportError {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::Body(problem) => problem.into_response(),
            Self::Write(error) => error.into_response(),
        }
    }
}

/// Where it was found, without any key that this place is named by.
fn source(scanner: &Scanner, source: Option<&str>) -> Result<Option<String>, Faults> {
    let name = source.map(Name::parse).transpose().map_err(|error| Faults::one("/source", error))?;
    Ok(name.map(|name| scanner.redact(name.as_str())))
}

/// The texts of a report, each once.
fn suspects(app: &App, scanner: &Scanner, request: ReportLeaks) -> Result<Vec<Suspect>, Faults> {
    let mut seen = HashSet::new();
    match (request.secrets, request.text) {
        (Some(secrets), None) if (1..=SECRETS_MAX).contains(&secrets.len()) => {
            let read = |(index, text): (usize, String)| Suspect {
                index,
                digest: Digest::of(text.as_bytes()),
                form: PlainKey::read(&app.brand, text.as_bytes()).ok(),
            };
            let all = secrets.into_iter().enumerate().map(read);
            Ok(all.filter(|suspect| seen.insert(*suspect.digest.as_bytes())).collect())
        }
        (Some(_), None) => Err(Faults::one("/secrets", format!("expected 1 to {SECRETS_MAX} texts"))),
        (None, Some(text)) if text.is_empty() => Err(Faults::one("/text", "expected a text")),
        (None, Some(text)) => {
            let found = scanner.keys(&text).filter(|(_, key)| seen.insert(*key.digest().as_bytes()));
            let read = |(index, (kind, key)): (usize, (Kind, PlainKey))| Suspect {
                index,
                digest: key.digest(),
                form: Some((kind, key)),
            };
            let found: Vec<Suspect> = found.enumerate().map(read).collect();
            let fits = found.len() <= SECRETS_MAX;
            fits.then_some(found).ok_or_else(|| Faults::one("/text", format!("more than {SECRETS_MAX} keys are in it")))
        }
        (None, None) | (Some(_), Some(_)) => Err(Faults::one("", "expected exactly one of `secrets` and `text`")),
    }
}

/// Looks all of them up and revokes what has to be, in the revision that it returns, if filters must learn of it.
async fn judge_all(
    app: &App,
    actor: Actor,
    suspects: Vec<Suspect>,
    source: Option<String>,
) -> Result<(LeakReport, Option<Revision>), StorageError> {
    let mut read = app.store.read().await?;
    let mut known = HashSet::new();
    for suspect in &suspects {
        if read.view().secret(suspect.digest).await?.is_some() {
            known.insert(suspect.index);
        }
    }
    drop(read);
    let mut items: Vec<LeakItem> = Vec::with_capacity(suspects.len());
    let mut write = None;
    for suspect in suspects {
        let form = suspect.form.as_ref().map(|(kind, key)| (*kind, key.masked()));
        let mut item = LeakItem::unknown(suspect.index, form);
        if known.contains(&suspect.index) {
            if write.is_none() {
                let mut begun = app.store.write(Some(actor)).await?;
                if let Some(source) = &source {
                    begun.set_source(source.clone());
                }
                write = Some(begun);
            }
            if let Some(write) = &mut write {
                judge(write, actor, suspect.digest, &mut item).await?;
            }
        }
        items.push(item);
    }
    let revision = match write {
        Some(write) => write.commit().await?,
        None => None,
    };
    Ok((LeakReport::new(items), revision))
}

/// Says in `item` what the secret with this digest is, and revokes it if it works.
async fn judge(write: &mut Write, actor: Actor, digest: Digest, item: &mut LeakItem) -> Result<(), StorageError> {
    let now = write.now();
    match write.view().secret(digest).await? {
        None => {}
        Some(Found::Key(key, live)) => {
            if actor.handles_key(&key).is_ok() {
                item.tell_key(&key);
            }
            item.outcome = LeakOutcome::AlreadyRevoked;
            if live && !is_over(&key, digest, now) {
                write.revoke_key(&key, Action::LeakReport).await?;
                item.outcome = LeakOutcome::Revoked;
            }
        }
        Some(Found::Token(token, organization)) => {
            if actor.handles_token(&token, organization).is_ok() {
                item.tell_token(&token);
            }
            item.outcome = LeakOutcome::AlreadyRevoked;
            if token.revoked_at.is_none() && token.bootstrap {
                item.rotate_bootstrap();
            } else if token.revoked_at.is_none() {
                write.revoke_token(&token, organization, Action::LeakReport).await?;
                item.outcome = LeakOutcome::Revoked;
            }
        }
        Some(Found::Gateway(gateway)) => {
            if actor.sees_gateways().is_ok() {
                item.tell_gateway(&gateway);
            }
            item.rotate_gateway();
        }
    }
    Ok(())
}

/// Whether this is a key's former secret whose time is over, though nobody has put it away yet.
fn is_over(key: &crate::domain::key::Key, digest: Digest, now: Timestamp) -> bool {
    key.former.as_ref().is_some_and(|former| former.digest == digest && former.ends_at <= now)
}

#[cfg(test)]
mod tests;
