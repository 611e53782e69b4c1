//! `/receipts/{revision}`: how far a change has come; with `/live` at its end, the receipt alone as soon as there is news.

use axum::extract::Path;
use maud::{Markup, html};

use super::PATH;
use crate::console::failure::Failure;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::receipt;
use crate::console::model::Propagation;
use crate::console::session::Session;

/// How long the script waits for news, in milliseconds.
const LIVE_WAIT_MS: &str = "10000";

/// A receipt by itself.
pub struct ReceiptView {
    receipt: Propagation,
}

/// Shows the receipt as it is now.
pub async fn show(session: Session, Path(revision): Path<String>) -> Result<Markup, Failure> {
    let receipt = read(&session, &revision, "").await?;
    Ok(session.frame.page(&ReceiptView { receipt }))
}

/// The receipt alone, once it is complete or some time has passed.
pub async fn live(session: Session, Path(revision): Path<String>) -> Result<Markup, Failure> {
    let current = read(&session, &revision, LIVE_WAIT_MS).await?;
    Ok(receipt::receipt("", &current))
}

async fn read(session: &Session, revision: &str, wait_ms: &str) -> Result<Propagation, Failure> {
    let revision: u64 = revision.parse().map_err(|_| Failure::not_found())?;
    let path = format!("/v1/propagation/{revision}");
    Ok(session.client.get(&path, &[("wait_ms", wait_ms)]).await?)
}

impl View for ReceiptView {
    const SECTION: Section = Section::Keys;

    fn title(&self) -> String {
        format!("Receipt of revision {}", self.receipt.revision)
    }

    fn body(&self, _: &Frame) -> Markup {
        html! {
            h1 { (self.title()) }
            (receipt::receipt("", &self.receipt))
            p { a href=(PATH) { "API Key Management" } }
        }
    }
}

#[cfg(test)]
impl ReceiptView {
    /// Complete, pending, without workers and after a restore.
    pub fn samples(text: &str) -> Vec<Self> {
        Propagation::samples(text).into_iter().map(|receipt| Self { receipt }).collect()
    }
}
