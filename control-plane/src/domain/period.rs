//! The periods by which usage is summed up: hours, days and months, in UTC.
//!
//! What lies between two full hours is covered by as few of them as there can be: whole months, the whole days on both
//! sides of them, and the hours that are left at both ends.

use time::{Date, Month, OffsetDateTime};

use super::timestamp::Timestamp;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

impl Period {
    /// Its name, as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the period began in which `instant` lies.
    pub fn floor(self, instant: Timestamp) -> Timestamp {
        let unix_ms = instant.unix_ms();
        match self {
            Self::Hour => Timestamp::from_unix_ms(unix_ms - unix_ms % HOUR_MS),
            Self::Day => Timestamp::from_unix_ms(unix_ms - unix_ms % DAY_MS),
            Self::Month => {
                let date = date_of(instant);
                first_of(date.year(), date.month())
            }
        }
    }

    /// When the period ends in which `instant` lies.
    pub fn end(self, instant: Timestamp) -> Timestamp {
        let start = self.floor(instant).unix_ms();
        match self {
            Self::Hour => Timestamp::from_unix_ms(start + HOUR_MS),
            Self::Day => Timestamp::from_unix_ms(start + DAY_MS),
            Self::Month => {
                let date = date_of(instant);
                let year = date.year() + i32::from(date.month() == Month::December);
                first_of(year, date.month().next())
            }
        }
    }

    /// The first beginning of such a period that is not before `instant`.
    pub fn ceil(self, instant: Timestamp) -> Timestamp {
        if self.floor(instant) == instant { instant } else { self.end(instant) }
    }
}

fn date_of(instant: Timestamp) -> Date {
    let seconds = i64::try_from(instant.unix_ms() / 1_000).unwrap_or(i64::MAX);
    // A timestamp ends with the year 9999, as dates do.
    OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MAX, OffsetDateTime::date)
}

/// The first instant of a month; the last that there is for one after the year 9999.
fn first_of(year: i32, month: Month) -> Timestamp {
    let unix_ms = Date::from_calendar_date(year, month, 1).map_or(u64::MAX, |date| {
        let seconds = date.midnight().assume_utc().unix_timestamp();
        u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000)
    });
    Timestamp::from_unix_ms(unix_ms)
}

/// The periods of one sort that begin in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which periods.
    pub period: Period,
    /// When the first of them begins.
    pub from: Timestamp,
    /// When the last of them ends.
    pub to: Timestamp,
}

/// At most five pieces, in the order of time, that cover exactly what lies between two full hours.
pub fn cover(from: Timestamp, to: Timestamp) -> Vec<Piece> {
    let (first_day, last_day) = (Period::Day.ceil(from), Period::Day.floor(to));
    let edges = if first_day > last_day {
        vec![(Period::Hour, to)]
    } else {
        let (first_month, last_month) = (Period::Month.ceil(first_day), Period::Month.floor(last_day));
        let mut edges = vec![(Period::Hour, first_day)];
        if first_month < last_month {
            edges.extend([(Period::Day, first_month), (Period::Month, last_month)]);
        }
        edges.extend([(Period::Day, last_day), (Period::Hour, to)]);
        edges
    };
    let mut begin = from;
    let pieces = edges.into_iter().map(|(period, end)| {
        let piece = Piece { period, from: begin, to: end };
        begin = end;
        piece
    });
    pieces.filter(|piece| piece.from < piece.to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn covered(from: &str, to: &str) -> Vec<(Period, String, String)> {
        let pieces = cover(at(from), at(to)).into_iter();
        pieces.map(|piece| (piece.period, piece.from.to_string(), piece.to.to_string())).collect()
    }

    #[test]
    fn a_range_is_covered_by_the_longest_periods_that_fit() {
        let piece = |period, from: &str, to: &str| (period, from.to_owned(), to.to_owned());
        let expected = [
            piece(Period::Hour, "2026-11-29T22:00:00Z", "2026-11-30T00:00:00Z"),
            piece(Period::Day, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
            piece(Period::Month, "2026-12-01T00:00:00Z", "2027-03-01T00:00:00Z"),
            piece(Period::Day, "2027-03-01T00:00:00Z", "2027-03-03T00:00:00Z"),
            piece(Period::Hour, "2027-03-03T00:00:00Z", "2027-03-03T01:00:00Z"),
        ];
        assert_eq!(covered("2026-11-29T22:00:00Z", "2027-03-03T01:00:00Z"), expected);
        let month = [piece(Period::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")];
        assert_eq!(covered("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"), month);
        let hours = [piece(Period::Hour, "2028-02-01T01:00:00Z", "2028-02-01T23:00:00Z")];
        assert_eq!(covered("2028-02-01T01:00:00Z", "2028-02-01T23:00:00Z"), hours);
        assert!(covered("2028-02-01T01:00:00Z", "2028-02-01T01:00:00Z").is_empty());
    }

    #[test]
    fn the_last_month_ends_with_the_last_instant() {
        let last = Timestamp::from_unix_ms(u64::MAX);
        assert_eq!(Period::Month.end(last), last);
        assert_eq!(Period::Month.floor(last), at("9999-12-01T00:00:00Z"));
    }

    /// A full hour between 1970 and 2100.
    fn arbitrary_hour() -> impl Strategy<Value = Timestamp> {
        (0..1_139_592_u64).prop_map(|hour| Timestamp::from_unix_ms(hour * HOUR_MS))
    }

    proptest! {
        #[test]
        fn a_period_contains_its_instants(unix_ms in 0..4_102_444_800_000_u64) {
            let instant = Timestamp::from_unix_ms(unix_ms);
            for period in [Period::Hour, Period::Day, Period::Month] {
                let (start, end) = (period.floor(instant), period.end(instant));
                prop_assert!(start <= instant && instant < end);
                prop_assert_eq!((period.floor(start), period.ceil(start), period.floor(end)), (start, start, end));
                let ceil = period.ceil(instant);
                prop_assert!(ceil == end || ceil == instant);
            }
        }

        #[test]
        fn the_pieces_follow_each_other_and_cover_the_range_and_no_more(one in arbitrary_hour(), other in arbitrary_hour()) {
            let (from, to) = (one.min(other), one.max(other));
            let pieces = cover(from, to);
            prop_assert!(pieces.len() <= 5);
            let mut end = from;
            for piece in &pieces {
                prop_assert_eq!(piece.from, end);
                prop_assert!(piece.from < piece.to);
                // Whole periods.
                prop_assert_eq!(piece.period.floor(piece.from), piece.from);
                prop_assert_eq!(piece.period.floor(piece.to), piece.to);
                end = piece.to;
            }
            prop_assert_eq!(end, to);
        }

        #[test]
        fn no_whole_day_is_read_by_the_hour_and_no_whole_month_by_the_day(
            one in arbitrary_hour(), other in arbitrary_hour(),
        ) {
            for piece in cover(one.min(other), one.max(other)) {
                let longer = match piece.period {
                    Period::Hour => Period::Day,
                    Period::Day => Period::Month,
                    Period::Month => continue,
                };
                prop_assert!(longer.end(longer.ceil(piece.from)) > piece.to);
            }
        }
    }
}
