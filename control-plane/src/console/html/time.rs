//! Instants: in UTC as they are sent, in the viewer's zone once the script has run, and in UTC when pointed at.

use maud::{Markup, html};

use crate::domain::timestamp::Timestamp;

/// An instant of the admin API.
pub fn time(instant: &str) -> Markup {
    let shown = shown(instant);
    html! { time datetime=(instant) title={ (shown) " UTC" } { (shown) " UTC" } }
}

/// The day of an instant, where there is no room for more; pointed at it says the rest.
pub fn day(instant: &str) -> Markup {
    let shown = shown(instant);
    let day = shown.split(' ').next().unwrap_or_default();
    html! { time datetime=(instant) title={ (shown) " UTC" } data-day { (day) } }
}

/// The day of an instant, or what to say if there is none.
pub fn day_or(instant: Option<&String>, none: &str) -> Markup {
    html! {
        @match instant {
            Some(instant) => (day(instant)),
            None => span .quiet { (none) },
        }
    }
}

/// An instant, or what to say if there is none.
pub fn time_or(instant: Option<&String>, none: &str) -> Markup {
    html! {
        @match instant {
            Some(instant) => (time(instant)),
            None => span .quiet { (none) },
        }
    }
}

/// RFC 3339 without what nobody reads: `2026-11-28 08:13`.
fn shown(instant: &str) -> String {
    let Some((date, rest)) = instant.split_once('T') else { return instant.to_owned() };
    let clock: String = rest.chars().take(5).collect();
    format!("{date} {clock}")
}

/// An instant as a form has it, `2026-11-28T08:13`, in UTC.
pub fn local(instant: &str) -> String {
    instant.chars().take(16).collect()
}

/// Reads what [`local`] writes.
pub fn from_local(text: &str) -> Option<Timestamp> {
    let full = if text.len() == 16 { format!("{text}:00Z") } else { format!("{text}Z") };
    Timestamp::parse(&full).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_in_utc_and_survives_a_form() {
        assert_eq!(shown("2026-11-28T08:13:24.5Z"), "2026-11-28 08:13");
        assert_eq!(from_local(&local("2026-11-28T08:13:24Z")).unwrap().to_string(), "2026-11-28T08:13:00Z");
        assert_eq!(from_local("2026-11-28T08:13:24").unwrap().to_string(), "2026-11-28T08:13:24Z");
        assert_eq!(from_local("tomorrow"), None);
    }
}
