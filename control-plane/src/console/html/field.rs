//! Fields of forms: a label, what it takes, a hint, and what is wrong with it beside it.

use maud::{Markup, html};

use crate::console::forms::{Faults, Fields};

/// A field of one line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Field<'a> {
    /// Its name in the form, which is its id too.
    pub name: &'a str,
    /// What it is called.
    pub label: &'a str,
    /// The kind of input; text if it is empty.
    pub kind: &'a str,
    /// What to know before filling it in.
    pub hint: &'a str,
    /// Whether something must be in it.
    pub is_required: bool,
    /// What the browser may fill in by itself.
    pub autocomplete: &'a str,
    /// The most characters.
    pub characters_max: Option<usize>,
    /// The API's name for it, as a JSON pointer.
    pub pointer: &'a str,
}

impl Field<'_> {
    /// The field, with what was typed and what is wrong with it.
    pub fn render(&self, fields: &Fields, faults: &Faults) -> Markup {
        let value = if self.kind == "password" { "" } else { fields.raw(self.name) };
        let is_wrong = faults.at(self.pointer).next().is_some();
        html! {
            div .field {
                label for=(self.name) { (self.label) @if !self.is_required { span .quiet { " (optional)" } } }
                input id=(self.name) name=(self.name) type=(if self.kind.is_empty() { "text" } else { self.kind })
                    value=[(!value.is_empty()).then_some(value)] required[self.is_required]
                    maxlength=[self.characters_max] autocomplete=(self.autocomplete_or_off())
                    aria-invalid=[is_wrong.then_some("true")] aria-describedby=[self.described_by(is_wrong)];
                @if !self.hint.is_empty() { p .hint id={ (self.name) "-hint" } { (self.hint) } }
                (errors(self.name, self.pointer, faults))
            }
        }
    }

    const fn autocomplete_or_off(&self) -> &str {
        if self.autocomplete.is_empty() { "off" } else { self.autocomplete }
    }

    fn described_by(&self, is_wrong: bool) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = is_wrong.then(|| format!("{}-error", self.name));
        let ids: Vec<String> = hint.into_iter().chain(error).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

/// What is wrong with the field called `name`, which the API calls `pointer`.
pub fn errors(name: &str, pointer: &str, faults: &Faults) -> Markup {
    let mut errors = faults.at(pointer).peekable();
    html! {
        @if errors.peek().is_some() {
            p .error id={ (name) "-error" } {
                @for error in errors { span { (sentence(error)) } " " }
            }
        }
    }
}

/// What is wrong with a form, above it: it as a whole, and how many of its fields.
pub fn summary(faults: &Faults) -> Markup {
    html! {
        @if !faults.is_empty() {
            div .alert .bad role="alert" {
                @match &faults.detail {
                    Some(detail) => (detail),
                    None => { "Nothing was changed: see what is marked below." }
                }
            }
        }
    }
}

/// A choice of one from a list of values with their labels.
pub fn select(name: &str, label: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        div .field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } }
            }
        }
    }
}

/// The API's words as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}
