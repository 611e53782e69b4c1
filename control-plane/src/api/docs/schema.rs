//! A schema as the rows of a table: every field that JSON of its shape can have, however deep.
//!
//! References are followed, `allOf` is one object, and "this or null" is a type that may be null. A schema that
//! contains itself is shown once and named where it comes back.

use serde_json::Value;

use super::values::{fields, follow, items, text};

/// How deep fields are shown. Nothing of this API is deeper; it keeps any document finite.
const DEPTH_MAX: usize = 8;

/// One field.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is: `rate_limit.rules[].unit`; empty for a value that is no object.
    pub name: String,
    /// What it is: `array of Rule`, `string or null`.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it is held to: `1 to 100 characters`.
    pub limits: Vec<String>,
    /// What it means.
    pub description: String,
}

/// A schema with its references followed.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// What it says itself.
    pub node: &'a Value,
    /// Its name among the components; empty if it has none.
    pub name: &'a str,
    /// Whether null will do as well.
    pub nullable: bool,
    /// What the place says that it is used in, or else what it says of itself.
    pub description: &'a str,
}

impl<'a> Shape<'a> {
    /// Follows the references of `schema` in `document`.
    pub fn of(document: &'a Value, schema: &'a Value) -> Self {
        let mut shape = Self { node: schema, name: "", nullable: false, description: "" };
        for _ in 0..DEPTH_MAX {
            if shape.description.is_empty() {
                shape.description = text(shape.node, "description");
            }
            if let Some(reference) = shape.node.get("$ref").and_then(Value::as_str) {
                shape.name = reference.rsplit('/').next().unwrap_or_default();
                shape.node = follow(document, reference);
            } else if let Some(other) = other_than_null(shape.node) {
                shape.nullable = true;
                shape.node = other;
            } else {
                break;
            }
        }
        shape.nullable |= types(shape.node).any(|kind| kind == "null");
        shape
    }

    /// The type in words.
    fn kind(&self, document: &'a Value) -> String {
        let mut kind = self.kind_alone(document);
        if self.nullable {
            kind.push_str(" or null");
        }
        kind
    }

    fn kind_alone(&self, document: &'a Value) -> String {
        if let Some(item) = self.node.get("items") {
            return format!("array of {}", Self::of(document, item).kind(document));
        }
        let plain = types(self.node).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or ");
        let plain = match plain.as_str() {
            "" if !variants(self.node).is_empty() => "one of several",
            "" if self.node.get("allOf").is_some() => "object",
            "" => "any",
            plain => plain,
        };
        if self.name.is_empty() { plain.to_owned() } else { format!("{plain} {}", self.name) }
    }
}

/// The types that a schema lists.
fn types(node: &Value) -> impl Iterator<Item = &str> {
    let one = node.get("type").and_then(Value::as_str);
    one.into_iter().chain(items(node, "type").iter().filter_map(Value::as_str))
}

/// The members of a `oneOf` or `anyOf`.
pub fn variants(node: &Value) -> &[Value] {
    let one = items(node, "oneOf");
    if one.is_empty() { items(node, "anyOf") } else { one }
}

/// The other member of a "this or null".
fn other_than_null(node: &Value) -> Option<&Value> {
    match variants(node) {
        [null, other] | [other, null] if text(null, "type") == "null" => Some(other),
        [] | [_, ..] => None,
    }
}

/// The rows of `schema`, required fields first.
pub fn rows(document: &Value, schema: &Value) -> Vec<Row> {
    let mut table = Table { document, rows: Vec::new(), within: Vec::new() };
    let shape = Shape::of(document, schema);
    if !table.has_fields(shape) {
        table.push(String::new(), shape, true);
    }
    table.descend("", shape);
    table.rows
}

struct Table<'a> {
    document: &'a Value,
    rows: Vec<Row>,
    within: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn push(&mut self, name: String, shape: Shape<'a>, required: bool) {
        self.rows.push(Row {
            name,
            kind: shape.kind(self.document),
            required,
            limits: limits(self.document, shape.node),
            description: shape.description.to_owned(),
        });
    }

    /// Whether the schema itself has named fields, rather than items or variants.
    fn has_fields(&self, shape: Shape<'_>) -> bool {
        ["properties", "allOf"].iter().any(|field| shape.node.get(field).is_some())
    }

    /// Adds what lies within `shape`, each below `prefix`.
    fn descend(&mut self, prefix: &str, shape: Shape<'a>) {
        let again = !shape.name.is_empty() && self.within.contains(&shape.name);
        if again || self.within.len() >= DEPTH_MAX {
            return;
        }
        self.within.push(shape.name);
        for part in items(shape.node, "allOf") {
            self.descend(prefix, Shape::of(self.document, part));
        }
        for (index, variant) in variants(shape.node).iter().enumerate() {
            let variant = Shape::of(self.document, variant);
            self.push(format!("{prefix}(variant {})", index + 1), variant, false);
            self.descend(prefix, variant);
        }
        if let Some(item) = shape.node.get("items") {
            self.descend(&format!("{}[].", prefix.trim_end_matches('.')), Shape::of(self.document, item));
        }
        self.properties(prefix, shape.node);
        self.within.pop();
    }

    fn properties(&mut self, prefix: &str, node: &'a Value) {
        let must = |name: &str| items(node, "required").iter().any(|required| required == name);
        for required in [true, false] {
            for (name, property) in fields(node, "properties").filter(|(name, _)| must(name) == required) {
                self.field(format!("{prefix}{name}"), property, required);
            }
        }
        if let Some(others) = node.get("additionalProperties").filter(|others| others.is_object()) {
            self.field(format!("{prefix}*"), others, false);
        }
    }

    fn field(&mut self, name: String, schema: &'a Value, required: bool) {
        let shape = Shape::of(self.document, schema);
        let within = format!("{name}.");
        self.push(name, shape, required);
        self.descend(&within, shape);
    }
}

/// What a value of this schema is held to, in words. Limits on the items of a list are the list's as well.
pub fn limits(document: &Value, node: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    limits.extend(range(node, "minItems", "maxItems").map(|range| format!("{range} items")));
    limits.extend(range(node, "minLength", "maxLength").map(|range| format!("{range} characters")));
    limits.extend(range(node, "minimum", "maximum"));
    let choices = items(node, "enum").iter().map(said).collect::<Vec<_>>();
    limits.extend((!choices.is_empty()).then(|| choices.join(", ")));
    for (field, word) in [("const", "always"), ("default", "default"), ("format", "format"), ("pattern", "pattern")] {
        limits.extend(node.get(field).map(|value| format!("{word} {}", said(value))));
    }
    if let Some(item) = node.get("items") {
        let of_items = self::limits(document, Shape::of(document, item).node);
        limits.extend(of_items.into_iter().map(|limit| format!("each: {limit}")));
    }
    limits
}

/// A range in words, if the schema has either end of it.
fn range(node: &Value, least: &str, most: &str) -> Option<String> {
    match (node.get(least), node.get(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

/// A value as code between backticks.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => format!("`{value}`"),
    }
}
