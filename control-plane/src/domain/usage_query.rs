//! What can be asked about usage: by what it is grouped, and over which stretch of time.
//!
//! A question is rounded outwards to what is counted: full hours, or days where hours are no longer kept. So an answer
//! says over what time it is; it never leaves out something that was asked for, and never goes beyond this hour.

use std::time::Duration;

use portcullis_core::outcome::Outcome;

use super::cost::full_micros;
use super::period::{Period, Piece, cover};
use super::timestamp::Timestamp;

/// The longest stretch of time that is shown by the hour.
pub const HOURS_RANGE_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The longest stretch of time that is shown by the day.
pub const DAYS_RANGE_MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Something by which usage is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The key.
    Key,
    /// The user who issued the key.
    User,
    /// The organization of the key.
    Organization,
    /// The API.
    Api,
    /// The hour.
    Hour,
    /// The day.
    Day,
    /// How the requests ended.
    Outcome,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 7] =
        [Self::Key, Self::User, Self::Organization, Self::Api, Self::Hour, Self::Day, Self::Outcome];

    /// Its name in a query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Organization => "organization",
            Self::Api => "api",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Outcome => "outcome",
        }
    }
}

/// Whose usage a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// That of a key.
    Key,
    /// That of a user.
    User,
    /// That of an organization.
    Organization,
}

/// By what usage is grouped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Whose usage each row is, if rows are told apart by that.
    pub subject: Option<Subject>,
    /// By which period: hours, days or not at all.
    pub bucket: Option<Period>,
    /// Whether by API.
    pub api: bool,
    /// Whether by outcome.
    pub outcome: bool,
}

/// Why usage cannot be grouped so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {
    /// There is no such dimension.
    #[error("expected key, user, organization, api, hour, day and outcome, with commas between them")]
    Unknown,
    /// A dimension is named twice.
    #[error("name each dimension once")]
    Twice,
    /// Two dimensions do not go together.
    #[error("hour and day exclude each other, and so do key, user and organization")]
    Exclusive,
}

impl Grouping {
    /// Reads the names of dimensions with commas between them. An empty text groups by nothing.
    pub fn parse(text: &str) -> Result<Self, GroupingError> {
        let (mut grouping, mut seen) = (Self::default(), Vec::new());
        for name in text.split(',').filter(|_| !text.is_empty()) {
            let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name);
            let dimension = dimension.ok_or(GroupingError::Unknown)?;
            if seen.contains(&dimension) {
                return Err(GroupingError::Twice);
            }
            seen.push(dimension);
            match dimension {
                Dimension::Key => set(&mut grouping.subject, Subject::Key)?,
                Dimension::User => set(&mut grouping.subject, Subject::User)?,
                Dimension::Organization => set(&mut grouping.subject, Subject::Organization)?,
                Dimension::Hour => set(&mut grouping.bucket, Period::Hour)?,
                Dimension::Day => set(&mut grouping.bucket, Period::Day)?,
                Dimension::Api => grouping.api = true,
                Dimension::Outcome => grouping.outcome = true,
            }
        }
        Ok(grouping)
    }

    /// The dimensions, in the order in which rows are sorted.
    pub fn dimensions(&self) -> Vec<Dimension> {
        let subject = self.subject.map(|subject| match subject {
            Subject::Key => Dimension::Key,
            Subject::User => Dimension::User,
            Subject::Organization => Dimension::Organization,
        });
        let bucket = self.bucket.map(|period| match period {
            Period::Hour => Dimension::Hour,
            Period::Day | Period::Month => Dimension::Day,
        });
        let rest = [self.api.then_some(Dimension::Api), self.outcome.then_some(Dimension::Outcome)];
        [subject, bucket].into_iter().chain(rest).flatten().collect()
    }
}

/// Sets what can be set once.
fn set<T>(place: &mut Option<T>, value: T) -> Result<(), GroupingError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(GroupingError::Exclusive),
    }
}

/// A stretch of time as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    from: Timestamp,
    to: Timestamp,
    /// When it was asked.
    now: Timestamp,
}

/// Why nothing can be said about a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskedError {
    /// It ends before it begins.
    #[error("from: expected an instant that is not after `to`, which is now if it is left out.")]
    Backwards,
    /// It is too long to be shown by the hour or by the day.
    #[error("from: expected at most 31 days by the hour and at most 400 days by the day.")]
    Long,
}

impl Asked {
    /// What was asked at `now`. Left out, `from` is the beginning of this month and `to` is now, with all of this hour.
    pub fn new(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
        bucket: Option<Period>,
    ) -> Result<Self, AskedError> {
        let present = Period::Hour.end(now);
        let to = to.unwrap_or(present);
        let from = from.unwrap_or_else(|| Period::Month.floor(now));
        if from > to {
            return Err(AskedError::Backwards);
        }
        let longest = bucket.map(|period| match period {
            Period::Hour => HOURS_RANGE_MAX,
            Period::Day | Period::Month => DAYS_RANGE_MAX,
        });
        if longest.is_some_and(|longest| to.min(present) > from.after(longest)) {
            return Err(AskedError::Long);
        }
        Ok(Self { from, to, now })
    }

