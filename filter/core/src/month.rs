//! When budgets begin anew: the first instant of a month, in UTC.
//!
//! Of the calendar only that is needed. Days are counted in years that begin with March, so that the odd day of a leap
//! year comes last, and in eras of 400 years, after which the calendar repeats itself (H. Hinnant, "chrono-compatible
//! low-level date algorithms").

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const ERA_DAYS: u64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;
/// How many days the shortest and the longest month have.
const MONTH_DAYS: (u64, u64) = (28, 31);

/// The first millisecond of the month after the one that `now_ms` is in, both since the Unix epoch.
pub fn next_month_ms(now_ms: u64) -> u64 {
    let today = now_ms / DAY_MS;
    let (shortest, longest) = MONTH_DAYS;
    let passed = day_of_month(today);
    let first = |ahead: &u64| day_of_month(today.saturating_add(*ahead)) == 0;
    let mut ahead = shortest.saturating_sub(passed).max(1)..=longest;
    let ahead = ahead.find(first).unwrap_or(longest);
    today.saturating_add(ahead).saturating_mul(DAY_MS)
}

/// How many days of its month have passed on the day that is so many days after 1970-01-01.
fn day_of_month(days: u64) -> u64 {
    let day_of_era = days.saturating_add(EPOCH_DAYS) % ERA_DAYS;
    // The days that a year of 365 would leave over: one in 4 years, but not in 100, but in 400.
    let odd_days = (day_of_era / 1_460).saturating_sub(day_of_era / 36_524).saturating_add(day_of_era / 146_096);
    let year = day_of_era.saturating_sub(odd_days) / 365;
    let days_before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day_of_year = day_of_era.saturating_sub(days_before);
    // From March on, months of 31, 30, 31, 30 and 31 days follow each other, and 153 days make five.
    let month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    day_of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many days each month has, from January on.
    fn lengths(year: u64) -> [u64; 12] {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    }

    #[test]
    fn every_instant_of_five_centuries_is_followed_by_the_first_of_the_next_month() {
        let mut first = 0;
        for days in (1970..2470).flat_map(lengths) {
            let next = first + days;
            for day in first..next {
                for now_ms in [day * DAY_MS, day * DAY_MS + DAY_MS / 2, (day + 1) * DAY_MS - 1] {
                    assert_eq!(next_month_ms(now_ms), next * DAY_MS, "day {day}");
                }
            }
            first = next;
        }
    }

    #[test]
    fn known_instants() {
        // date -u -d 2026-12-01 +%s, and so on.
        for (now, next) in [
            (1_795_593_600, 1_796_083_200), // 2026-11-25 to 2026-12-01
            (1_798_761_599, 1_798_761_600), // the last second of 2026
            (1_835_395_200, 1_835_481_600), // 2028-02-29 to 2028-03-01
            (0, 2_678_400),
        ] {
            assert_eq!(next_month_ms(now * 1_000), next * 1_000);
        }
        // Nothing overflows, whatever comes of it.
        next_month_ms(u64::MAX);
    }
}
