//! One rule, as a function of time: the generic cell rate algorithm in whole numbers.
//!
//! Time is counted in *ticks* of 1/`limit` nanoseconds, so that a unit takes exactly as many ticks as the window has
//! nanoseconds, whatever the limit: nothing is rounded. A rule's whole state is its theoretical arrival time, [`Tat`]:
//! the tick up to which units have been taken. It lies ahead of now by what has been taken and not come back; a request
//! passes if it would lie ahead by no more than `burst` units afterwards.
//!
//! All functions are total. A sound policy's numbers are far from the ends of 128 bits, and what comes near them saturates.

use super::policy::Rule;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The tick up to which a rule's units have been taken. A rule that nobody has used yet has none behind it: zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tat(pub u128);

impl Rule {
    /// Now, in ticks.
    pub fn ticks(&self, now_ns: u64) -> u128 {
        ticks(self.limit, now_ns)
    }

    /// How many ticks a unit takes.
    pub fn unit_ticks(&self) -> u128 {
        unit_ticks(self.window_seconds)
    }

    /// How far ahead of now units can be taken.
    pub fn burst_ticks(&self) -> u128 {
        u128::from(self.burst).saturating_mul(self.unit_ticks())
    }

    /// Whether anything can ever pass.
    pub const fn lets_any_pass(&self) -> bool {
        self.limit > 0 && self.burst > 0
    }

    /// How many units are there.
    pub fn available(&self, tat: Tat, now_ns: u64) -> u64 {
        if !self.lets_any_pass() {
            return 0;
        }
        let ahead = tat.0.saturating_sub(self.ticks(now_ns));
        let room = self.burst_ticks().saturating_sub(ahead);
        let units = room.checked_div(self.unit_ticks()).unwrap_or(0);
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// How long it takes until one unit is there, in nanoseconds: none if it is there now, `None` if it never will be.
    pub fn wait_ns(&self, tat: Tat, now_ns: u64) -> Option<u64> {
        self.wait_for_ns(1, tat, now_ns)
    }

    /// How long it takes until one unit more is there than the `available` ones, in nanoseconds. `None` if there can be no
    /// more.
    pub fn refill_ns(&self, available: u64, tat: Tat, now_ns: u64) -> Option<u64> {
        self.wait_for_ns(available.saturating_add(1), tat, now_ns)
    }

    /// Takes units, whether they are there or not.
    #[must_use]
    pub fn take(&self, tat: Tat, now_ns: u64, units: u64) -> Tat {
        taken(self.limit, self.window_seconds, tat, now_ns, units)
    }

    fn wait_for_ns(&self, units: u64, tat: Tat, now_ns: u64) -> Option<u64> {
        if !self.lets_any_pass() || units > self.burst {
            return None;
        }
        let wanted = u128::from(units).saturating_mul(self.unit_ticks());
        // The tick from which on so many are there.
        let there_at = tat.0.saturating_add(wanted).saturating_sub(self.burst_ticks());
        let missing = there_at.saturating_sub(self.ticks(now_ns));
        Some(u64::try_from(missing.div_ceil(u128::from(self.limit))).unwrap_or(u64::MAX))
    }
}

/// A state of a rule with this limit and window, after so many units more.
pub fn taken(limit: u64, window_seconds: u32, tat: Tat, now_ns: u64, units: u64) -> Tat {
    let length = u128::from(units).saturating_mul(unit_ticks(window_seconds));
    Tat(tat.0.max(ticks(limit, now_ns)).saturating_add(length))
}

/// A moment in ticks of a rule with this limit.
pub fn ticks(limit: u64, now_ns: u64) -> u128 {
    // Two numbers of 64 bits: it cannot wrap.
    u128::from(limit).wrapping_mul(u128::from(now_ns))
}

/// How many ticks a unit takes of a rule with this window.
pub fn unit_ticks(window_seconds: u32) -> u128 {
    u128::from(u64::from(window_seconds).saturating_mul(NS_PER_SECOND))
}
