//! Instants in milliseconds since the Unix epoch, written as RFC 3339 in UTC: `2026-11-23T08:42:34.5Z`.
//!
//! What is read may carry any offset; what is written ends in `Z`. Both ends are bounded: nothing before 1970
//! and nothing after the year 9999, which is where RFC 3339 ends.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 9999-12-31T23:59:59.999Z.
const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// An instant, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 date and time with offset, such as 2027-01-31T00:00:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// The instant `unix_ms` milliseconds after the Unix epoch; the end of the year 9999 if that is later.
    pub const fn from_unix_ms(unix_ms: u64) -> Self {
        if unix_ms > UNIX_MS_MAX { Self(UNIX_MS_MAX) } else { Self(unix_ms) }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Reads RFC 3339, cutting off what is finer than a millisecond.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let unix_ms = instant.unix_timestamp_nanos().div_euclid(1_000_000);
        let unix_ms = u64::try_from(unix_ms).map_err(|_| TimestampError)?;
        (unix_ms <= UNIX_MS_MAX).then_some(Self(unix_ms)).ok_or(TimestampError)
    }

    /// The instant that lies `duration` after this one, the end of the year 9999 at the latest.
    pub fn after(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// The instant that lies `duration` before this one, 1970 at the earliest.
    pub fn before(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&instant.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_offset_is_read_and_utc_is_written() {
        let cases = [
            ("2026-11-23T08:42:34Z", "2026-11-23T08:42:34Z"),
            ("2026-11-23T10:42:34.5+02:00", "2026-11-23T08:42:34.5Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999Z"),
        ];
        for (read, written) in cases {
            assert_eq!(Timestamp::parse(read).unwrap().to_string(), written);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = [
            "",
            "tomorrow",
            "2026-11-23",
            "2026-11-23T08:42:34",
            "2026-02-30T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "2026-11-23T08:42:34Z ",
            "1790000000",
        ];
        for text in refused {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_survives_its_text(unix_ms in 0..=UNIX_MS_MAX) {
            let instant = Timestamp::from_unix_ms(unix_ms);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
