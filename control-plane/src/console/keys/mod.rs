//! API Key Management: the keys of both kinds, and what can be done with each.

mod change;
mod delete;
mod expiry;
pub mod fields;
mod issue;
mod issued;
mod list;
mod receipt;
mod reissue;
mod show;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use {
    change::ChangeView, delete::DeleteView, issue::IssueView, issued::IssuedView, list::ListView, receipt::ReceiptView,
    reissue::ReissueView, show::ShowView,
};

use axum::Router;
use axum::routing::get;
use portcullis_core::id::{Id, Named};
use serde::Deserialize;

use super::Console;
use super::client::{Client, Refusal};
use super::failure::Failure;
use super::model::{Api, List};
use crate::api::keys::KindName;

/// Where the list is.
pub const PATH: &str = "/keys";

/// The pages of this section.
pub fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list::show))
        .route("/keys/issue", get(issue::show).post(issue::issue))
        .route("/keys/{id}", get(show::show))
        .route("/keys/{id}/change", get(change::show).post(change::change))
        .route("/keys/{id}/reissue", get(reissue::show).post(reissue::reissue))
        .route("/keys/{id}/delete", get(delete::show).post(delete::delete))
        .route("/receipts/{revision}", get(receipt::show))
        .route("/receipts/{revision}/live", get(receipt::live))
}

/// The tab of a kind, as its name in the query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    /// Keys of shared APIs.
    #[default]
    Serverless,
    /// Keys of an organization's own APIs.
    Dedicated,
}

impl Tab {
    const ALL: [Self; 2] = [Self::Serverless, Self::Dedicated];

    /// Its name in the query and in the admin API.
    const fn name(self) -> &'static str {
        match self {
            Self::Serverless => "serverless",
            Self::Dedicated => "dedicated",
        }
    }

    /// What it is called.
    const fn title(self) -> &'static str {
        match self {
            Self::Serverless => "Serverless",
            Self::Dedicated => "Dedicated",
        }
    }

    /// The tab called so, the first one for any other name.
    fn of(name: &str) -> Self {
        if name == Self::Dedicated.name() { Self::Dedicated } else { Self::Serverless }
    }
}

impl From<KindName> for Tab {
    fn from(kind: KindName) -> Self {
        match kind {
            KindName::Serverless => Self::Serverless,
            KindName::Dedicated => Self::Dedicated,
        }
    }
}

/// The path of a key in the admin API. What is no id names nothing, and never gets into a path.
fn api_path<K: Named>(id: &str) -> Result<String, Failure> {
    let id: Id<K> = id.parse().map_err(|_| Failure::not_found())?;
    Ok(format!("/v1/keys/{id}"))
}

/// The APIs of a kind that keys of `organization` can open; of any, if it is empty.
async fn apis_of(client: &Client, tab: Tab, organization: &str) -> Result<Vec<Api>, Refusal> {
    let all: List<Api> = client.get("/v1/apis", &[]).await?;
    let opens = |api: &Api| {
        let owned = organization.is_empty() || api.organization.as_deref().is_none_or(|owner| owner == organization);
        Tab::from(api.kind) == tab && owned
    };
    Ok(all.items.into_iter().filter(opens).collect())
}
