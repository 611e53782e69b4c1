//! Members in the console, without a browser.

use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::{PASSWORD, Visitor};
use crate::domain::user::RoleName;

async fn id_of(harness: &Harness, name: &str) -> String {
    let users = harness.get("/v1/users").await.expect(200);
    let found = users["items"].as_array().unwrap().iter().find(|user| user["name"] == name).expect(name);
    text(found, "id").to_owned()
}

#[tokio::test]
async fn an_admin_creates_changes_and_deletes_a_member_with_their_keys() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let typed = [("name", "eve"), ("password", PASSWORD)];
    let place = ada.send("/members/new", "/members/new", &typed).await.expect(303).place().to_owned();
    assert!(ada.get(&place).await.expect(200).read().contains("Created."));
    let mut eve = Visitor::new(&harness);
    eve.get("/sign-in").await.expect(200);
    eve.send("/sign-in", "/sign-in", &[("name", "eve"), ("password", PASSWORD)]).await.expect(303);
    eve.send("/keys/issue", "/keys/issue", &[("name", "of eve")]).await.expect(201);
    let path = format!("/members/{}", id_of(&harness, "eve").await);
    let changed = ada.send(&path, &path, &[("role", "admin"), ("password", "another long password")]).await;
    assert!(ada.get(changed.expect(303).place()).await.expect(200).read().contains("Saved."));
    eve.get("/keys").await.expect(303);
    let again = ada.send(&path, &path, &[("password", "short")]).await.expect(422).read();
    assert!(again.contains("A password has at least 12 characters."), "{again}");
    let delete = format!("{path}/delete");
    assert!(ada.get(&delete).await.expect(200).read().contains("Active keys that they issued 1"));
    let place = ada.send(&delete, &delete, &[("revoke_keys", "yes")]).await.expect(303).place().to_owned();
    assert!(ada.get(&place).await.expect(200).read().contains("Deleted."));
    assert_eq!(harness.get("/v1/keys?status=revoked").await.expect(200)["items"][0]["name"], "of eve");
}

#[tokio::test]
async fn an_operator_creates_anyone_and_cannot_delete_the_last_operator() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let acme = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
    for (name, role) in [("second", "operator"), ("bob", "admin")] {
        let typed = [("name", name), ("role", role), ("organization", text(&acme, "id"))];
        root.send("/members/new", "/members/new", &typed).await.expect(303);
    }
    assert_eq!(
        harness.get(&format!("/v1/users/{}", id_of(&harness, "bob").await)).await.expect(200)["role"],
        json!("admin")
    );
    let again =
        root.send("/members/new", "/members/new", &[("name", "bob"), ("role", "operator")]).await.expect(422).read();
    assert!(again.contains("There is a user with this name already."), "{again}");
}

#[tokio::test]
async fn nobody_changes_or_deletes_themselves_here() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let path = format!("/members/{}", id_of(&harness, "ada").await);
    let page = ada.get(&path).await.expect(200);
    assert!(page.read().contains("This is you.") && !page.text.contains(&format!("{path}/delete")), "{}", page.text);
    let delete = format!("{path}/delete");
    ada.get(&delete).await.expect(409);
    let before = harness.get("/v1/users").await.expect(200);
    for action in [&path, &delete] {
        // A form that no page has, with the token of one that is there.
        let mut fields = ada.get("/members/new").await.expect(200).fields("/members/new");
        fields.push(("name".to_owned(), "someone else".to_owned()));
        let refused = ada.post(action, &fields, &[]).await.expect(409).read();
        assert!(refused.contains("This is you."), "{refused}");
    }
    assert_eq!(harness.get("/v1/users").await.expect(200), before);
}

#[tokio::test]
async fn an_operator_says_where_a_member_belongs() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let again = root.send("/members/new", "/members/new", &[("name", "bob")]).await.expect(422).read();
    assert!(again.contains("Say to which organization the user belongs."), "{again}");
    let acme = harness.get("/v1/organizations").await.expect(200)["items"][0].clone();
    let typed = [("name", "bob"), ("organization", text(&acme, "id"))];
    root.send("/members/new", "/members/new", &typed).await.expect(303);
    let path = format!("/members/{}", id_of(&harness, "bob").await);
    assert!(root.get(&path).await.expect(200).read().contains("Organization acme"));
}

#[tokio::test]
async fn members_are_not_for_members() {
    let harness = Harness::furnished().await;
    let mut bob = Visitor::signed_in(&harness, "bob", RoleName::Member).await;
    assert!(!bob.get("/keys").await.expect(200).text.contains("href=\"/members\""));
    bob.get("/members/new").await.expect(404);
    bob.get("/audit").await.expect(403);
}
