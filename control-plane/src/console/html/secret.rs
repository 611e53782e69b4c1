//! A secret, shown this once, with a button that copies it.

use maud::{Markup, html};

/// The secret in a field that can be selected, and a button that copies it.
pub fn secret(label: &str, secret: &str) -> Markup {
    html! {
        div .secret {
            label for="secret" { (label) }
            div .row {
                input #secret type="text" readonly value=(secret) autocomplete="off" spellcheck="false";
                button type="button" data-copy="secret" hidden { "Copy" }
            }
            p .alert .warn {
                strong { "Save it now. " }
                "It is shown this once and stored nowhere: after you leave this page nobody can show it again."
            }
        }
    }
}

/// Lines to paste somewhere, with a button that copies them.
pub fn snippet(id: &str, title: &str, text: &str) -> Markup {
    html! {
        section .snippet aria-labelledby={ (id) "-title" } {
            div .row {
                h3 id={ (id) "-title" } { (title) }
                button .small type="button" data-copy=(id) hidden { "Copy" span .sr { " " (title) } }
            }
            pre id=(id) tabindex="0" { code { (text) } }
        }
    }
}
