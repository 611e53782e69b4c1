//! What is asked about usage: over which time, by what, and of whom. It is all in the address, so that it can be kept and
//! sent to somebody.

use std::time::Duration;

use serde::Deserialize;

use crate::console::client::{FieldFault, link};
use crate::console::forms::Faults;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage_query::DAYS_RANGE_MAX;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// By what usage is told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    #[default]
    Key,
    User,
    Api,
    Organization,
    /// By nothing but time.
    Day,
}

impl By {
    /// Its name in the query and in the admin API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Api => "api",
            Self::Organization => "organization",
            Self::Day => "day",
        }
    }

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Key => "By key",
            Self::User => "By user",
            Self::Api => "By API",
            Self::Organization => "By organization",
            Self::Day => "Over time alone",
        }
    }
}

/// Over which time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Span {
    #[serde(rename = "24h")]
    Hours,
    #[serde(rename = "7d")]
    Week,
    #[default]
    #[serde(rename = "30d")]
    Days,
    #[serde(rename = "month")]
    Month,
    /// From one day to another.
    #[serde(rename = "custom")]
    Custom,
}

impl Span {
    /// Those that take no dates.
    pub const PRESETS: [Self; 4] = [Self::Hours, Self::Week, Self::Days, Self::Month];

    /// Its name in the query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hours => "24h",
            Self::Week => "7d",
            Self::Days => "30d",
            Self::Month => "month",
            Self::Custom => "custom",
        }
    }

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Hours => "24 hours",
            Self::Week => "7 days",
            Self::Days => "30 days",
            Self::Month => "This month",
            Self::Custom => "Other days",
        }
    }
}

/// What a chart shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    #[default]
    Calls,
    Tokens,
    Cost,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Tokens, Self::Cost];

    /// Its name in the query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Calls => "Calls",
            Self::Tokens => "Tokens",
            Self::Cost => "Cost",
        }
    }
}

/// The question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Question {
    pub by: By,
    pub range: Span,
    pub show: Measure,
    /// The first and the last day, where the range is one's own.
    pub from: String,
    pub to: String,
    pub key: String,
    pub user: String,
    pub api: String,
    pub cursor: String,
}

impl Question {
    /// The address of the same question with something else in one place, from its first page on.
    pub fn link(&self, path: &str, changed: (&str, &str)) -> String {
        let now = [
            ("by", self.by.name()),
            ("range", self.range.name()),
            ("show", self.show.name()),
            ("from", &self.from),
            ("to", &self.to),
            ("key", &self.key),
            ("user", &self.user),
            ("api", &self.api),
        ];
        let kept = now.into_iter().map(|(name, value)| if name == changed.0 { changed } else { (name, value) });
        let mut query: Vec<(&str, &str)> = kept.collect();
        if changed.0 == "cursor" {
            query.push(changed);
        }
        link(path, &query)
    }

    /// Whether the time is shown by the hour.
    pub fn bucket(&self) -> Period {
        if self.range == Span::Hours { Period::Hour } else { Period::Day }
    }

    /// The bounds of the time for the admin API; without a second one it goes up to now.
    pub fn bounds(&self, now: Timestamp) -> Result<(String, String), Faults> {
        let from_day = |days: u32| Period::Day.floor(now.before(DAY * days)).to_string();
        Ok(match self.range {
            Span::Hours => (Period::Hour.floor(now.before(DAY)).to_string(), String::new()),
            Span::Week => (from_day(6), String::new()),
            Span::Days => (from_day(29), String::new()),
            Span::Month => (Period::Month.floor(now).to_string(), String::new()),
            Span::Custom => self.own_days(now)?,
        })
    }

    /// The bounds where the days are one's own, or what is wrong with them.
    fn own_days(&self, now: Timestamp) -> Result<(String, String), Faults> {
        let (first, last) = match (date("/from", &self.from), date("/to", &self.to)) {
            (Ok(first), Ok(last)) => (first, last),
            (first, last) => {
                let fields = [first.err(), last.err()].into_iter().flatten().collect();
                return Err(Faults { detail: None, fields });
            }
        };
        let end = last.after(DAY);
        if last < first {
            return Err(Faults::one("/to", "This is before the first day"));
        }
        // As the admin API has it, for which what is to come does not count.
        if end.min(Period::Hour.end(now)) > first.after(DAYS_RANGE_MAX) {
            return Err(Faults::one("/from", "At most 400 days are shown together"));
        }
        Ok((first.to_string(), end.to_string()))
    }
}

/// The beginning of a day that was typed as `2027-01-31`.
fn date(pointer: &str, text: &str) -> Result<Timestamp, FieldFault> {
    let read = Timestamp::parse(&format!("{text}T00:00:00Z"));
    read.map_err(|_| FieldFault { pointer: pointer.to_owned(), detail: "Expected a day like 2027-01-31".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_whole_days_in_utc_and_ends_now() {
        let now = Timestamp::parse("2027-03-15T12:34:56Z").unwrap();
        let bounds = |range| Question { range, ..Question::default() }.bounds(now).unwrap().0;
        assert_eq!(bounds(Span::Hours), "2027-03-14T12:00:00Z");
        assert_eq!(bounds(Span::Week), "2027-03-09T00:00:00Z");
        assert_eq!(bounds(Span::Days), "2027-02-14T00:00:00Z");
        assert_eq!(bounds(Span::Month), "2027-03-01T00:00:00Z");
        let custom = |from: &str, to: &str| {
            Question { range: Span::Custom, from: from.to_owned(), to: to.to_owned(), ..Question::default() }
                .bounds(now)
        };
        let days = ("2027-01-31T00:00:00Z".to_owned(), "2027-02-02T00:00:00Z".to_owned());
        assert_eq!(custom("2027-01-31", "2027-02-01").unwrap(), days);
        let wrong = |from: &str, to: &str| -> Vec<String> {
            custom(from, to).unwrap_err().fields.into_iter().map(|fault| fault.pointer).collect()
        };
        assert_eq!(wrong("", "tomorrow"), ["/from", "/to"]);
        assert_eq!(wrong("2027-02-30", "2027-03-01"), ["/from"]);
        assert_eq!(wrong("2027-03-02", "2027-03-01"), ["/to"]);
        assert_eq!(wrong("2026-02-07", "2027-03-15"), ["/from"]);
        assert!(custom("2026-02-09", "9999-12-31").is_ok() && custom("2026-02-08", "2027-03-14").is_ok());
    }

    #[test]
    fn an_address_keeps_all_but_what_is_changed() {
        let question = Question { key: "key_1".to_owned(), cursor: "c".to_owned(), ..Question::default() };
        assert_eq!(question.link("/usage", ("show", "cost")), "/usage?by=key&range=30d&show=cost&key=key_1");
        assert!(question.link("/usage", ("cursor", "d")).ends_with("&cursor=d"));
    }
}
