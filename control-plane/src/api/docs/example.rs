//! Examples of JSON from what a schema says: its own examples, and otherwise the plainest value that fits.

use serde_json::{Map, Value};

use super::schema::{Shape, variants};
use super::values::{fields, items, text};

/// How deep an example goes.
const DEPTH_MAX: usize = 8;

/// Which fields an example has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of them, as an answer has.
    Whole,
    /// Those that a request must have, and those for which the schema gives an example.
    Telling,
}

/// An example of the content of a request or an answer: the one that it brings, or one that is made.
pub fn of_content(document: &Value, content: &Value, extent: Extent) -> Option<Value> {
    let made = || content.get("schema").map(|schema| of_schema(document, schema, extent, 0));
    own(content)
        .or_else(|| fields(content, "examples").find_map(|(_, example)| example.get("value")).cloned())
        .or_else(made)
}

/// The example that a schema brings itself.
fn own(node: &Value) -> Option<Value> {
    node.get("example").or_else(|| items(node, "examples").first()).cloned()
}

fn of_schema(document: &Value, schema: &Value, extent: Extent, depth: usize) -> Value {
    let shape = Shape::of(document, schema);
    let found = own(schema).or_else(|| own(shape.node));
    if let Some(example) = found {
        return example;
    }
    if depth >= DEPTH_MAX || (shape.nullable && !tells(document, schema, 0)) {
        return Value::Null;
    }
    let node = shape.node;
    if let Some(variant) = variants(node).first() {
        return of_schema(document, variant, extent, depth + 1);
    }
    if let Some(item) = node.get("items") {
        return Value::Array(vec![of_schema(document, item, extent, depth + 1)]);
    }
    if node.get("properties").is_some() || node.get("allOf").is_some() {
        return Value::Object(of_object(document, node, extent, depth));
    }
    let given = node.get("const").or_else(|| node.get("default")).or_else(|| items(node, "enum").first());
    given.cloned().unwrap_or_else(|| plain(node))
}

fn of_object(document: &Value, node: &Value, extent: Extent, depth: usize) -> Map<String, Value> {
    let mut object = Map::new();
    for part in items(node, "allOf") {
        if let Value::Object(more) = of_schema(document, part, extent, depth + 1) {
            object.extend(more);
        }
    }
    for (name, property) in fields(node, "properties") {
        let required = items(node, "required").iter().any(|required| required == name);
        if required || extent == Extent::Whole || tells(document, property, 0) {
            object.insert(name.clone(), of_schema(document, property, extent, depth + 1));
        }
    }
    object
}

/// Whether the schema, or something in it, brings an example.
pub fn tells(document: &Value, schema: &Value, depth: usize) -> bool {
    let shape = Shape::of(document, schema);
    if depth >= DEPTH_MAX {
        return false;
    }
    let within = shape.node.get("items").into_iter().chain(fields(shape.node, "properties").map(|(_, field)| field));
    let mut within = within.chain(items(shape.node, "allOf")).chain(variants(shape.node));
    own(schema).or_else(|| own(shape.node)).is_some() || within.any(|part| tells(document, part, depth + 1))
}

/// The plainest value of a type.
fn plain(node: &Value) -> Value {
    let kind = node.get("type");
    let is = |name: &str| kind.is_some_and(|kind| kind == name) || items(node, "type").iter().any(|kind| kind == name);
    if is("string") {
        return if text(node, "format") == "date-time" { INSTANT.into() } else { "text".into() };
    }
    if is("boolean") {
        return false.into();
    }
    if is("integer") || is("number") {
        return node.get("minimum").cloned().unwrap_or_else(|| 0.into());
    }
    if is("array") {
        return Value::Array(Vec::new());
    }
    Value::Object(Map::new())
}

/// An instant, for examples.
pub const INSTANT: &str = "2027-01-31T00:00:00Z";
