//! The policy editor: rows of rules, and what they say in plain language while one types.
//!
//! A row without a limit is no rule. Two empty rows follow those that there are, up to the most that a policy has; whoever
//! needs more saves and goes on.

use axum::response::IntoResponse;
use maud::{Markup, html};
use portcullis_core::limit::RULES_MAX;
use serde_json::{Value, json};

use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields, Posted};
use crate::console::html::field;
use crate::console::html::money::grouped;
use crate::console::html::policy;
use crate::domain::fault::Faults as DomainFaults;
use crate::domain::rate_limit::{Mode, Per, RateLimit, Rule, Unit};

/// Lengths of a window, in seconds.
const LENGTHS: [(&str, &str); 5] =
    [("1", "seconds"), ("60", "minutes"), ("3600", "hours"), ("86400", "days"), ("604800", "weeks")];
const UNITS: [(&str, &str); 2] = [("requests", "requests"), ("tokens", "tokens")];
const MODES: [(&str, &str); 2] = [("enforce", "Refuse what is over"), ("observe", "Only count what would be over")];
const PERS: [(&str, &str); 3] = [
    ("key", "Each key by itself"),
    ("user", "All keys of a user together"),
    ("organization", "All keys of an organization together"),
];

/// The fields of a policy.
pub fn write(policy: Option<&RateLimit>) -> Vec<(&'static str, String)> {
    let Some(policy) = policy else { return vec![("per", "key".to_owned())] };
    let per = match policy.per {
        Per::Key => "key",
        Per::User => "user",
        Per::Organization => "organization",
    };
    std::iter::once(("per", per.to_owned())).chain(policy.rules.iter().flat_map(write_rule)).collect()
}

fn write_rule(rule: &Rule) -> [(&'static str, String); 6] {
    let seconds = rule.window_seconds;
    let lengths = LENGTHS.iter().rev().filter_map(|(length, _)| length.parse::<u32>().ok());
    let length =
        lengths.filter(|length| seconds.is_multiple_of(*length)).find(|length| seconds >= *length).unwrap_or(1);
    let unit = match rule.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
    };
    let mode = match rule.mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
    };
    [
        ("limit", grouped(rule.limit)),
        ("unit", unit.to_owned()),
        ("windows", (seconds / length).to_string()),
        ("length", length.to_string()),
        ("burst", rule.burst.map(grouped).unwrap_or_default()),
        ("mode", mode.to_owned()),
    ]
}

/// A row as it was typed. Each of its fields is sent once for each row, so the nth of each belong together.
struct Row<'a> {
    limit: &'a str,
    unit: &'a str,
    windows: &'a str,
    length: &'a str,
    burst: &'a str,
    mode: &'a str,
}

fn rows(fields: &Fields) -> Vec<Row<'_>> {
    let nth = |name, index| fields.all(name).nth(index).unwrap_or_default().trim();
    let row = |index| Row {
        limit: nth("limit", index),
        unit: nth("unit", index),
        windows: nth("windows", index),
        length: nth("length", index),
        burst: nth("burst", index),
        mode: nth("mode", index),
    };
    (0..fields.all("limit").count().min(RULES_MAX)).map(row).collect()
}

