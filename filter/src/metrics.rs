//! Counters in Envoy's statistics, `portcullis_…`.
//!
//! A host call costs more than the decision that it would count, so counts are gathered here and published once
//! a second. Every name carries its labels (`portcullis_requests_total.outcome.allowed`); the `stats_tags` of
//! envoy.yaml turn them into Prometheus labels.

use portcullis_core::id::ApiId;
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
    tokens: Vec<Counter>,
    /// By API: what observing rules would have refused. There are none before the first.
    observed: Vec<(ApiId, Counter)>,
}

impl Metrics {
    /// Defines all counters, so that each is shown from the start.
    pub fn define() -> Self {
        let outcomes = ["allowed", "exempt"].into_iter().chain(Refusal::ALL.map(|refusal| refusal.row().label));
        Self {
            requests: counters("portcullis_requests_total.outcome", outcomes),
            polls: counters("portcullis_polls_total.result", PollResult::ALL.map(PollResult::label).into_iter()),
            tokens: counters("portcullis_token_usage_total.result", TokenUsage::ALL.map(TokenUsage::label).into_iter()),
            observed: Vec::new(),
        }
    }

    /// Counts a request by its outcome: `allowed`, `exempt`, or the label of a refusal.
    pub fn count_request(&mut self, outcome: &'static str) {
        add(&mut self.requests, outcome);
    }

    /// Counts a request that a rule of this API would have refused, had it been enforced.
    pub fn count_observed(&mut self, api: ApiId) {
        if let Some((_, counter)) = self.observed.iter_mut().find(|(known, _)| *known == api) {
            counter.pending = counter.pending.saturating_add(1);
        } else if self.observed.len() < OBSERVED_APIS_MAX {
            let id = host::define_counter(&format!("portcullis_rate_limit_observed_total.api.{api}"));
            self.observed.push((api, Counter { label: "observed", id, pending: 1 }));
        }
    }

    /// Counts a response from which tokens were to be read.
    pub fn count_token_usage(&mut self, usage: TokenUsage) {
        add(&mut self.tokens, usage.label());
    }

    /// Counts a poll of the control plane.
    pub fn count_poll(&mut self, result: PollResult) {
        add(&mut self.polls, result.label());
    }

    /// Hands what has been gathered to Envoy.
    pub fn publish(&mut self) {
        let observed = self.observed.iter_mut().map(|(_, counter)| counter);
        for counter in self.requests.iter_mut().chain(&mut self.polls).chain(&mut self.tokens).chain(observed) {
            if let (Some(id), 1..) = (counter.id, counter.pending) {
                host::increment(id, counter.pending);
                counter.pending = 0;
            }
        }
    }
}

fn counters(name: &str, labels: impl Iterator<Item = &'static str>) -> Vec<Counter> {
    labels.map(|label| Counter { label, id: host::define_counter(&format!("{name}.{label}")), pending: 0 }).collect()
}

fn add(counters: &mut [Counter], label: &'static str) {
    if let Some(counter) = counters.iter_mut().find(|counter| counter.label == label) {
        counter.pending = counter.pending.saturating_add(1);
    }
}
