//! A question whose answer cannot be taken back: a button that says what it does, and the way back.

use maud::{Markup, html};

use super::frame::Frame;

/// The form that goes to `action`, with `more` fields. `no` is the way back: what it is called, and where it leads.
pub fn confirm(frame: &Frame, action: &str, more: &Markup, yes: &str, (no, back): (&str, &str)) -> Markup {
    html! {
        form method="post" action=(action) {
            (frame.token())
            (more)
            div .buttons {
                button .danger type="submit" { (yes) }
                a href=(back) { (no) }
            }
        }
    }
}
