//! The page as a whole: what holds for every call, the table of contents, and the operations by tag.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::STYLE_PATH;
use super::operation::{self, Operation};
use super::values::{fields, inline, items, prose, text};

/// Renders `document`.
pub fn render(document: &Value) -> Markup {
    let info = document.get("info").unwrap_or(&Value::Null);
    let tags = tags(document);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (text(info, "title")) }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                a .skip href="#main" { "Skip to the contents" }
                header {
                    h1 { (text(info, "title")) }
                    (prose(text(info, "description")))
                    p .quiet {
                        "Version " (text(info, "version")) ". For programs: "
                        a href="/openapi.json" { "openapi.json" } "."
                    }
                }
                (contents(&tags))
                main #main tabindex="-1" {
                    (introduction(document))
                    @for tag in &tags { (section(document, tag)) }
                }
            }
        }
    }
}

/// A tag and its operations.
struct Tag<'a> {
    name: &'a str,
    description: &'a str,
    operations: Vec<Operation<'a>>,
}

/// The tags in the document's order; what has none that is declared comes last, under its own.
fn tags(document: &Value) -> Vec<Tag<'_>> {
    let declared = items(document, "tags").iter();
    let mut tags: Vec<Tag<'_>> = declared
        .map(|tag| Tag { name: text(tag, "name"), description: text(tag, "description"), operations: Vec::new() })
        .collect();
    for operation in operation::all(document) {
        match tags.iter_mut().find(|tag| tag.name == operation.tag()) {
            Some(tag) => tag.operations.push(operation),
            None => tags.push(Tag { name: operation.tag(), description: "", operations: vec![operation] }),
        }
    }
    tags.retain(|tag| !tag.operations.is_empty());
    tags
}

fn contents(tags: &[Tag<'_>]) -> Markup {
    html! {
        nav aria-labelledby="contents" {
            h2 #contents { "Contents" }
            ul {
                @for (anchor, title) in INTRODUCTION { li { a href={ "#" (anchor) } { (title) } } }
                @for tag in tags {
                    li {
                        a href={ "#tag-" (tag.name) } { (title_of(tag)) }
                        ul {
                            @for operation in &tag.operations {
                                li {
                                    a href={ "#" (operation.anchor()) } {
                                        code { (operation.method) " " (operation.path) }
                                    }
                                    " " (inline(operation.summary()))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn title_of<'a>(tag: &Tag<'a>) -> &'a str {
    if tag.description.is_empty() { tag.name } else { tag.description }
}

fn section(document: &Value, tag: &Tag<'_>) -> Markup {
    html! {
        section aria-labelledby={ "tag-" (tag.name) } {
            h2 id={ "tag-" (tag.name) } { (title_of(tag)) }
            @for operation in &tag.operations { (operation.render(document)) }
        }
    }
}

const INTRODUCTION: [(&str, &str); 4] =
    [("authentication", "Authentication"), (operation::ERRORS, "Errors"), ("retries", "Retries"), ("pages", "Pages")];

/// What holds for every call, in the order of [`INTRODUCTION`].
fn introduction(document: &Value) -> Markup {
    let texts = [authentication(document), errors(document), retries(), pages()];
    html! {
        @for ((anchor, title), text) in INTRODUCTION.into_iter().zip(texts) {
            section aria-labelledby=(anchor) {
                h2 id=(anchor) { (title) }
                (text)
            }
        }
    }
}

fn authentication(document: &Value) -> Markup {
    let schemes = document.pointer("/components").unwrap_or(&Value::Null);
    html! {
        p {
            "Send an access token with every call: " code { "Authorization: Bearer TOKEN" } ". "
            "Without a valid one the answer is 401, whatever else is wrong with the call. "
            "Operations that need no token say so."
        }
        @for (name, scheme) in fields(schemes, "securitySchemes") {
            p { code { (name) } ": " (inline(text(scheme, "description"))) }
        }
        p { "The examples below take the token and the address from the shell:" }
        pre { code { "PORTCULLIS=http://127.0.0.1:8080\nTOKEN=…" } }
    }
}

fn errors(document: &Value) -> Markup {
    let problem = document.pointer("/components/schemas/Problem").unwrap_or(&Value::Null);
    html! {
        p {
            "Every refusal is a problem document (RFC 9457), " code { "application/problem+json" } ". "
            "Its " code { "detail" } " is for people; programs go by the status, and by the pointers in "
            code { "errors" } ", which say what is wrong with each field of the body. "
            "A field that is not known is refused rather than ignored."
        }
        p {
            "A call that answers 503 has changed nothing and can be made again after the seconds that "
            code { "Retry-After" } " names. A method that a path does not take is answered with 405 and an "
            code { "Allow" } " header."
        }
        (operation::table("Fields of Problem", document, problem))
    }
}

fn retries() -> Markup {
    html! {
        p {
            "An answer can get lost after the call has done its work. Calls that change or delete something can be "
            "made again: the second time changes nothing more. A call that creates a key takes an "
            code { "Idempotency-Key" } " header for this: within 24 hours, the same header with the same body never "
            "makes a second key, but gives the first one a new secret, and says "
            code { "Idempotency-Replayed: true" } "."
        }
    }
}

fn pages() -> Markup {
    html! {
        p {
            "A list is " code { "{\"items\": […]}" } ". One that comes in pages has a " code { "next_cursor" } " as well: "
            "send it as " code { "cursor" } " for the next page; null says that there is none. Pages neither repeat nor "
            "skip anything while things come and go between them. " code { "limit" } " says how long a page may be."
        }
    }
}
