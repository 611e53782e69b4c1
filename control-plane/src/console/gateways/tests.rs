//! Gateways in the console, without a browser.

use portcullis_core::push::fleet::Worker;
use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

#[tokio::test]
async fn a_gateway_is_created_with_its_token_shown_once_and_given_another_one() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let typed = [("name", "edge"), ("max_staleness", "30")];
    let created = root.send("/gateways/new", "/gateways/new", &typed).await.expect(201);
    let token = created.values("#secret").remove(0);
    assert!(token.starts_with("pc_gwt_"));
    let gateway = harness.get("/v1/gateways").await.expect(200)["items"][0].clone();
    assert_eq!((&gateway["name"], &gateway["max_staleness_seconds"]), (&json!("edge"), &json!(30)));
    let path = format!("/gateways/{}", text(&gateway, "id"));
    assert!(!root.get(&path).await.expect(200).text.contains(&token));
    let reissue = format!("{path}/reissue");
    assert_ne!(root.send(&reissue, &reissue, &[]).await.expect(201).values("#secret")[0], token);
    let change = format!("{path}/change");
    let again = root.send(&change, &change, &[("max_staleness", "1")]).await.expect(422).read();
    assert!(again.contains("Expected 5 to 86400, or null for none."), "{again}");
    root.send(&change, &change, &[("name", "edge 2"), ("max_staleness", "")]).await.expect(303);
    let delete = format!("{path}/delete");
    assert_eq!(root.send(&delete, &delete, &[]).await.expect(303).place(), "/gateways?done=deleted");
    root.get(&path).await.expect(404);
}

#[tokio::test]
async fn the_page_of_a_gateway_names_what_it_serves_and_the_question_says_what_becomes_of_its_workers() {
    let harness = Harness::furnished().await;
    let api = harness.get("/v1/apis").await.expect(200)["items"][0].clone();
    let body = json!({"name": "edge", "apis": [text(&api, "id")], "max_staleness_seconds": 30});
    let gateway = harness.post("/v1/gateways", body).await.expect(201);
    let path = format!("/gateways/{}", text(&gateway, "id"));
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let page = root.get(&path).await.expect(200);
    assert!(page.read().contains(text(&api, "name")) && page.text.contains(text(&api, "id")), "{}", page.read());
    assert!(page.read().contains("Refuse everything after 30 s"), "{}", page.read());
    for question in ["delete", "reissue"] {
        let asked = root.get(&format!("{path}/{question}")).await.expect(200).read();
        assert!(asked.contains("after 30 s they refuse everything"), "{asked}");
    }
}

#[tokio::test]
async fn workers_are_shown_with_their_lag_and_forgotten_when_they_are_gone() {
    let harness = Harness::furnished().await;
    let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
    let worker = Worker {
        name: "w".to_owned(),
        node: Some("node-1".to_owned()),
        polls: 1,
        last_seen_ms: 1,
        applied: None,
        bound_ms: None,
        memory_bytes: Some(13_107_200),
    };
    harness.fleet.saw(text(&gateway, "id").parse().unwrap(), worker, None).unwrap();
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let list = root.get("/gateways").await.expect(200).read();
    assert!(list.contains("No snapshot yet node-1 All APIs Go on"), "{list}");
    let path = format!("/gateways/{}", text(&gateway, "id"));
    for question in ["delete", "reissue"] {
        let asked = root.get(&format!("{path}/{question}")).await.expect(200).read();
        assert!(asked.contains("1 worker heard in the last ten minutes."), "{asked}");
    }
    let page = root.get(&path).await.expect(200).read();
    assert!(page.contains("node-1") && page.contains("12.5 MiB"), "{page}");
    let forget = format!("{path}/workers/delete");
    root.send(&path, &forget, &[("worker", "../../users")]).await.expect(404);
    let place = root.send(&path, &forget, &[]).await.expect(303).place().to_owned();
    let page = root.get(&place).await.expect(200).read();
    assert!(
        page.contains("Receipts no longer wait for this worker.") && page.contains("No worker has been heard"),
        "{page}"
    );
}

#[tokio::test]
async fn gateways_are_for_operators() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    for path in ["/gateways", "/gateways/new"] {
        let status = ada.get(path).await.status;
        assert!(status == 403 || status == 404, "{path}: {status}");
    }
}
