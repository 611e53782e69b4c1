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
