//! Keys on which there is advice, in the order of their ids.
//!
//! Active keys are walked batch by batch, each batch with the APIs that its keys have called of late. A page looks at
//! [`WALK_MAX`] keys at most: it may be short, or empty, and still have a next one.

use std::collections::HashMap;

use portcullis_core::api::Access;
use portcullis_core::id::{ApiId, KeyId, OrganizationId};
use portcullis_core::outcome::Outcome;

use super::error::StorageError;
use super::keys_list::{KeyFilter, KeyOrder, KeyPlace, KeySort};
use super::usage_query::slots::{Slot, Source};
use super::usage_query::{Reading, UsageScope};
use super::{Store, View};
use crate::domain::advice::{Advice, Reason, Terms};
use crate::domain::api::Api;
use crate::domain::authority::Sight;
use crate::domain::key::{Key, KeyStatus};
use crate::domain::period::{Period, Piece};
use crate::domain::usage_query::{Grouping, Subject};

/// The most keys that one page looks at.
const WALK_MAX: usize = 2_000;
/// How many keys are looked at together.
const BATCH: u32 = 500;

/// On which keys there is to be advice.
#[derive(Debug, Clone, Copy)]
pub struct AdviceFilter {
    /// Only on those that the caller sees.
    pub sight: Sight,
    /// Only on keys of this organization.
    pub organization: Option<OrganizationId>,
    /// Only for this reason.
    pub reason: Option<Reason>,
    /// What counts as long, and what as soon.
    pub terms: Terms,
}

/// A page of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvicePage {
    /// Keys, each with all advice on it.
    pub keys: Vec<(Key, Vec<Advice>)>,
    /// The key after which the next page begins, if there is one.
    pub next: Option<KeyId>,
}

impl Store {
    /// The first `limit` keys after `after` on which there is advice.
    pub async fn advice(
        &self,
        filter: &AdviceFilter,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<AdvicePage, StorageError> {
        let mut transaction = self.read_consistently().await?;
        let page = View(transaction.session()).advice(filter, after, limit).await?;
        transaction.commit().await?;
        Ok(page)
    }
}

impl View<'_> {
    async fn advice(
        &mut self,
        filter: &AdviceFilter,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<AdvicePage, StorageError> {
        let apis = self.apis().await?;
        let (mut advised, mut walked, mut after) = (Vec::new(), 0, after);
        loop {
            let (keys, more) = self.active_keys(filter, after).await?;
            let mut called = self.called_apis(&keys, &filter.terms).await?;
            let last = keys.last().map(|key| key.id);
            for key in keys {
                walked += 1;
                let id = key.id;
                let called = called.remove(&id).unwrap_or_default();
                let mut advice = filter.terms.advise(&key, &called, &open_to(&key, &apis));
                advice.retain(|advice| filter.reason.is_none_or(|reason| reason == advice.reason));
                if !advice.is_empty() {
                    advised.push((key, advice));
                }
                if (advised.len() >= limit || walked >= WALK_MAX) && (more || last != Some(id)) {
                    return Ok(AdvicePage { keys: advised, next: Some(id) });
                }
            }
            if !more {
                return Ok(AdvicePage { keys: advised, next: None });
            }
            after = last;
        }
    }

    /// A batch of active keys, and whether there are more.
    async fn active_keys(
        &mut self,
        filter: &AdviceFilter,
        after: Option<KeyId>,
    ) -> Result<(Vec<Key>, bool), StorageError> {
        let keys = KeyFilter {
            sight: filter.sight,
            kind: None,
            status: Some(KeyStatus::Active),
            organization: filter.organization,
            created_by: None,
            search: None,
        };
        let after = after.map(KeyPlace::Issued);
        let order = KeyOrder { sort: KeySort::Issued, descending: false, after, limit: BATCH };
        let page = self.keys(&keys, &order, filter.terms.now).await?;
        Ok((page.keys, page.next.is_some()))
    }

    /// The APIs that each of these keys has called of late, sorted.
    async fn called_apis(&mut self, keys: &[Key], terms: &Terms) -> Result<HashMap<KeyId, Vec<ApiId>>, StorageError> {
        let piece = Piece { period: Period::Day, from: terms.used_since(), to: Period::Day.end(terms.now) };
        let reading = Reading { pieces: vec![piece], api: None, kind: None };
        let source = Source::new(UsageScope::Everything, Some(Subject::Key));
        let slots = keys.iter().map(Slot::of_key).collect::<Vec<_>>();
        let grouping = Grouping { subject: Some(Subject::Key), bucket: None, api: true, outcome: true };
        let rows = self.usage_rows(&source, &reading, &slots, &grouping).await?;
        let mut called: HashMap<KeyId, Vec<ApiId>> = HashMap::new();
        for row in rows.into_iter().filter(|row| row.outcome.is_some_and(Outcome::is_call)) {
            let apis = called.entry(KeyId::from_number(row.subject)).or_default();
            // Rows are sorted by API, and there is one for each outcome.
            if apis.last() != row.api.as_ref() {
                apis.extend(row.api);
            }
        }
        Ok(called)
    }
}

/// The APIs of the key's kind and organization, sorted.
fn open_to(key: &Key, apis: &[Api]) -> Vec<ApiId> {
    let opens = |api: &&Api| match api.access {
        Access::Serverless => api.access.kind() == key.kind,
        Access::Dedicated(owner) => api.access.kind() == key.kind && owner == key.organization,
    };
    apis.iter().filter(opens).map(|api| api.id).collect()
}
