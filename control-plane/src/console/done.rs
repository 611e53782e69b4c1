//! What was just done: told on the page to which a form leads, with the receipt where filters have something to learn of it.
//!
//! It travels in the query, so that loading the page again does nothing again, and shows the receipt as it is by then.

use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::client::link;
use super::html::receipt;
use super::model::{Propagation, Written};
use super::session::Session;

/// What was done, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Something was created.
    Created,
    /// Something was changed.
    Saved,
    /// Something was deleted.
    Deleted,
    /// A worker no longer counts.
    Forgotten,
    /// A key that was about to end lives on.
    Extended,
    /// A key that would never have ended does.
    Limited,
    /// A key opens less.
    Confined,
    /// Advice that was to be followed is no longer given.
    Settled,
}

impl Said {
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Saved => "saved",
            Self::Deleted => "deleted",
            Self::Forgotten => "forgotten",
            Self::Extended => "extended",
            Self::Limited => "limited",
            Self::Confined => "confined",
            Self::Settled => "settled",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Created => "Created.",
            Self::Saved => "Saved.",
            Self::Deleted => "Deleted.",
            Self::Forgotten => "Receipts no longer wait for this worker.",
            Self::Extended => "The key now ends a year later.",
            Self::Limited => "The key now ends in a year.",
            Self::Confined => "The key now opens only the APIs that it calls.",
            Self::Settled => "There is no such advice any more, so nothing was changed.",
        }
    }
}

/// What was just done, as a query has it.
#[derive(Debug, Default, Deserialize)]
pub struct Done {
    done: Option<Said>,
    revision: Option<u64>,
}

/// What is told of it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    said: Option<Said>,
    receipt: Option<Propagation>,
}

/// Leads to the page at `path`, which tells what was done.
pub fn lead(path: &str, said: Said, written: &Written) -> Redirect {
    lead_back(path, &[], said, written)
}

/// Leads back to the page at `path` as it was asked for, which tells what was done.
pub fn lead_back(path: &str, query: &[(&str, &str)], said: Said, written: &Written) -> Redirect {
    let revision = written.propagation.as_ref().map(|receipt| receipt.revision.to_string()).unwrap_or_default();
    Redirect::to(&link(path, &[query, &[("done", said.name()), ("revision", &revision)]].concat()))
}

impl Done {
    /// What there is to tell, with the receipt as it is now.
    pub async fn tell(self, session: &Session) -> Told {
        let receipt = match self.revision {
            // A revision that is not there is nobody's to know; the page shows the rest.
            Some(revision) => session.client.get(&format!("/v1/propagation/{revision}"), &[]).await.ok(),
            None => None,
        };
        Told { said: self.done, receipt }
    }
}

impl Told {
    /// The sentence, and the receipt.
    pub fn render(&self) -> Markup {
        let sentence = self.said.map_or("", Said::sentence);
        html! {
            @if let Some(receipt) = &self.receipt { (receipt::receipt(sentence, receipt)) }
            @else if self.said.is_some() { div .alert .good role="status" { strong { (sentence) } } }
        }
    }
}

#[cfg(test)]
impl Told {
    /// With a receipt of each sort, without any, and nothing at all.
    pub fn samples(text: &str) -> Vec<Self> {
        let with = |receipt| Self { said: Some(Said::Saved), receipt: Some(receipt) };
        let without = [Self { said: Some(Said::Forgotten), receipt: None }, Self::default()];
        Propagation::samples(text).into_iter().map(with).chain(without).collect()
    }
}
