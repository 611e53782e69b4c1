//! The fields of an API but its policy, and what they come to in the admin API.

use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::client::FieldFault;
use crate::console::forms::{Faults, Fields};
use crate::console::html::field::{self, Field};
use crate::console::html::money::{NO_AMOUNT, from_micros, to_micros};
use crate::console::model::Api;

/// Where the hosts are in what the API takes.
const HOSTS: &str = "/match/hosts";
/// The prices: their names in the form, in the admin API, and what they are called.
const PRICES: [(&str, &str, &str); 3] = [
    ("price_call", "per_call_micros", "Price of a call"),
    ("price_input", "per_million_input_tokens_micros", "Price of a million input tokens"),
    ("price_output", "per_million_output_tokens_micros", "Price of a million output tokens"),
];

/// What a form begins with for an API that is there.
pub fn write(api: &Api) -> Vec<(&'static str, String)> {
    let ticked = |is: bool| if is { "yes".to_owned() } else { String::new() };
    let price = |amount: fn(&crate::domain::api::Price) -> u64| {
        api.price.as_ref().map(amount).filter(|amount| *amount > 0).map(from_micros).unwrap_or_default()
    };
    vec![
        ("name", api.name.clone()),
        ("hosts", api.route.hosts.as_deref().unwrap_or_default().join("\n")),
        ("path_prefix", api.route.path_prefix.clone()),
        ("price_call", price(|price| price.per_call_micros)),
        ("price_input", price(|price| price.per_million_input_tokens_micros)),
        ("price_output", price(|price| price.per_million_output_tokens_micros)),
        ("count_tokens", ticked(api.count_tokens)),
        ("forward_credential", ticked(api.forward_credential)),
    ]
}

/// Reads them.
pub fn read(fields: &Fields) -> Result<Value, Faults> {
    let hosts = hosts(fields);
    let hosts = if hosts.is_empty() { Value::Null } else { json!(hosts) };
    Ok(json!({
        "name": fields.text("name"),
        "match": {"hosts": hosts, "path_prefix": fields.text("path_prefix")},
        "price": read_price(fields)?,
        "count_tokens": fields.is_ticked("count_tokens"),
        "forward_credential": fields.is_ticked("forward_credential"),
    }))
}

/// The hosts as they were typed: one on each line, or with commas between them.
fn hosts(fields: &Fields) -> Vec<&str> {
    let parts = fields.text("hosts").split(|character: char| character == ',' || character.is_whitespace());
    parts.filter(|host| !host.is_empty()).collect()
}

fn read_price(fields: &Fields) -> Result<Value, Faults> {
    let mut faults = Faults::default();
    let mut price = serde_json::Map::new();
    for (field, name, _) in PRICES {
        let Some(text) = fields.given(field) else { continue };
        match to_micros(text) {
            Some(micros) => {
                price.insert(name.to_owned(), json!(micros));
            }
            None => faults.add(&format!("/price/{name}"), NO_AMOUNT),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    // Nothing but zeros is no price.
    let is_free = price.values().all(|amount| amount.as_u64() == Some(0));
    Ok(if is_free { Value::Null } else { Value::Object(price) })
}

/// The name.
pub fn name(fields: &Fields, faults: &Faults) -> Markup {
    Field {
        name: "name",
        label: "Name",
        is_required: true,
        characters_max: Some(100),
        pointer: "/name",
        ..Field::default()
    }
    .render(fields, faults)
}

/// Hosts and path.
pub fn place(fields: &Fields, faults: &Faults) -> Markup {
    let prefix = Field {
        name: "path_prefix",
        label: "Path",
        hint: "Whole segments: /v1 covers /v1 and /v1/models, not /v10.",
        is_required: true,
        pointer: "/match/path_prefix",
        ..Field::default()
    };
    let wrong = wrong_hosts(fields, faults);
    let described = if wrong.is_empty() { "hosts-hint" } else { "hosts-hint hosts-error" };
    html! {
        (prefix.render(fields, faults))
        div .field {
            label for="hosts" { "Hosts" span .quiet { " (optional)" } }
            textarea #hosts name="hosts" rows="2" aria-invalid=[(!wrong.is_empty()).then_some("true")]
                aria-describedby=(described) { (fields.raw("hosts")) }
            p .hint #hosts-hint { "One on each line, without port: models.example.com. Left empty it is every host." }
            (field::errors("hosts", HOSTS, &wrong))
        }
    }
}

/// What is wrong with the hosts, each called by its name.
fn wrong_hosts(fields: &Fields, faults: &Faults) -> Faults {
    let hosts = hosts(fields);
    let named = |fault: &FieldFault| {
        let rest = fault.pointer.strip_prefix(HOSTS)?;
        let host = rest.strip_prefix('/').and_then(|index| hosts.get(index.parse::<usize>().ok()?));
        let detail = host.map_or_else(|| fault.detail.clone(), |host| format!("“{host}”: {}", fault.detail));
        Some(FieldFault { pointer: HOSTS.to_owned(), detail })
    };
    Faults { detail: None, fields: faults.fields.iter().filter_map(named).collect() }
}

/// Prices and what is counted for them.
pub fn price(fields: &Fields, faults: &Faults) -> Markup {
    html! {
        fieldset .field {
            legend { "Price" }
            p .hint { "In your currency, such as 2.50. What is left empty costs nothing." }
            div .columns {
                @for (name, api_name, label) in PRICES {
                    (Field { name, label, pointer: &format!("/price/{api_name}"), ..Field::default() }.render(fields, faults))
                }
            }
            label .choice {
                input type="checkbox" name="count_tokens" value="yes" checked[fields.is_ticked("count_tokens")];
                span { "Count the tokens of responses" }
            }
            p .hint { "Rules and prices for tokens need it." }
            (field::errors("count_tokens", "/count_tokens", &uncounted(faults)))
        }
    }
}

/// What a box that is not ticked stands in the way of, in the words of the form.
fn uncounted(faults: &Faults) -> Faults {
    let detail = "Tick this, or leave out the rules and prices for tokens.";
    faults.at("/count_tokens").next().map(|_| Faults::one("/count_tokens", detail)).unwrap_or_default()
}

/// Whether the upstream sees the caller's key.
pub fn credential(fields: &Fields) -> Markup {
    html! {
        fieldset .field {
            legend { "Credential" }
            label .choice {
                input type="checkbox" name="forward_credential" value="yes" checked[fields.is_ticked("forward_credential")];
                span { "Show the upstream the caller's Authorization header" }
            }
            p .hint { "Only for an upstream that you trust with your callers' keys: it could call with them." }
        }
    }
}
