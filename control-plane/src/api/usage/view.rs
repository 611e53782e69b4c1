//! How usage is shown.

use std::collections::BTreeMap;

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::outcome::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cursor;
use crate::domain::actor::Actor;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage_query::{Dimension, Grouping, Subject, Tally};
use crate::storage::{UsagePage, UsageRow};

/// A page of usage.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageList {
    /// When what is shown begins: what was asked for, rounded to what is counted.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// By what it is told apart, in the order in which the items are sorted.
    #[schema(value_type = Vec<String>, example = json!(["key", "day"]))]
    pub group_by: Vec<&'static str>,
    /// Whatever has used nothing has no item.
    pub items: Vec<UsageItem>,
    /// Everything that was asked for, on all pages.
    pub total: Counts,
    /// The cursor of the next page; null if this is the last one. A page may be short, and still have a next one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// What was used in one way. It has the fields by which it is told apart from others, and no others of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageItem {
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "key_0fq3s7m2k9x4b")]
    pub key: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "batch jobs")]
    pub key_name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "pc_ded_Ab…wxyz")]
    pub key_masked: Option<Option<String>>,
    /// The user who issued the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "usr_0fq3s7m2k9x4b")]
    pub user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ada")]
    pub user_name: Option<Option<String>>,
    /// The organization of the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "org_0fq3s7m2k9x4b")]
    pub organization: Option<OrganizationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "acme")]
    pub organization_name: Option<Option<String>>,
    /// The API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "api_0fq3s7m2k9x4b")]
    pub api: Option<ApiId>,
    /// What it is called; null if it has been deleted, or if it is another organization's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "echo")]
    pub api_name: Option<Option<String>>,
    /// When the hour began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub hour: Option<Timestamp>,
    /// When the day began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub day: Option<Timestamp>,
    /// How the requests ended: the class of their status, `unanswered`, or why they were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "2xx")]
    pub outcome: Option<&'static str>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// How much was used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    /// Calls and refused requests together.
    pub requests: u64,
    /// Requests that were let through, whatever came of them.
    pub calls: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// How many requests ended how, without those that are zero. Left out of items that are told apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BTreeMap<String, u64>, required = false, example = json!({"2xx": 41, "rate_limited": 1}))]
    pub outcomes: Option<BTreeMap<&'static str, u64>>,
    /// Bytes of the bodies of requests.
    pub request_bytes: u64,
    /// Bytes of the bodies of responses.
    pub response_bytes: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// Of how many responses the tokens are an estimate: streams that did not say.
    pub estimated: u64,
    /// Of how many responses that could have stated their tokens nothing is known.
    pub unknown: u64,
    /// What the calls cost, in millionths of the deployment's currency, rounded down after summing up.
    pub cost_micros: u64,
}

impl UsageList {
    /// The page as `reader` may know it.
    pub fn new(page: UsagePage, grouping: &Grouping, reader: Actor) -> Self {
        Self {
            from: page.range.from,
            to: page.range.to,
            group_by: grouping.dimensions().into_iter().map(Dimension::name).collect(),
            items: page.rows.iter().map(|row| UsageItem::new(row, &page, grouping, reader)).collect(),
            total: Counts::new(&page.total, true),
            next_cursor: page.next.map(cursor::write),
        }
    }
}

impl UsageItem {
    fn new(row: &UsageRow, page: &UsagePage, grouping: &Grouping, reader: Actor) -> Self {
        let is = |subject| (grouping.subject == Some(subject)).then_some(row.subject);
        let (key, user, organization) = (is(Subject::Key), is(Subject::User), is(Subject::Organization));
        let subject = page.subjects.get(&row.subject);
        let name = subject.map(|subject| subject.name.clone());
        let api_name = |api: ApiId| {
            let known = page.apis.get(&api).filter(|api| reader.sees_someone_of(api.owner));
            known.map(|api| api.name.clone())
        };
        Self {
            key: key.map(KeyId::from_number),
            key_name: key.map(|_| name.clone()),
            key_masked: key.map(|_| subject.and_then(|subject| subject.masked.clone())),
            user: user.map(UserId::from_number),
            user_name: user.map(|_| name.clone()),
            organization: organization.map(OrganizationId::from_number),
            organization_name: organization.map(|_| name.clone()),
            api: row.api,
            api_name: row.api.map(api_name),
            hour: row.start.filter(|_| grouping.bucket == Some(Period::Hour)),
            day: row.start.filter(|_| grouping.bucket == Some(Period::Day)),
            outcome: row.outcome.map(Outcome::label),
            counts: Counts::new(&row.tally, !grouping.outcome),
        }
    }
}

impl Counts {
    fn new(tally: &Tally, with_outcomes: bool) -> Self {
        let outcomes = tally.outcomes().filter(|(_, requests)| *requests > 0);
        let outcomes = outcomes.map(|(outcome, requests)| (outcome.label(), requests)).collect();
        let amounts = tally.amounts;
        Self {
            requests: tally.requests(),
            calls: tally.calls(),
            refused: tally.refused(),
            outcomes: with_outcomes.then_some(outcomes),
            request_bytes: amounts.request_bytes,
            response_bytes: amounts.response_bytes,
            prompt_tokens: amounts.prompt_tokens,
            completion_tokens: amounts.completion_tokens,
            total_tokens: amounts.total_tokens(),
            estimated: amounts.estimated,
            unknown: amounts.unknown,
            cost_micros: amounts.cost_micros(),
        }
    }
}
