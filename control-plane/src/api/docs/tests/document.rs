//! What every operation must say of itself. A new one that forgets something fails here, and is told what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Operation, operation, references, served};
use crate::api::docs::example::{self, Extent};
use crate::api::docs::schema::Shape;
use crate::api::docs::values::{fields, follow, items, text};
use crate::api::testing::Harness;
use crate::problem::MEDIA_TYPE;

/// What is missing, one sentence each.
fn complaints(document: &Value, operation: &Operation<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut demand = |held: bool, what: &str| {
        if !held {
            complaints.push(format!("{} {}: {what}", operation.method, operation.path));
        }
    };
    let node = operation.node;
    demand(!text(node, "summary").is_empty(), "no summary: write a doc comment");
    demand(!text(node, "operationId").is_empty(), "no operationId");
    let [tag] = items(node, "tags") else { return vec![format!("{}: not one tag", operation.path)] };
    demand(items(document, "tags").iter().any(|declared| declared["name"] == *tag), "its tag is not declared");
    demand(answers_well(document, node), "no success with a JSON schema, or 204");
    for status in required_statuses(operation) {
        demand(node["responses"].get(status).is_some(), &format!("{status} is not documented"));
    }
    demand(parameters_are_described(node), "a parameter without description or schema");
    if let Some(body) = node.get("requestBody") {
        let content = &body["content"]["application/json"];
        demand(content["schema"].get("$ref").is_some(), "the body is no JSON with a named schema");
        let shape = Shape::of(document, &content["schema"]);
        demand(shape.node["additionalProperties"] == false, "the body takes unknown fields: deny_unknown_fields");
        demand(example::tells(document, content, 0) || example::tells(document, &content["schema"], 0), "no example");
    }
    complaints
}

fn required_statuses(operation: &Operation<'_>) -> Vec<&'static str> {
    let node = operation.node;
    let mut statuses = Vec::new();
    if operation.token {
        statuses.extend(["401", "500", "503"]);
    }
    let takes = |place: &str| items(node, "parameters").iter().any(|parameter| parameter["in"] == place);
    if takes("query") || node.get("requestBody").is_some() {
        statuses.push("400");
    }
    if node.get("requestBody").is_some() {
        statuses.extend(["408", "413", "415", "422"]);
    }
    if takes("path") {
        statuses.push("404");
    }
    statuses
}

fn answers_well(document: &Value, node: &Value) -> bool {
    let mut successes = fields(node, "responses").filter(|(status, _)| status.starts_with('2'));
    successes.any(|(status, response)| {
        let schema = &response["content"]["application/json"]["schema"];
        status == "204" || Shape::of(document, schema).node.is_object()
    })
}

fn parameters_are_described(node: &Value) -> bool {
    let described = |parameter: &Value| !text(parameter, "description").is_empty() && parameter["schema"].is_object();
    items(node, "parameters").iter().all(described)
}

#[tokio::test]
async fn every_operation_says_all_that_a_caller_needs() {
    let document = served().await;
    let complaints = operation::all(&document).flat_map(|operation| complaints(&document, &operation));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn operation_ids_are_unique() {
    let document = served().await;
    let ids: Vec<&str> = operation::all(&document).map(|operation| text(operation.node, "operationId")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    assert!(ids.contains(&"keys_issue"));
}

#[tokio::test]
async fn every_reference_resolves_and_the_server_is_wherever_the_document_is() {
    let document = served().await;
    for reference in references(&document) {
        assert!(follow(&document, &reference).is_object(), "{reference}");
    }
    assert_eq!(document["servers"], json!([{"url": "/"}]));
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_an_example_and_the_header_of_its_status() {
    let document = served().await;
    for operation in operation::all(&document) {
        for (status, response) in fields(operation.node, "responses").filter(|(status, _)| !status.starts_with('2')) {
            let at = format!("{} {} {status}", operation.method, operation.path);
            let content = &response["content"][MEDIA_TYPE];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{at}");
            assert_eq!(content["example"]["status"].to_string(), *status, "{at}");
            let header = |name: &str| response["headers"].get(name).is_some();
            assert_eq!(header("www-authenticate"), status == "401", "{at}");
            assert_eq!(header("retry-after"), status == "503" || status == "429", "{at}");
        }
    }
}

#[tokio::test]
async fn names_ids_and_instants_say_what_they_hold() {
    let document = served().await;
    let schemas = &document["components"]["schemas"];
    for name in ["/IssueRequest/properties/name", "/PatchApi/properties/name", "/CreateGateway/properties/name"] {
        assert!(!text(schemas.pointer(name).unwrap(), "pattern").is_empty(), "{name}");
    }
    let id = schemas.pointer("/KeyView/properties/id").unwrap();
    assert_eq!(id["pattern"], "^key_[0-9a-f][0-9a-hjkmnp-tv-z]{12}$");
    let expiry = schemas.pointer("/IssueRequest/properties/expires_at").unwrap();
    assert_eq!((&expiry["type"], &expiry["format"]), (&json!(["string", "null"]), &json!("date-time")));
    let path_id = &document["paths"]["/v1/keys/{id}"]["get"]["parameters"][0]["schema"];
    assert_eq!(path_id["pattern"], "^[a-z]{3}_[0-9a-f][0-9a-hjkmnp-tv-z]{12}$");
}

#[tokio::test]
async fn a_path_takes_the_methods_that_are_documented_and_answers_405_to_all_others() {
    let harness = Harness::new().await;
    let document = served().await;
    for (path, item) in fields(&document, "paths") {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let answer = harness.call(method, &path.replace("{id}", "key_0000000000000")).send().await;
            let documented = item.get(method.to_lowercase()).is_some();
            assert_eq!(answer.status != 405, documented, "{method} {path}");
            assert!(documented || answer.headers.contains_key("allow"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_example_of_a_request_is_one_that_is_granted() {
    let harness = Harness::new().await;
    let document = served().await;
    for path in ["/v1/organizations", "/v1/gateways", "/v1/apis", "/v1/keys"] {
        let content = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let body = example::of_content(&document, content, Extent::Telling).unwrap();
        harness.post(path, body).await.expect(201);
    }
}
