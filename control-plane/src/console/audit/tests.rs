//! The audit in the console, without a browser.

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

#[tokio::test]
async fn what_was_done_and_refused_is_said_in_words_and_found_by_filters() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    ada.send("/keys/issue", "/keys/issue", &[("name", "batch jobs")]).await.expect(201);
    ada.get("/gateways").await.expect(403);
    let key = harness.get("/v1/keys").await.expect(200)["items"][0].clone();
    let page = ada.get("/audit").await.expect(200);
    assert!(page.read().contains("ada issued a key: batch jobs"), "{}", page.read());
    assert!(page.text.contains(&format!("/keys/{}", text(&key, "id"))));
    let refused = ada.get("/audit?outcome=refused").await.expect(200).read();
    assert!(refused.contains("looked at a gateway") && refused.contains("Refused, 403"), "{refused}");
    assert!(!refused.contains("batch jobs"));
    let none = ada.get("/audit?action=key.delete&from=2020-01-01T00%3A00").await.expect(200).read();
    assert!(none.contains("No entry matches."), "{none}");
    ada.get("/audit?action=anything").await.expect(400);
    ada.get("/audit?from=soon").await.expect(400);
}

#[tokio::test]
async fn the_audit_of_one_person_is_found_by_who_they_are_even_when_they_are_gone() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let mut eve = Visitor::signed_in(&harness, "eve", RoleName::Admin).await;
    eve.send("/keys/issue", "/keys/issue", &[("name", "of eve")]).await.expect(201);
    let users = harness.get("/v1/users").await.expect(200);
    let found = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "eve").unwrap();
    let eves = format!("/audit?user={}", text(found, "id"));
    let page = root.get("/audit").await.expect(200);
    assert!(page.text.contains(&format!("href=\"{eves}\"")), "{}", page.text);
    assert!(page.read().contains("created a member: eve"), "{}", page.read());
    let of_eve = root.get(&eves).await.expect(200);
    assert!(of_eve.read().contains("eve issued a key") && !of_eve.read().contains("created a member: eve"));
    harness.delete(&format!("/v1/users/{}", text(found, "id"))).await.expect(200);
    let gone = root.get(&eves).await.expect(200);
    assert!(gone.read().contains("eve issued a key"), "{}", gone.read());
    assert_eq!(gone.fields("/audit")[0], ("user".to_owned(), text(found, "id").to_owned()));
    let deletion = root.get("/audit?action=user.delete").await.expect(200);
    assert!(deletion.read().contains("deleted a member: eve"), "{}", deletion.read());
    assert!(!deletion.text.contains(&format!("/members/{}", text(found, "id"))), "nothing is left there");
    root.get("/audit?user=nobody").await.expect(200);
}
