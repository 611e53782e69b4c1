//! Counters in Envoy's statistics, `portcullis_…`.
//!
//! A host call costs more than the decision that it would count, so counts are gathered here and published once
//! a second. Every name carries its labels (`portcullis_requests_total.outcome.allowed`); the `stats_tags` of
//! envoy.yaml turn them into Prometheus labels.

use portcullis_core::id::ApiId;
use portcullis_core::outcome::Outcome;
use portcullis_core::verdict::Refusal;

use crate::host;

/// The most APIs of which it is counted what observing rules would have refused: Envoy forgets no counter.
const OBSERVED_APIS_MAX: usize = 256;

/// How a poll of the control plane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollResult {
    /// A page was applied.
    Applied,
    /// There was no answer, or none with status 200.
    Failed,
    /// The answer could not be used.
    Rejected,
}

impl PollResult {
    const ALL: [Self; 3] = [Self::Applied, Self::Failed, Self::Rejected];

    const fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// How a report to the control plane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportResult {
    /// It was taken in.
    Counted,
    /// There was no answer, or the control plane could not take it in.
    Failed,
    /// The control plane would not take it in, or its answer could not be used.
    Rejected,
}

impl ReportResult {
    const ALL: [Self; 3] = [Self::Counted, Self::Failed, Self::Rejected];

    const fn label(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// How it became known what tokens a response used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUsage {
    /// The response said so.
    Read,
    /// It was estimated.
    Estimated,
    /// It did not.
    Unknown,
}

impl TokenUsage {
    const ALL: [Self; 3] = [Self::Read, Self::Estimated, Self::Unknown];

    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

/// A counter and what has been added to it since it was published.
#[derive(Debug)]
struct Counter {
    label: &'static str,
    id: Option<u32>,
    pending: u64,
}

/// The counters of one worker.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Vec<Counter>,
    polls: Vec<Counter>,
    /// Of requests that were let pass.
    responses: Vec<Counter>,
    usage: Vec<Counter>,
    tokens: Vec<Counter>,
    reports: Vec<Counter>,
    refused_rows: Option<Counter>,
    /// By API: what observing rules would have refused. There are none before the first.
    observed: Vec<(ApiId, Counter)>,
}

impl Metrics {
    /// Defines all counters, so that each is shown from the start.
    pub fn define() -> Self {
        let outcomes = ["allowed", "exempt"].into_iter().chain(Refusal::ALL.map(|refusal| refusal.row().label));
        let classes = Outcome::ALL.into_iter().filter(|outcome| outcome.is_call());
        Self {
            requests: counters("portcullis_requests_total.outcome", outcomes),
            polls: counters("portcullis_polls_total.result", PollResult::ALL.map(PollResult::label).into_iter()),
            responses: counters("portcullis_responses_total.class", classes.map(Outcome::label)),
            usage: counters("portcullis_token_usage_total.result", TokenUsage::ALL.map(TokenUsage::label).into_iter()),
            tokens: counters("portcullis_tokens_total.type", ["prompt", "completion"].into_iter()),
            reports: counters(
                "portcullis_reports_total.result",
                ReportResult::ALL.map(ReportResult::label).into_iter(),
            ),
            refused_rows: Some(Counter {
                label: "refused",
                id: host::define_counter("portcullis_report_rows_refused_total"),
                pending: 0,
            }),
            observed: Vec::new(),
        }
    }

    /// Counts a request by its outcome: `allowed`, `exempt`, or the label of a refusal.
    pub fn count_request(&mut self, outcome: &'static str) {
        add(&mut self.requests, outcome, 1);
    }

    /// Counts a request that was let pass and is done, by how it ended.
    pub fn count_response(&mut self, outcome: Outcome) {
        add(&mut self.responses, outcome.label(), 1);
    }

    /// Counts a request that a rule of this API would have refused, had it been enforced.
    pub fn count_observed(&mut self, api: ApiId) {
        if let Some((_, counter)) = self.observed.iter_mut().find(|(known, _)| *known == api) {
            counter.add(1);
        } else if self.observed.len() < OBSERVED_APIS_MAX {
            let id = host::define_counter(&format!("portcullis_rate_limit_observed_total.api.{api}"));
            self.observed.push((api, Counter { label: "observed", id, pending: 1 }));
        }
    }

    /// Counts a response from which tokens were to be read.
    pub fn count_token_usage(&mut self, usage: TokenUsage) {
        add(&mut self.usage, usage.label(), 1);
    }

    /// Counts tokens.
    pub fn count_tokens(&mut self, prompt: u64, completion: u64) {
        add(&mut self.tokens, "prompt", prompt);
        add(&mut self.tokens, "completion", completion);
    }

    /// Counts a poll of the control plane.
    pub fn count_poll(&mut self, result: PollResult) {
        add(&mut self.polls, result.label(), 1);
    }

    /// Counts a report to the control plane.
    pub fn count_report(&mut self, result: ReportResult) {
        add(&mut self.reports, result.label(), 1);
    }

    /// Counts rows that the control plane has not counted.
    pub fn count_refused_rows(&mut self, rows: usize) {
        if let Some(counter) = &mut self.refused_rows {
            counter.add(u64::try_from(rows).unwrap_or(u64::MAX));
        }
    }

    /// Hands what has been gathered to Envoy.
    pub fn publish(&mut self) {
        let observed = self.observed.iter_mut().map(|(_, counter)| counter);
        let groups = [
            &mut self.requests,
            &mut self.polls,
            &mut self.responses,
            &mut self.usage,
            &mut self.tokens,
            &mut self.reports,
        ];
        for counter in groups.into_iter().flatten().chain(&mut self.refused_rows).chain(observed) {
            if let (Some(id), 1..) = (counter.id, counter.pending) {
                host::increment(id, counter.pending);
                counter.pending = 0;
            }
        }
    }
}

impl Counter {
    const fn add(&mut self, more: u64) {
        self.pending = self.pending.saturating_add(more);
    }
}

fn counters(name: &str, labels: impl Iterator<Item = &'static str>) -> Vec<Counter> {
    labels.map(|label| Counter { label, id: host::define_counter(&format!("{name}.{label}")), pending: 0 }).collect()
}

fn add(counters: &mut [Counter], label: &'static str, more: u64) {
    if let Some(counter) = counters.iter_mut().find(|counter| counter.label == label) {
        counter.add(more);
    }
}
