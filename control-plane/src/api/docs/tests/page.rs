//! What holds for the page.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{operation, references, served};
use crate::api::docs::schema::{Row, rows};
use crate::api::docs::values::fields;
use crate::api::docs::{POLICY, STYLE_PATH, page};
use crate::api::testing::Harness;

async fn get(path: &str) -> (HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = Harness::new().await.router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The part of the page that is about one operation.
fn article<'a>(page: &'a str, anchor: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<article aria-labelledby=\"{anchor}\">")).unwrap();
    rest.split_once("</article>").unwrap().0
}

#[tokio::test]
async fn every_operation_and_every_status_of_the_document_is_on_the_page() {
    let (document, (_, page)) = (served().await, get("/docs").await);
    for operation in operation::all(&document) {
        let article = article(&page, &operation.anchor());
        assert!(article.contains(&format!("<span class=\"method\">{}</span> {}<", operation.method, operation.path)));
        assert!(page.contains(&format!("href=\"#{}\"", operation.anchor())));
        assert!(article.contains(&format!("curl -sS -X {} &quot;$PORTCULLIS/", operation.method)));
        for (status, _) in fields(operation.node, "responses") {
            assert!(article.contains(&format!("<h5><code>{status}</code>")), "{} {status}", operation.anchor());
        }
    }
}

#[tokio::test]
async fn every_schema_that_is_referred_to_is_on_the_page_with_its_fields() {
    let (document, (_, page)) = (served().await, get("/docs").await);
    for reference in references(&document) {
        let name = reference.rsplit('/').next().unwrap();
        assert!(page.contains(name), "{name}");
        for (field, _) in fields(document.pointer(&reference[1..]).unwrap(), "properties") {
            let ends = [format!("<code>{field}</code>"), format!(".{field}</code>")];
            assert!(ends.iter().any(|end| page.contains(end)), "{name}.{field}");
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_but_its_stylesheet_and_says_so_to_the_browser() {
    let (headers, page) = get("/docs").await;
    assert_eq!(headers["content-security-policy"], POLICY);
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    for forbidden in ["<script", "<style", "<img", "<iframe", "<form", " style=", " src=", " onclick="] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for target in page.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(target.starts_with('#') || [STYLE_PATH, "/openapi.json"].contains(&target), "{target}");
    }
    let (headers, style) = get(STYLE_PATH).await;
    assert_eq!(headers["content-type"], "text/css; charset=utf-8");
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[tokio::test]
async fn headings_go_down_one_step_at_a_time_and_every_anchor_is_there_once() {
    let (_, page) = get("/docs").await;
    let mut before = 0;
    for level in page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].chars().next()?.to_digit(10)) {
        assert!(level <= before + 1, "h{level} after h{before}");
        before = level;
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(ids.iter().filter(|id| **id == target).count(), 1, "{target}");
    }
    for landmark in ["<header>", "<nav ", "<main "] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
}

#[test]
fn hostile_text_is_shown_and_never_run() {
    let hostile = "</h1><script>alert('1')</script><b onclick=\"x\">`<i>`";
    let document = json!({
        "info": {"title": hostile, "description": hostile, "version": hostile},
        "tags": [{"name": hostile, "description": hostile}],
        "paths": {"/<script>": {"post": {
            "tags": [hostile], "summary": hostile, "description": hostile,
            "parameters": [{"name": hostile, "in": hostile, "description": hostile, "schema": {"type": hostile}}],
            "requestBody": {"content": {"application/json": {"schema": {
                "properties": {"<script>": {"type": "string", "description": hostile, "example": hostile}}}}}},
            "responses": {"<script>": {"description": hostile}},
        }}},
    });
    let page = page::render(&document).into_string();
    for forbidden in ["<script", "<b ", "<i>", "\"x\""] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt;"));
}

#[test]
fn a_document_that_says_nothing_is_an_empty_page() {
    assert!(page::render(&Value::Null).into_string().contains("<main"));
}

#[tokio::test]
async fn what_can_be_left_out_of_a_policy_is_shown_with_its_choices_and_its_default() {
    let document = served().await;
    let rows = rows(&document, &document["components"]["schemas"]["RateLimit"]);
    for (name, choices, default) in [
        ("per", "`key`, `user`, `organization`", "default `key`"),
        ("rules[].mode", "`enforce`, `observe`", "default `enforce`"),
    ] {
        let row = rows.iter().find(|row| row.name == name).unwrap();
        assert_eq!((row.required, row.limits.as_slice()), (false, [choices.to_owned(), default.to_owned()].as_slice()));
        assert!(!row.description.is_empty(), "{name}");
    }
}

#[test]
fn a_schema_is_flattened_into_rows() {
    let document = json!({"components": {"schemas": {
        "Rule": {"type": "object", "required": ["unit"], "properties": {
            "unit": {"$ref": "#/components/schemas/Unit", "description": "What is counted."},
            "again": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Rule"}]}}},
        "Unit": {"type": "string", "enum": ["requests", "tokens"]},
    }}});
    let schema = json!({"allOf": [
        {"properties": {"rules": {"type": ["array", "null"], "minItems": 1, "maxItems": 8,
                                  "items": {"$ref": "#/components/schemas/Rule"}}}},
        {"required": ["name"], "properties": {"name": {"type": "string", "minLength": 1, "pattern": "^a$"}}},
    ]});
    let row = |name: &str, kind: &str, required, limits: &[&str], description: &str| Row {
        name: name.to_owned(),
        kind: kind.to_owned(),
        required,
        limits: limits.iter().map(|limit| (*limit).to_owned()).collect(),
        description: description.to_owned(),
    };
    let expected = [
        row("rules", "array of object Rule or null", false, &["1 to 8 items"], ""),
        row("rules[].unit", "string Unit", true, &["`requests`, `tokens`"], "What is counted."),
        row("rules[].again", "object Rule or null", false, &[], ""),
        row("name", "string", true, &["at least 1 characters", "pattern `^a$`"], ""),
    ];
    assert_eq!(rows(&document, &schema), expected);
}
