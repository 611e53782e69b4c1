//! What has been used under one policy, taken over into another.
//!
//! A policy change must take effect at once without handing out a second quota. What a rule's callers have used is a
//! number of units, and that is what is taken over: of 60 a minute of which 60 are used, 100 a minute leave 40. Each new
//! rule takes it from an old rule of the same unit: an equal one, then one of the same window, then of the nearest.
//!
//! A change can use a rule up, but puts nobody into debt: who has used 90,000 a day and may use 1,000 from now on waits
//! for the next of these, not for ninety days. The debt is forgiven, not forgotten: should the limit rise again, what was
//! used before counts (`Meter::whole`).
//!
//! Workers hear of a change one after the other. Until all have, one may turn the meters to its policy and another back
//! again; nothing is lost by it, because debts are kept, and because meters that a policy has no rule for stay and count on
//! for a window of theirs, or until their units have come back.

use super::counters::{METERS_MAX, Meter};
use super::gcra::{Tat, ticks};
use super::policy::Rule;

/// The meters of these rules, in their order, and behind them those that have no rule any more: from the meters of the
/// rules before, and those that had none already.
pub fn carry(own: &[Meter], left: &[Meter], rules: &[Rule], now_ns: u64) -> Vec<Meter> {
    let left = left.iter().filter(|meter| !meter.is_over(now_ns));
    let old = own.iter().chain(left).copied().collect::<Vec<_>>();
    let mut is_taken = vec![false; old.len()];
    let mut sources: Vec<Option<usize>> = vec![None; rules.len()];
    // Equal rules find each other first, so that a rule which only moved is not taken for another.
    let likenesses: [fn(&Meter, &Rule) -> bool; 2] = [Meter::is_of, is_of_window];
    for is_like in likenesses {
        for (source, rule) in sources.iter_mut().zip(rules).filter(|(source, _)| source.is_none()) {
            let mut candidates = old.iter().zip(&mut is_taken).enumerate();
            let found = candidates.find(|(_, (meter, is_taken))| !**is_taken && is_like(meter, rule));
            if let Some((place, (_, is_taken))) = found {
                *is_taken = true;
                *source = Some(place);
            }
        }
    }
    let of_rule = |(rule, source): (&Rule, &Option<usize>)| match source.and_then(|place| old.get(place)) {
        Some(meter) if meter.is_of(rule) && *source < Some(own.len()) => *meter,
        Some(meter) => turned(meter, rule, now_ns),
        None => nearest(&old, rule)
            .map_or_else(|| Meter::new(rule, Tat::default(), Tat::default()), |meter| turned(meter, rule, now_ns)),
    };
    let mut meters = rules.iter().zip(&sources).map(of_rule).collect::<Vec<_>>();
    let leaving =
        old.iter().zip(&is_taken).enumerate().filter(|(_, (meter, is_taken))| !**is_taken && !meter.is_spent(now_ns));
    let leaving = leaving.map(|(place, (meter, _))| if place < own.len() { meter.left(now_ns) } else { *meter });
    meters.extend(leaving.take(METERS_MAX.saturating_sub(rules.len())));
    meters
}

fn is_of_window(meter: &Meter, rule: &Rule) -> bool {
    meter.unit == rule.unit && meter.window_seconds == rule.window_seconds
}

/// Of the meters that count the same, the one whose window is nearest in proportion.
fn nearest<'m>(old: &'m [Meter], rule: &Rule) -> Option<&'m Meter> {
    let proportion = |meter: &&Meter| {
        let longer = u64::from(meter.window_seconds.max(rule.window_seconds));
        let shorter = u64::from(meter.window_seconds.min(rule.window_seconds)).max(1);
        longer.saturating_mul(1_000).checked_div(shorter)
    };
    old.iter().filter(|meter| meter.unit == rule.unit).min_by_key(proportion)
}

/// A meter's units, as this rule counts them.
fn turned(meter: &Meter, rule: &Rule, now_ns: u64) -> Meter {
    let used = meter.whole.0.saturating_sub(ticks(meter.limit, now_ns));
    // A unit has as many ticks as its window has nanoseconds.
    let used = if meter.window_seconds == rule.window_seconds {
        used
    } else {
        let scaled = used.saturating_mul(u128::from(rule.window_seconds));
        scaled.div_ceil(u128::from(meter.window_seconds.max(1))).min(rule.burst_ticks())
    };
    let at = |used: u128| Tat(rule.ticks(now_ns).saturating_add(used));
    Meter::new(rule, at(used.min(rule.burst_ticks())), at(used))
}
