//! Units that a worker has taken from the shared counter in one step and spends by itself.
//!
//! A lease is a run of slots in the schedule of each rule of a policy. A slot can be spent until its time comes: a slot
//! that is past is no longer a unit taken in advance but one that nobody used, and GCRA gives none of those back. So a
//! lease loses its first slots as time goes on.

use super::gcra::Tat;
use super::policy::{RULES_MAX, Rule};

/// Slots that are left to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// How many.
    pub units: u32,
    /// By rule: where the first of them begins.
    pub starts: [Tat; RULES_MAX],
}

impl Lease {
    /// Drops the slots whose time has come in any rule's schedule.
    pub fn settle(&mut self, rules: &[Rule], now_ns: u64) {
        let past = |(rule, start): (&Rule, &Tat)| {
            match rule.ticks(now_ns).checked_sub(start.0) {
                // Almost always, and a division of 128 bits costs more than all else here.
                None | Some(0) => 0,
                Some(late) => late.div_ceil(rule.unit_ticks().max(1)),
            }
        };
        let past = rules.iter().zip(&self.starts).map(past).max().unwrap_or(0);
        self.drop_first(rules, u32::try_from(past).unwrap_or(u32::MAX));
    }

    /// Spends one unit. False if none is left.
    pub fn spend(&mut self, rules: &[Rule]) -> bool {
        let has_any = self.units > 0;
        self.drop_first(rules, 1);
        has_any
    }

    fn drop_first(&mut self, rules: &[Rule], units: u32) {
        let units = units.min(self.units);
        if units == 0 {
            return;
        }
        self.units = self.units.saturating_sub(units);
        for (rule, start) in rules.iter().zip(&mut self.starts) {
            start.0 = start.0.saturating_add(u128::from(units).saturating_mul(rule.unit_ticks()));
        }
    }
}