/// Reads the policy as the admin API takes it; null without any rule. What is wrong is named by the row that it is in.
pub fn read(fields: &Fields) -> Result<Value, Faults> {
    let mut faults = Faults::default();
    let mut rules = Vec::new();
    for row in rows(fields).into_iter().filter(|row| !row.limit.is_empty()) {
        let at = format!("/rate_limit/rules/{}", rules.len());
        let mut number = |name: &str, text: &str| {
            let read = text.replace([',', ' '], "").parse::<u64>();
            read.unwrap_or_else(|_| {
                faults.fields.extend(Faults::one(&format!("{at}/{name}"), format!("{name}: expected a number")).fields);
                0
            })
        };
        let seconds = number("window_seconds", row.windows).saturating_mul(number("window_seconds", row.length));
        let mut rule = json!({"limit": number("limit", row.limit), "unit": row.unit, "mode": row.mode,
                              "window_seconds": u32::try_from(seconds).unwrap_or(u32::MAX)});
        if !row.burst.is_empty() {
            rule["burst"] = json!(number("burst", row.burst));
        }
        rules.push(rule);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(if rules.is_empty() { Value::Null } else { json!({"per": fields.text("per"), "rules": rules}) })
}

/// What the form says, in a sentence.
pub fn say(fields: &Fields) -> String {
    let policy = match read(fields) {
        Ok(Value::Null) => return "No limit.".to_owned(),
        Ok(policy) => serde_json::from_value::<RateLimit>(policy),
        Err(faults) => return wrong(faults.fields.first().map_or("", |fault| fault.detail.as_str())),
    };
    let Ok(policy) = policy else { return wrong("it is not complete") };
    let mut faults = DomainFaults::default();
    policy.check(&mut faults);
    match faults.check() {
        Ok(()) => format!("{}.", policy::sentence(&policy)),
        Err(faults) => wrong(faults.into_vec().first().map_or("", |fault| fault.detail.as_str())),
    }
}

fn wrong(detail: &str) -> String {
    format!("This is no policy yet: {detail}.")
}

/// `POST /apis/preview`: what the form says, for the script to show while one types.
pub async fn preview(Posted { fields, .. }: Posted) -> Result<impl IntoResponse, Failure> {
    Ok(say(&fields))
}

/// The editor.
pub fn render(fields: &Fields, faults: &Faults) -> Markup {
    let rows = rows(fields);
    let filled = rows.iter().filter(|row| !row.limit.is_empty());
    let shown: Vec<&Row<'_>> = filled.collect();
    let count = (shown.len() + 2).min(RULES_MAX);
    html! {
        fieldset .field .rules {
            legend { "Rate limit" }
            p .hint { "Every rule counts. A row without a number is no rule; 0 lets nothing pass." }
            @for index in 0..count { (rule(index, shown.get(index).copied(), faults)) }
            (field::errors("rules", "/rate_limit/rules", &whole(faults)))
            (field::select("per", "What is counted together", &PERS, fields.text("per")))
            p .preview { strong { "This means: " } span data-preview="/apis/preview" role="status" { (say(fields)) } }
            button .secondary .small .no-script type="submit" name="preview" value="yes" formnovalidate { "Show what this means" }
        }
    }
}

/// What is wrong with the list of rules, and not with one of them.
fn whole(faults: &Faults) -> Faults {
    let fields = faults.fields.iter().filter(|fault| fault.pointer == "/rate_limit/rules").cloned().collect();
    Faults { detail: None, fields }
}

fn rule(index: usize, row: Option<&Row<'_>>, faults: &Faults) -> Markup {
    let empty = Row { limit: "", unit: "requests", windows: "1", length: "60", burst: "", mode: "enforce" };
    let row = row.unwrap_or(&empty);
    let number = index + 1;
    let label = |what: &str| format!("{what} of rule {number}");
    html! {
        div .rule role="group" aria-label={ "Rule " (number) } {
            input .amount type="text" inputmode="numeric" name="limit" value=(row.limit) aria-label=(label("Limit"))
                autocomplete="off";
            (options("unit", &label("Unit"), &UNITS, row.unit))
            span { "in" }
            input .short type="text" inputmode="numeric" name="windows" value=(row.windows) autocomplete="off"
                aria-label=(label("Length of the window"));
            (options("length", &label("Unit of the window"), &LENGTHS, row.length))
            span { "bursts of" }
            input .amount type="text" inputmode="numeric" name="burst" value=(row.burst) aria-label=(label("Burst"))
                autocomplete="off" placeholder="as many";
            (options("mode", &label("Mode"), &MODES, row.mode))
            (field::errors(&format!("rule-{index}"), &format!("/rate_limit/rules/{index}"), faults))
        }
    }
}

fn options(name: &str, label: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        select name=(name) aria-label=(label) {
            @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = RateLimit> {
        let rule = (0..5_u64, 1..2_678_400_u32, prop::option::of(0..5_u64), any::<bool>(), any::<bool>()).prop_map(
            |(limit, window_seconds, burst, tokens, observe)| Rule {
                unit: if tokens { Unit::Tokens } else { Unit::Requests },
                limit: limit * 1_234_567,
                window_seconds,
                burst,
                mode: if observe { Mode::Observe } else { Mode::Enforce },
            },
        );
        let per = prop::sample::select(vec![Per::Key, Per::User, Per::Organization]);
        (per, prop::collection::vec(rule, 1..=8)).prop_map(|(per, rules)| RateLimit { per, rules })
    }

    proptest! {
        #[test]
        fn every_policy_survives_the_editor(policy in policy()) {
            let fields = Fields::from_pairs(write(Some(&policy)));
            let read: RateLimit = serde_json::from_value(read(&fields).unwrap()).unwrap();
            prop_assert_eq!(read, policy);
        }
    }

    #[test]
    fn a_form_is_said_in_plain_language_whatever_is_in_it() {
        let say = |form: &str| say(&Fields::parse(form.as_bytes()));
        let row = |limit: &str, burst: &str| {
            format!("per=key&limit={limit}&unit=requests&windows=1&length=60&burst={burst}&mode=enforce")
        };
        assert_eq!(say(&row("60", "10")), "60 requests per minute, bursts of 10, for each key.");
        assert_eq!(say(&row("0", "")), "no requests at all, for each key.");
        assert_eq!(say(&row("", "")), "No limit.");
        assert_eq!(say(&row("many", "")), "This is no policy yet: limit: expected a number.");
        assert_eq!(say("per=x&limit=1&unit=y&windows=1&length=1&mode=z"), "This is no policy yet: it is not complete.");
        assert!(say("per=key&limit=1&unit=requests&windows=99&length=604800&mode=enforce").contains("1 to 2678400"));
    }
}
