//! The policy editor: rows of rules, and what they say in plain language while one types.
//!
//! A row without a limit is no rule. Two empty rows follow those that there are, up to the most that a policy has; whoever
//! needs more saves and goes on.

use maud::{Markup, html};
use portcullis_core::limit::{RULES_MAX, WINDOW_SECONDS_MAX};
use serde_json::{Value, json};

use crate::console::client::FieldFault;
use crate::console::forms::{Faults, Fields, Posted};
use crate::console::html::field;
use crate::console::html::money::{NO_NUMBER, grouped, ungrouped};
use crate::console::html::policy;
use crate::domain::fault::Faults as DomainFaults;
use crate::domain::rate_limit::{Mode, Per, RateLimit, Rule, Unit};

/// Where the rules are in what the API takes.
const RULES: &str = "/rate_limit/rules";
/// The fields of a rule that can be wrong: their names in the admin API, and what they are called.
const PARTS: [(&str, &str); 3] = [("limit", "limit"), ("window_seconds", "window"), ("burst", "burst")];
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
        let at = format!("{RULES}/{}", rules.len());
        let mut take = |name: &str, read: Result<u64, String>| {
            read.unwrap_or_else(|detail| {
                faults.add(&format!("{at}/{name}"), detail);
                0
            })
        };
        let mut rule = json!({"limit": take("limit", number(row.limit)), "unit": row.unit, "mode": row.mode,
                              "window_seconds": take("window_seconds", window(&row))});
        if !row.burst.is_empty() {
            rule["burst"] = json!(take("burst", number(row.burst)));
        }
        rules.push(rule);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(if rules.is_empty() { Value::Null } else { json!({"per": fields.text("per"), "rules": rules}) })
}

fn number(text: &str) -> Result<u64, String> {
    ungrouped(text).ok_or_else(|| NO_NUMBER.to_owned())
}

/// The window of a row in seconds. What the API would refuse is refused here, in the units that a person thinks in.
fn window(row: &Row<'_>) -> Result<u64, String> {
    let seconds = number(row.windows)?.saturating_mul(number(row.length)?);
    if (1..=u64::from(WINDOW_SECONDS_MAX)).contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("expected 1 second to {} days", WINDOW_SECONDS_MAX / 86_400))
}

/// What the form says, in a sentence.
pub fn say(fields: &Fields) -> String {
    let policy = match read(fields) {
        Ok(Value::Null) => return "No limit.".to_owned(),
        Ok(policy) => serde_json::from_value::<RateLimit>(policy),
        Err(faults) => return wrong(fields, faults.fields.first()),
    };
    let Ok(policy) = policy else { return wrong(fields, None) };
    let mut faults = DomainFaults::default();
    policy.check(&mut faults);
    match faults.check() {
        Ok(()) => format!("{}.", policy::sentence(&policy)),
        Err(faults) => {
            let found = faults.into_vec().into_iter().next();
            wrong(fields, found.map(|fault| FieldFault { pointer: fault.pointer, detail: fault.detail }).as_ref())
        }
    }
}

/// What is wrong, by the row that it is in as the viewer counts them: the empty ones included.
fn wrong(fields: &Fields, fault: Option<&FieldFault>) -> String {
    let Some(fault) = fault else { return "This is no policy yet: it is not complete.".to_owned() };
    let rows = rows(fields).into_iter().enumerate().filter(|(_, row)| !row.limit.is_empty());
    let numbers: Vec<usize> = rows.map(|(index, _)| index + 1).collect();
    let number = |index: usize| numbers.get(index).copied().unwrap_or(index + 1);
    let rule = index_in(&fault.pointer).map(|index| format!("rule {}, ", number(index))).unwrap_or_default();
    format!("This is no policy yet: {rule}{}.", explain(fault, number))
}

/// The index of the rule that a pointer leads to or into.
fn index_in(pointer: &str) -> Option<usize> {
    pointer.strip_prefix(RULES)?.strip_prefix('/')?.split('/').next()?.parse().ok()
}

