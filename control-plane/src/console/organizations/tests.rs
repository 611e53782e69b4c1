//! Organizations in the console, without a browser.

use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

#[tokio::test]
async fn an_operator_looks_at_one_organization_and_then_at_all_again() {
    let harness = Harness::furnished().await;
    let other = harness.post("/v1/organizations", json!({"name": "globex"})).await.expect(201);
    for organization in ["acme", "globex"] {
        let key = json!({"kind": "serverless", "name": format!("key of {organization}"), "organization": organization});
        harness.post("/v1/keys", key).await.expect(201);
    }
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let both = root.get("/keys").await.expect(200).read();
    assert!(both.contains("All organizations") && both.contains("key of acme") && both.contains("key of globex"));
    let chosen = [("organization", text(&other, "id"))];
    assert_eq!(root.send("/organizations", "/organizations/choose", &chosen).await.expect(303).place(), "/keys");
    let one = root.get("/keys").await.expect(200).read();
    assert!(
        one.contains("Organization: globex") && one.contains("key of globex") && !one.contains("key of acme"),
        "{one}"
    );
    root.send("/organizations", "/organizations/choose", &[("organization", "")]).await.expect(303);
    assert!(root.get("/keys").await.expect(200).read().contains("key of acme"));
}

#[tokio::test]
async fn an_organization_is_created_changed_and_deleted_once_it_is_empty() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let typed = [("name", "initech"), ("budget_cost", "50")];
    root.send("/organizations/new", "/organizations/new", &typed).await.expect(303);
    let again = root.send("/organizations/new", "/organizations/new", &typed).await.expect(422).read();
    assert!(again.contains("There is an organization with this name already."), "{again}");
    let all = harness.get("/v1/organizations").await.expect(200);
    let id_of = |name: &str| {
        let found = all["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap();
        text(found, "id").to_owned()
    };
    let path = format!("/organizations/{}", id_of("initech"));
    let place = root.send(&path, &path, &[("name", "initrode")]).await.expect(303).place().to_owned();
    assert!(root.get(&place).await.expect(200).read().contains("Saved."));
    let kept = harness.get(&format!("/v1{path}")).await.expect(200);
    assert_eq!((&kept["name"], &kept["monthly_budget"]), (&json!("initrode"), &json!({"cost_micros": 50_000_000})));
    let delete = format!("{path}/delete");
    assert_eq!(root.send(&delete, &delete, &[]).await.expect(303).place(), "/organizations?done=deleted");
    let busy = format!("/organizations/{}/delete", id_of("acme"));
    root.send(&busy, &busy, &[]).await.expect(409);
}

#[tokio::test]
async fn organizations_are_for_operators() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    assert!(!ada.get("/keys").await.expect(200).text.contains("href=\"/organizations\""));
    let own = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
    let own = format!("/organizations/{}", text(&own, "id"));
    for path in ["/organizations", "/organizations/new", &own, &format!("{own}/delete")] {
        ada.get(path).await.expect(403);
    }
}
