//! When a key ends: a choice of usual times, or an instant.

use std::time::Duration;

use maud::{Markup, html};

use crate::console::forms::{Faults, Fields};
use crate::console::html::field;
use crate::console::html::time::from_local;
use crate::domain::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// In how many days a key ends, and what that is called.
const PRESETS: [(&str, u32, &str); 4] =
    [("7d", 7, "7 days"), ("30d", 30, "30 days"), ("90d", 90, "90 days"), ("365d", 365, "1 year")];
/// What is chosen first: long enough for a quarter, short enough that a forgotten key ends.
pub const DEFAULT: &str = "90d";
/// An instant of one's own.
pub const AT: &str = "at";
/// No end.
const NEVER: &str = "never";
/// The end that the key has.
pub const KEEP: &str = "keep";

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The end that it has.
    Keep,
    /// No end.
    Never,
    /// This one.
    At(Timestamp),
}

impl Chosen {
    /// Reads the fields that [`render`] shows, at the instant `now`.
    pub fn read(fields: &Fields, now: Timestamp) -> Result<Self, Faults> {
        let choice = fields.text("expiry");
        if let Some((_, days, _)) = PRESETS.into_iter().find(|(name, ..)| *name == choice) {
            let end = now.after(DAY * days);
            return Ok(Self::At(Timestamp::from_unix_ms(end.unix_ms() / 1_000 * 1_000)));
        }
        match choice {
            KEEP => Ok(Self::Keep),
            NEVER => Ok(Self::Never),
            AT => from_local(fields.text("expires_at"))
                .map(Self::At)
                .ok_or_else(|| Faults::one("/expires_at", "choose a date and a time")),
            _ => Err(Faults::one("/expires_at", "choose when the key ends")),
        }
    }
}

/// The fields. With `may_keep` the end that the key has is among the choices.
pub fn render(fields: &Fields, faults: &Faults, may_keep: bool) -> Markup {
    let chosen = fields.text("expiry");
    let choice = |value: &str, label: &str| {
        html! {
            label .choice {
                input type="radio" name="expiry" value=(value) checked[chosen == value];
                span { (label) }
            }
        }
    };
    html! {
        fieldset .field aria-describedby="expiry-warning" {
            legend { "Expiry" }
            div .choices {
                @if may_keep { (choice(KEEP, "As it is")) }
                @for (name, _, label) in PRESETS { (choice(name, label)) }
                (choice(NEVER, "Never"))
                (choice(AT, "At a time of your own:"))
                input type="datetime-local" name="expires_at" aria-label="Date and time of the expiry, in UTC"
                    value=(fields.text("expires_at")) data-chooses=(AT);
                span .quiet { "UTC" }
            }
            p .hint #expiry-warning {
                strong { "From then on the key stops working" }
                ": every call with it is refused. You can reissue it with a later expiry."
            }
            (field::errors("expiry", "/expires_at", faults))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_an_instant() {
        let now = Timestamp::from_unix_ms(1_798_761_600_500);
        let read = |form: &str| Chosen::read(&Fields::parse(form.as_bytes()), now);
        let at = |text: &str| Ok(Chosen::At(Timestamp::parse(text).unwrap()));
        assert_eq!(read("expiry=7d"), at("2027-01-08T00:00:00Z"));
        assert_eq!(read("expiry=at&expires_at=2027-02-01T10%3A30"), at("2027-02-01T10:30:00Z"));
        assert_eq!(read("expiry=never&expires_at=2027-02-01T10%3A30"), Ok(Chosen::Never));
        assert_eq!(read("expiry=keep"), Ok(Chosen::Keep));
        for form in ["", "expiry=at", "expiry=at&expires_at=soon", "expiry=1d"] {
            assert!(read(form).is_err(), "{form}");
        }
    }
}
