//! The fields that issuing a key and changing one have in common, and what they come to in the admin API.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Tab;
use crate::console::forms::{Faults, Fields};
use crate::console::html::field::{self, Field};
use crate::console::html::money::{NO_AMOUNT, NO_NUMBER, from_micros, to_micros, ungrouped};
use crate::console::html::policy;
use crate::console::model::Api;
use crate::domain::budget::Budget;

/// The name.
pub fn name(fields: &Fields, faults: &Faults) -> Markup {
    Field {
        name: "name",
        label: "Name",
        hint: "What the key is for, so that you know it again: batch jobs, checkout service.",
        is_required: true,
        characters_max: Some(100),
        pointer: "/name",
        ..Field::default()
    }
    .render(fields, faults)
}

/// The APIs to which a key is confined.
pub fn scopes(apis: &[Api], fields: &Fields, faults: &Faults) -> Markup {
    let is_confined = fields.text("scope") == "some";
    html! {
        fieldset .field {
            legend { "APIs" }
            label .choice {
                input type="radio" name="scope" value="all" checked[!is_confined];
                span { "All of this kind, those to come included" }
            }
            label .choice {
                input type="radio" name="scope" value="some" checked[is_confined] disabled[apis.is_empty()];
                span { "Only these:" }
            }
            div .choices .indented {
                (api_boxes(apis, fields))
                @if apis.is_empty() { p .quiet { "There is no API of this kind yet." } }
            }
            p .hint { "Give a key no more than it needs." }
            (field::errors("apis", "/apis", faults))
        }
    }
}

/// A box for each of `apis`. Ticking one chooses them over all.
pub fn api_boxes(apis: &[Api], fields: &Fields) -> Markup {
    html! {
        @for api in apis {
            label .choice {
                input type="checkbox" name="apis" value=(api.id) data-chooses="some"
                    checked[fields.all("apis").any(|chosen| chosen == api.id)];
                span { (api.name) " " span .quiet { (api.route.path_prefix) } }
            }
        }
    }
}

/// Whether a dedicated key is held to rate limits, and to which.
pub fn rate_limit(tab: Tab, apis: &[Api], fields: &Fields, faults: &Faults) -> Markup {
    html! {
        @match tab {
            Tab::Dedicated => fieldset .field {
                legend { "Rate limit" }
                label .choice {
                    input type="checkbox" name="rate_limit" value="yes" checked[fields.is_ticked("rate_limit")];
                    span { "Limit calls with this key by the policy of each API that it calls" }
                }
                (policies(apis))
                (field::errors("rate_limit", "/rate_limit_enabled", faults))
            },
            Tab::Serverless => @if apis.iter().any(|api| api.rate_limit.is_some()) {
                div .field {
                    p .label { "Rate limit" }
                    p .hint { "These policies hold for every key:" }
                    (policies(apis))
                }
            },
        }
    }
}

fn policies(apis: &[Api]) -> Markup {
    html! {
        ul .policies {
            @for api in apis {
                li {
                    strong { (api.name) } ": "
                    @match &api.rate_limit {
                        Some(limit) => { (policy::sentence(limit)) "." },
                        None => { "no policy, so nothing is limited." },
                    }
                }
            }
        }
    }
}

/// What may be used in a month.
pub fn budget(fields: &Fields, faults: &Faults) -> Markup {
    let cost = Field {
        name: "budget_cost",
        label: "Most that it may cost in a month",
        pointer: "/monthly_budget/cost_micros",
        hint: "In the currency of your prices, such as 50.00.",
        ..Field::default()
    };
    let tokens = Field {
        name: "budget_tokens",
        label: "Most tokens in a month",
        pointer: "/monthly_budget/tokens",
        hint: "Input and output together. At either ceiling calls are refused until the month ends (UTC).",
        ..Field::default()
    };
    html! {
        details .field open[fields.given("budget_cost").is_some() || fields.given("budget_tokens").is_some()] {
            summary { "Monthly budget" }
            (cost.render(fields, faults))
            (tokens.render(fields, faults))
        }
    }
}

/// A budget as its fields have it.
pub fn budget_fields(budget: Option<&Budget>) -> [(&'static str, String); 2] {
    let cost = budget.and_then(|budget| budget.cost_micros).map(from_micros);
    let tokens = budget.and_then(|budget| budget.tokens).map(|tokens| tokens.to_string());
    [("budget_cost", cost.unwrap_or_default()), ("budget_tokens", tokens.unwrap_or_default())]
}

/// Reads a budget; null where both fields are empty.
pub fn read_budget(fields: &Fields) -> Result<Value, Faults> {
    let mut budget = Map::new();
    if let Some(text) = fields.given("budget_cost") {
        let micros = to_micros(text).ok_or_else(|| Faults::one("/monthly_budget/cost_micros", NO_AMOUNT))?;
        budget.insert("cost_micros".to_owned(), json!(micros));
    }
    if let Some(text) = fields.given("budget_tokens") {
        let tokens = ungrouped(text).ok_or_else(|| Faults::one("/monthly_budget/tokens", NO_NUMBER))?;
        budget.insert("tokens".to_owned(), json!(tokens));
    }
    Ok(if budget.is_empty() { Value::Null } else { Value::Object(budget) })
}

/// Reads the APIs to which a key is confined; null for all.
pub fn read_scopes(fields: &Fields) -> Result<Value, Faults> {
    if fields.text("scope") != "some" {
        return Ok(Value::Null);
    }
    let apis: Vec<&str> = fields.all("apis").collect();
    if apis.is_empty() { Err(Faults::one("/apis", "choose at least one API")) } else { Ok(json!(apis)) }
}