    /// The stretch of time that an answer is about, where hours are kept from `hours_from`, the beginning of a day, on.
    pub fn rounded(self, bucket: Option<Period>, hours_from: Timestamp) -> Range {
        let present = Period::Hour.end(self.now);
        let (from, to) = match bucket {
            Some(Period::Hour) => {
                let from = Period::Hour.floor(self.from).max(hours_from);
                (from, Period::Hour.ceil(self.to).max(from))
            }
            Some(Period::Day | Period::Month) => (Period::Day.floor(self.from), Period::Day.ceil(self.to)),
            None => {
                let by = |instant| if instant < hours_from { Period::Day } else { Period::Hour };
                (by(self.from).floor(self.from), by(self.to).ceil(self.to))
            }
        };
        // An instant covers the period in which it lies.
        let to = if from == to && self.from == self.to { bucket.unwrap_or(Period::Hour).end(from) } else { to };
        let to = to.min(present);
        Range { from: from.min(to), to, present }
    }
}

/// The stretch of time that an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
    /// When this hour ends.
    present: Timestamp,
}

impl Range {
    /// What is read for it. The day and the month that have not ended yet hold no more than it, if it goes up to now:
    /// then they are read as a whole.
    pub fn pieces(self, bucket: Option<Period>) -> Vec<Piece> {
        if self.from >= self.to {
            return Vec::new();
        }
        let is_open = self.to == self.present;
        let last = Timestamp::from_unix_ms(self.to.unix_ms() - 1);
        match bucket {
            Some(Period::Hour) => vec![Piece { period: Period::Hour, from: self.from, to: self.to }],
            Some(Period::Day | Period::Month) => {
                vec![Piece { period: Period::Day, from: self.from, to: Period::Day.ceil(self.to) }]
            }
            None if is_open => cover(self.from, Period::Month.end(last)),
            None => cover(self.from, self.to),
        }
    }
}

/// What was used, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, by outcome in the order of [`Outcome::ALL`].
    requests: [u64; Outcome::ALL.len()],
    /// Everything else that is counted.
    pub amounts: Amounts,
}

/// Everything that is counted but requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Bytes of their bodies.
    pub request_bytes: u64,
    /// Bytes of the bodies of their responses.
    pub response_bytes: u64,
    /// Tokens of callers' input.
    pub prompt_tokens: u64,
    /// Tokens that models wrote.
    pub completion_tokens: u64,
    /// Of how many responses the tokens are an estimate.
    pub estimated: u64,
    /// Of how many responses that could have stated their tokens nothing is known.
    pub unknown: u64,
    /// What it cost, in millionths of a millionth of the currency.
    pub cost_picos: u128,
}

impl Tally {
    /// Adds requests that ended so, and what they used.
    pub fn add(&mut self, outcome: Outcome, requests: u64, amounts: &Amounts) {
        for (place, sum) in Outcome::ALL.into_iter().zip(&mut self.requests) {
            if place == outcome {
                *sum = sum.saturating_add(requests);
            }
        }
        self.amounts.add(amounts);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.requests.iter_mut().zip(other.requests) {
            *sum = sum.saturating_add(more);
        }
        self.amounts.add(&other.amounts);
    }

    /// Each outcome with its requests, in the order of [`Outcome::ALL`].
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.requests)
    }

    /// All requests.
    pub fn requests(&self) -> u64 {
        self.requests_where(|_| true)
    }

    /// Requests that were let through.
    pub fn calls(&self) -> u64 {
        self.requests_where(Outcome::is_call)
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.requests_where(|outcome| !outcome.is_call())
    }

    fn requests_where(&self, counts: impl Fn(Outcome) -> bool) -> u64 {
        let counted = self.outcomes().filter(|(outcome, _)| counts(*outcome)).map(|(_, requests)| requests);
        counted.fold(0, u64::saturating_add)
    }
}

impl Amounts {
    fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.request_bytes, other.request_bytes),
            (&mut self.response_bytes, other.response_bytes),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.estimated, other.estimated),
            (&mut self.unknown, other.unknown),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        self.cost_picos = self.cost_picos.saturating_add(other.cost_picos);
    }

    /// Tokens of input and output together.
    pub const fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// What it cost, in full millionths of the currency.
    pub fn cost_micros(&self) -> u64 {
        full_micros(self.cost_picos)
    }
}

#[cfg(test)]
mod tests;
