//! An entry of the audit: who did what to what, and what is different since.

use maud::{Markup, html};
use serde_json::Value;

use super::PATH;
use super::words::{page_of, phrase};
use crate::console::client::link;
use crate::console::html::badge::badge;
use crate::console::html::time::time;
use crate::console::model::AuditEntry;
use crate::domain::audit::Action;
use crate::domain::user::RoleName;

/// The longest value that is shown whole.
const VALUE_CHARACTERS_MAX: usize = 200;

/// A row of the table, for someone of this role.
pub fn row(entry: &AuditEntry, reader: RoleName) -> Markup {
    html! {
        tr {
            td data-label="When" { (time(&entry.at)) }
            td data-label="Who" { (who(entry, reader)) }
            td data-label="What" { div { (phrase(entry.action)) (subject(entry)) (changes(entry)) } }
            td data-label="Outcome" {
                @match entry.status {
                    Some(status) => (badge("bad", &format!("Refused, {status}"))),
                    None => (badge("good", "Done")),
                }
            }
            td data-label="From" {
                @match &entry.origin { Some(origin) => (origin), None => span .quiet { "not recorded" } }
            }
            td .number data-label="Revision" {
                @match entry.revision {
                    Some(revision) => a href={ "/receipts/" (revision) } { (revision) span .sr { ": its receipt" } },
                    None => span .quiet { "none" },
                }
            }
        }
    }
}

/// Who it was, and the way to the rest of what they did. Operators may know of everyone, so nobody is the control plane
/// itself; from others it may be someone of another organization.
fn who(entry: &AuditEntry, reader: RoleName) -> Markup {
    let nobody = match reader {
        RoleName::Operator => "The control plane",
        RoleName::Admin | RoleName::Member => "Outside your organization",
    };
    html! {
        @match (&entry.user, &entry.user_name) {
            (Some(id), name) => a href=(link(PATH, &[("user", id)])) { strong { (name.as_ref().unwrap_or(id)) } },
            (None, Some(name)) => strong { (name) },
            (None, None) => span .quiet { (nobody) },
        }
    }
}

/// What it was done to: its name if the entry says, and the way there.
fn subject(entry: &AuditEntry) -> Markup {
    let name = [&entry.after, &entry.before].into_iter().flatten().find_map(|value| value.get("name")?.as_str());
    html! {
        @if let Some(subject) = entry.subject.as_ref().filter(|_| entry.action != Action::SessionCreate) {
            ": "
            @match page_of(subject).filter(|_| !is_deletion(entry)) {
                Some(page) => a href=(page) { (name.unwrap_or(subject)) },
                None => (name.unwrap_or(subject)),
            }
        }
    }
}

/// Whether nothing is left to look at. Keys keep their page.
fn is_deletion(entry: &AuditEntry) -> bool {
    let deletes = matches!(
        entry.action,
        Action::ApiDelete | Action::OrganizationDelete | Action::GatewayDelete | Action::UserDelete
    );
    deletes && entry.status.is_none()
}

/// What is different, field by field.
fn changes(entry: &AuditEntry) -> Markup {
    let all = differences(entry.before.as_ref(), entry.after.as_ref());
    html! {
        @if !all.is_empty() {
            details {
                summary .quiet { (all.len()) @if all.len() == 1 { " field" } @else { " fields" } }
                dl .changes {
                    @for (field, before, after) in all {
                        div {
                            dt { (field) }
                            dd {
                                @if let Some(before) = before { del { (before) } " " }
                                @if let Some(after) = after { ins { (after) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The fields that are not the same, with what they were and what they are.
fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<(String, Option<String>, Option<String>)> {
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let different = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    different.map(|name| (name.replace('_', " "), before.get(name).map(text), after.get(name).map(text))).collect()
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let mut shown: String = text.chars().take(VALUE_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown() {
        let before = json!({"name": "a", "expires_at": null, "same": 1});
        let after = json!({"name": "b", "expires_at": "2027-01-01T00:00:00Z", "same": 1});
        let own = |text: &str| Some(text.to_owned());
        let all = differences(Some(&before), Some(&after));
        assert_eq!(
            all,
            [
                ("expires at".to_owned(), own("none"), own("2027-01-01T00:00:00Z")),
                ("name".to_owned(), own("a"), own("b"))
            ]
        );
        assert_eq!(differences(None, Some(&json!({"x": true}))), [("x".to_owned(), None, own("true"))]);
        assert!(differences(None, None).is_empty());
        assert_eq!(text(&json!("x".repeat(300))).chars().count(), VALUE_CHARACTERS_MAX + 1);
    }
}
