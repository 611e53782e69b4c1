//! Clocks that do not agree: each begins somewhere else, and runs a little faster or slower than true time.

use crate::random::Random;

/// True time, in microseconds since the beginning of a run.
pub type Instant = u64;

/// A millisecond, a second, a minute of true time.
pub const MS: Instant = 1_000;
/// A second of true time.
pub const SECOND: Instant = 1_000 * MS;
/// A minute of true time.
pub const MINUTE: Instant = 60 * SECOND;

/// How far a clock's rate may be off, in millionths.
const SKEW_PPM_MAX: i64 = 500;
const MILLION: i128 = 1_000_000;

/// A monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic {
    shown_at_start_us: u64,
    start: Instant,
    ppm: i64,
}

impl Monotonic {
    /// A clock that starts now, and at zero, and keeps the true time but for its skew.
    pub const fn from_zero(start: Instant, random: &mut Random) -> Self {
        let ppm = random.between(0, 2 * SKEW_PPM_MAX as u64) as i64 - SKEW_PPM_MAX;
        Self { shown_at_start_us: 0, start, ppm }
    }

    /// A clock that has been running for anything up to some months.
    pub const fn from_anywhere(start: Instant, random: &mut Random) -> Self {
        let shown_at_start_us = random.below(10_000_000 * SECOND);
        Self { shown_at_start_us, ..Self::from_zero(start, random) }
    }

    /// What it shows, in microseconds.
    pub fn us(&self, now: Instant) -> u64 {
        let elapsed = i128::from(now.saturating_sub(self.start));
        let elapsed = elapsed + elapsed * i128::from(self.ppm) / MILLION;
        self.shown_at_start_us + u64::try_from(elapsed).unwrap_or(0)
    }

    /// What it shows, in whole milliseconds.
    pub fn ms(&self, now: Instant) -> u64 {
        self.us(now) / 1_000
    }

    /// The first instant at which it shows this.
    pub fn when(&self, us: u64) -> Instant {
        let shown = i128::from(us.saturating_sub(self.shown_at_start_us));
        let elapsed = shown * MILLION / (MILLION + i128::from(self.ppm));
        self.start + u64::try_from(elapsed).unwrap_or(0) + 1
    }
}

/// A wall clock, which may be wrong by hours, and is set now and then.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    offset_ms: i64,
}

/// 2027-01-15T08:00:00Z, when every run begins.
const START_MS: i64 = 1_800_000_000_000;
/// How far a wall clock may be off.
const OFF_MS_MAX: u64 = 2 * 3_600_000;

impl Wall {
    /// A clock that is right.
    pub const fn right() -> Self {
        Self { offset_ms: 0 }
    }

    /// Sets it to something else.
    pub const fn set(&mut self, random: &mut Random) {
        self.offset_ms = random.below(2 * OFF_MS_MAX) as i64 - OFF_MS_MAX as i64;
    }

    /// What it shows, in milliseconds since the Unix epoch.
    pub const fn ms(&self, now: Instant) -> u64 {
        (START_MS + self.offset_ms + (now / 1_000) as i64).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_an_instant_when_it_says_so_and_not_before() {
        let mut random = Random::new(7);
        for _ in 0..1_000 {
            let clock = Monotonic::from_anywhere(random.below(MINUTE), &mut random);
            let shown = clock.us(random.below(20 * MINUTE)) + random.below(MINUTE);
            let when = clock.when(shown);
            assert!(clock.us(when) >= shown && clock.us(when.saturating_sub(4)) <= shown);
        }
    }
}