/// What is wrong with a rule, with its parts and the other rules called as the form calls them.
fn explain(fault: &FieldFault, number: impl Fn(usize) -> usize) -> String {
    let part = fault.pointer.rsplit('/').next().unwrap_or_default();
    if let Some((_, called)) = PARTS.iter().find(|(name, _)| *name == part) {
        return format!("{called}: {}", fault.detail);
    }
    let twin = fault.detail.find(RULES).and_then(|start| fault.detail.split_at_checked(start));
    match twin.and_then(|(before, pointer)| Some((before, index_in(pointer)?))) {
        Some((before, index)) => format!("{before}rule {}", number(index)),
        None => fault.detail.clone(),
    }
}

/// `POST /apis/preview`: what the form says, for the script to show while one types.
pub async fn preview(Posted { fields, .. }: Posted) -> String {
    say(&fields)
}

/// The button that shows what the form says, for who has no script. It stands behind the one that sends the form, which
/// the Enter key then means.
pub fn preview_button() -> Markup {
    html! {
        button .secondary .no-script type="submit" name="preview" value="yes" formnovalidate { "Show what this means" }
    }
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
            (field::errors("rules", RULES, &whole(faults)))
            (field::select("per", "What is counted together", &PERS, fields.text("per")))
            p .preview { strong { "This means: " } span data-preview="/apis/preview" role="status" { (say(fields)) } }
        }
    }
}

/// What is wrong with the list of rules, and not with one of them.
fn whole(faults: &Faults) -> Faults {
    let fields = faults.fields.iter().filter(|fault| fault.pointer == RULES).cloned().collect();
    Faults { detail: None, fields }
}

/// What is wrong with the rule at `at`, in the words of the form, whose rows are in the order of the rules.
fn explained(at: &str, faults: &Faults) -> Faults {
    let explain =
        |fault: &FieldFault| FieldFault { detail: explain(fault, |index| index + 1), pointer: fault.pointer.clone() };
    let is_within = |fault: &&FieldFault| {
        fault.pointer.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    Faults { detail: None, fields: faults.fields.iter().filter(is_within).map(explain).collect() }
}

fn rule(index: usize, row: Option<&Row<'_>>, faults: &Faults) -> Markup {
    let empty = Row { limit: "", unit: "requests", windows: "1", length: "60", burst: "", mode: "enforce" };
    let row = row.unwrap_or(&empty);
    let number = index + 1;
    let label = |what: &str| format!("{what} of rule {number}");
    let (at, name) = (format!("{RULES}/{index}"), format!("rule-{index}"));
    let explained = explained(&at, faults);
    let invalid = |part: &str| faults.at(&format!("{at}/{part}")).next().map(|_| "true");
    let described = |part: &str| invalid(part).map(|_| format!("{name}-error"));
    html! {
        div .rule role="group" aria-label={ "Rule " (number) } {
            input .amount type="text" inputmode="numeric" name="limit" value=(row.limit) aria-label=(label("Limit"))
                autocomplete="off" aria-invalid=[invalid("limit")] aria-describedby=[described("limit")];
            (options("unit", &label("Unit"), &UNITS, row.unit))
            span { "in" }
            input .short type="text" inputmode="numeric" name="windows" value=(row.windows) autocomplete="off"
                aria-label=(label("Length of the window")) aria-invalid=[invalid("window_seconds")]
                aria-describedby=[described("window_seconds")];
            (options("length", &label("Unit of the window"), &LENGTHS, row.length))
            span { "bursts of" }
            input .amount type="text" inputmode="numeric" name="burst" value=(row.burst) aria-label=(label("Burst"))
                autocomplete="off" placeholder="as many" aria-invalid=[invalid("burst")]
                aria-describedby=[described("burst")];
            (options("mode", &label("Mode"), &MODES, row.mode))
            (field::errors(&name, &at, &explained))
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
        assert_eq!(
            say(&row("many", "")),
            "This is no policy yet: rule 1, limit: expected a whole number such as 1,000."
        );
        assert_eq!(say("per=x&limit=1&unit=y&windows=1&length=1&mode=z"), "This is no policy yet: it is not complete.");
        assert_eq!(
            say("per=key&limit=1&unit=requests&windows=99&length=604800&mode=enforce"),
            "This is no policy yet: rule 1, window: expected 1 second to 31 days."
        );
        // Rows are counted as they are seen, the empty ones too.
        let rows = ["", "5", "5"].map(|limit| row(limit, "")).join("&");
        assert_eq!(say(&rows), "This is no policy yet: rule 3, it says the same as rule 2.");
    }
}
