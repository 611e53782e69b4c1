//! One operation: what it takes, what it answers, and a call to paste.

use maud::{Markup, html};
use serde_json::Value;

use super::example::{self, Extent};
use super::schema::{self, Row, Shape};
use super::values::{fields, inline, is_true, items, prose, resolved, text};
use crate::problem::MEDIA_TYPE;

/// The anchor of what holds for every refusal.
pub const ERRORS: &str = "errors";
/// The fields of a path item that are operations.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

/// An operation of the document.
pub struct Operation<'a> {
    /// `GET`
    pub method: String,
    /// `/v1/keys/{id}`
    pub path: &'a str,
    /// What the document says of it.
    pub node: &'a Value,
    /// Whether it needs a token.
    pub token: bool,
}

/// Every operation of `document`, in its order of paths.
pub fn all(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    fields(document, "paths").flat_map(move |(path, item)| {
        METHODS.into_iter().filter_map(move |method| {
            let node = item.get(method)?;
            let security = node.get("security").or_else(|| document.get("security"));
            let needed = security.and_then(Value::as_array).is_some_and(|schemes| {
                !schemes.is_empty()
                    && schemes.iter().all(|scheme| scheme.as_object().is_some_and(|names| !names.is_empty()))
            });
            Some(Operation { method: method.to_uppercase(), path, node, token: needed })
        })
    })
}

impl<'a> Operation<'a> {
    /// The tag that it is listed under.
    pub fn tag(&self) -> &'a str {
        items(self.node, "tags").first().and_then(Value::as_str).unwrap_or("other")
    }

    /// What it does, in a sentence.
    pub fn summary(&self) -> &'a str {
        text(self.node, "summary")
    }

    /// Where it is on the page.
    pub fn anchor(&self) -> String {
        let words = format!("{} {}", self.method, self.path).to_lowercase();
        let words = words.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }

    /// The operation as an article.
    pub fn render(&self, document: &Value) -> Markup {
        html! {
            article aria-labelledby=(self.anchor()) {
                h3 id=(self.anchor()) { code { span .method { (self.method) } " " (self.path) } }
                (prose(self.summary()))
                (prose(text(self.node, "description")))
                @if !self.token { p { "Needs no token." } }
                (self.parameters(document))
                (self.body(document))
                (self.responses(document))
                h4 { "Call" }
                pre tabindex="0" { code { (self.curl(document)) } }
            }
        }
    }

    fn parameters(&self, document: &Value) -> Markup {
        let parameters = items(self.node, "parameters");
        let rows = parameters.iter().map(|parameter| parameter_row(document, resolved(document, parameter)));
        html! {
            @if !parameters.is_empty() {
                h4 { "Parameters" }
                (rows_as_table(&format!("Parameters of {} {}", self.method, self.path), &rows.collect::<Vec<_>>()))
            }
        }
    }

    fn request(&self, document: &'a Value) -> Option<&'a Value> {
        self.node.get("requestBody").map(|body| resolved(document, body))
    }

    fn body(&self, document: &Value) -> Markup {
        let Some(body) = self.request(document) else {
            return html! {};
        };
        html! {
            h4 { "Body" }
            (prose(text(body, "description")))
            @if !is_true(body, "required") { p { "It may be left out." } }
            @for (media_type, content) in fields(body, "content") {
                @let schema = content.get("schema").unwrap_or(&Value::Null);
                (table(&format!("{media_type}, {}", name_of(document, schema)), document, schema))
                (sample(example::of_content(document, content, Extent::Telling)))
            }
        }
    }

    fn responses(&self, document: &Value) -> Markup {
        html! {
            h4 { "Answers" }
            @for (status, response) in fields(self.node, "responses") {
                @let response = resolved(document, response);
                h5 { code { (status) } " " (inline(text(response, "description"))) }
                (headers(document, response))
                @for (media_type, content) in fields(response, "content") {
                    @let schema = content.get("schema").unwrap_or(&Value::Null);
                    @if media_type == MEDIA_TYPE {
                        p .quiet { code { (media_type) } ", a " a href={ "#" (ERRORS) } { (name_of(document, schema)) } }
                    } @else {
                        (table(&format!("{media_type}, {}", name_of(document, schema)), document, schema))
                    }
                    (sample(example::of_content(document, content, Extent::Whole)))
                }
            }
        }
    }

    /// The call as a command for a shell.
    fn curl(&self, document: &Value) -> String {
        let mut lines = vec![format!("curl -sS -X {} \"$PORTCULLIS{}\"", self.method, in_shell(self.path))];
        if self.token {
            lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
        }
        let contents = self.request(document).into_iter().flat_map(|body| fields(body, "content"));
        for (media_type, content) in contents.take(1) {
            lines.push(format!("-H 'Content-Type: {media_type}'"));
            if let Some(example) = example::of_content(document, content, Extent::Telling) {
                lines.push(format!("-d '{}'", example.to_string().replace('\'', r"'\''")));
            }
        }
        lines.join(" \\\n  ")
    }
}

/// A path with its parameters as variables of the shell: `/v1/keys/$ID`.
fn in_shell(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.map_or_else(|| segment.to_owned(), |name| format!("${}", name.to_uppercase()))
    });
    segments.collect::<Vec<_>>().join("/")
}

fn parameter_row(document: &Value, parameter: &Value) -> Row {
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    let first = schema::rows(document, schema).into_iter().next();
    Row {
        name: text(parameter, "name").to_owned(),
        kind: format!("{}, in {}", first.map(|row| row.kind).unwrap_or_default(), text(parameter, "in")),
        required: is_true(parameter, "required"),
        limits: schema::limits(document, Shape::of(document, schema).node),
        description: text(parameter, "description").to_owned(),
    }
}

/// The name of a schema, or that it has none.
fn name_of<'a>(document: &'a Value, schema: &'a Value) -> &'a str {
    let name = Shape::of(document, schema).name;
    if name.is_empty() { "no schema of its own" } else { name }
}

fn headers(document: &Value, response: &Value) -> Markup {
    html! {
        @if fields(response, "headers").next().is_some() {
            ul {
                @for (name, header) in fields(response, "headers") {
                    li { code { (name) } ": " (inline(text(resolved(document, header), "description"))) }
                }
            }
        }
    }
}

/// The fields of a schema as a table.
pub fn table(caption: &str, document: &Value, schema: &Value) -> Markup {
    let shape = Shape::of(document, schema);
    html! {
        (rows_as_table(caption, &schema::rows(document, schema)))
        @if shape.node.get("additionalProperties").is_some_and(|others| others == false) {
            p .quiet { "No other field is taken." }
        }
    }
}

fn rows_as_table(caption: &str, rows: &[Row]) -> Markup {
    html! {
        div .scroll {
            table {
                caption { (caption) }
                thead { tr { th scope="col" { "Name" } th scope="col" { "Type" } th scope="col" { "Meaning" } } }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { @if row.name.is_empty() { "(value)" } @else { code { (row.name) } } }
                            td { (row.kind) @if row.required { ", " strong { "required" } } }
                            td {
                                (prose(&row.description))
                                @if !row.limits.is_empty() {
                                    ul { @for limit in &row.limits { li { (inline(limit)) } } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sample(example: Option<Value>) -> Markup {
    html! {
        @if let Some(example) = example {
            details {
                summary { "Example" }
                pre tabindex="0" { code { (format!("{example:#}")) } }
            }
        }
    }
}
