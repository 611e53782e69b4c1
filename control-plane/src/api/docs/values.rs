//! Reading the description as JSON: what is not there is empty, so that a page is rendered from any document.

use maud::{Markup, html};
use serde_json::{Map, Value};

/// The text of `field`, or none.
pub fn text<'a>(node: &'a Value, field: &str) -> &'a str {
    node.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The items of the list `field`.
pub fn items<'a>(node: &'a Value, field: &str) -> &'a [Value] {
    node.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The fields of the object `field`.
pub fn fields<'a>(node: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    node.get(field).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Whether `field` is true.
pub fn is_true(node: &Value, field: &str) -> bool {
    node.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// What `reference` points at in `document`; null if it points at nothing.
pub fn follow<'a>(document: &'a Value, reference: &str) -> &'a Value {
    reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)).unwrap_or(&Value::Null)
}

/// The node itself, or what it refers to. Only schemas refer further, see [`super::schema`].
pub fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => follow(document, reference),
        None => node,
    }
}

/// A description as paragraphs, with what stands between backticks as code.
pub fn prose(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            p { (inline(paragraph)) }
        }
    }
}

/// A sentence with what stands between backticks as code.
pub fn inline(text: &str) -> Markup {
    html! {
        @for (index, part) in text.trim().split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
