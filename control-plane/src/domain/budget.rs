//! Budgets: how much a key or an organization may use in a calendar month, in UTC.
//!
//! Once a ceiling is reached, the control plane tells the filters to refuse the keys in question, and when the month
//! turns, to let them pass again. What was used between two reports of a worker, and until a stop has arrived, comes on
//! top of the ceiling.

use portcullis_core::limit::AMOUNT_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::Faults;

/// What may be used in a month. At least one ceiling is there; the first that is reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most that calls may cost, in millionths of the deployment's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000_000_000_u64, example = 50_000_000)]
    pub cost_micros: Option<u64>,
    /// The most tokens, of input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub tokens: Option<u64>,
}

/// What has been used in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// What it cost, in full millionths of the currency.
    pub cost_micros: u64,
    /// Tokens, of input and output together.
    pub tokens: u64,
}

impl Budget {
    /// What is wrong with the budget, by field.
    pub fn check(&self, faults: &mut Faults) {
        if self.cost_micros.is_none() && self.tokens.is_none() {
            faults.add("/monthly_budget", "name a ceiling: cost_micros, tokens or both; null for no budget");
        }
        let ceilings = [("/monthly_budget/cost_micros", self.cost_micros), ("/monthly_budget/tokens", self.tokens)];
        for (pointer, ceiling) in ceilings {
            if ceiling.is_some_and(|ceiling| ceiling > AMOUNT_MAX) {
                faults.add(pointer, format!("at most {AMOUNT_MAX}"));
            }
        }
    }

    /// Whether nothing of it is left. Of a ceiling of zero nothing ever is.
    pub fn is_used_up(&self, spent: Spent) -> bool {
        self.cost_micros.is_some_and(|ceiling| spent.cost_micros >= ceiling)
            || self.tokens.is_some_and(|ceiling| spent.tokens >= ceiling)
    }
}
