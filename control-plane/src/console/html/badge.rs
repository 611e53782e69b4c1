//! States in a word, told apart by more than their colour.

use maud::{Markup, html};

use crate::api::keys::StatusName;
use crate::console::model::Key;

/// Whether a key opens anything.
pub fn of_key(key: &Key) -> Markup {
    let (class, text) = match key.status {
        StatusName::Active if key.over_budget => ("warn", "Over budget"),
        StatusName::Active => ("good", "Active"),
        StatusName::Expired => ("warn", "Expired"),
        StatusName::Revoked => ("bad", "Deleted"),
    };
    badge(class, text)
}

/// A word in a colour: `good`, `warn`, `bad` or `plain`.
pub fn badge(class: &str, text: &str) -> Markup {
    html! { span class={ "badge " (class) } { (text) } }
}
