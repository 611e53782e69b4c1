//! The fields of an API but its policy, and what they come to in the admin API.

use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::forms::{Faults, Fields};
use crate::console::html::field::{self, Field};
use crate::console::html::money::{NO_AMOUNT, from_micros, to_micros};
use crate::console::model::Api;

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
    let hosts: Vec<&str> = fields.text("hosts").split([',', '\n', ' ', '\r']).filter(|host| !host.is_empty()).collect();
    let hosts = if hosts.is_empty() { Value::Null } else { json!(hosts) };
    Ok(json!({
        "name": fields.text("name"),
        "match": {"hosts": hosts, "path_prefix": fields.text("path_prefix")},
        "price": read_price(fields)?,
        "count_tokens": fields.is_ticked("count_tokens"),
        "forward_credential": fields.is_ticked("forward_credential"),
    }))
}

fn read_price(fields: &Fields) -> Result<Value, Faults> {
    let mut price = serde_json::Map::new();
    for (field, name, _) in PRICES {
        if let Some(text) = fields.given(field) {
            let micros = to_micros(text).ok_or_else(|| Faults::one(&format!("/price/{name}"), NO_AMOUNT))?;
            price.insert(name.to_owned(), json!(micros));
        }
    }
    Ok(if price.is_empty() { Value::Null } else { Value::Object(price) })
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
    html! {
        (prefix.render(fields, faults))
        div .field {
            label for="hosts" { "Hosts" span .quiet { " (optional)" } }
            textarea #hosts name="hosts" rows="2" aria-describedby="hosts-hint" { (fields.raw("hosts")) }
            p .hint #hosts-hint { "One on each line, without port: models.example.com. Left empty it is every host." }
            (field::errors("hosts", "/match/hosts", faults))
        }
    }
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
                span { "Count the tokens of responses, which limits and prices for tokens need" }
            }
            (field::errors("count_tokens", "/count_tokens", faults))
        }
    }
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
