//! Advice in the console, without a browser.

use std::time::Duration;

use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

#[tokio::test]
async fn one_click_mends_what_is_advised_and_the_advice_is_gone() {
    let harness = Harness::furnished().await;
    let id = text(&harness.issue("for ever").await, "id").to_owned();
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let page = root.get("/advice").await.expect(200).read();
    assert!(page.contains("for ever") && page.contains("It never ends: if it gets out, it stays good."), "{page}");
    let place = root.send("/advice", "/advice/mend", &[]).await.expect(303).place().to_owned();
    let page = root.get(&place).await.expect(200).read();
    assert!(page.contains("The key now ends in a year.") && page.contains("Nothing to mend."), "{page}");
    let key = harness.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!(key["expires_at"], "2028-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_form_chooses_among_advice_and_never_what_is_done() {
    let harness = Harness::furnished().await;
    let body = json!({"kind": "serverless", "name": "ends", "expires_at": "2027-06-01T00:00:00Z"});
    let plain = harness.post("/v1/keys", body).await.expect(201);
    harness.issue("for ever").await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let before = harness.fingerprint().await;
    for (key, reason) in [(text(&plain, "id"), "never_expires"), ("key_0000000000000", "never_expires")] {
        root.send("/advice", "/advice/mend", &[("key", key), ("reason", reason)]).await.expect(303);
    }
    let gone = [("key", text(&plain, "id")), ("reason", "never_expires")];
    let place = root.send("/advice?reason=never_expires", "/advice/mend", &gone).await.expect(303).place().to_owned();
    assert_eq!(place, "/advice?reason=never_expires&done=settled");
    let page = root.get(&place).await.expect(200).read();
    assert!(page.contains("so nothing was changed.") && page.contains("1 piece of advice"), "{page}");
    root.send("/advice", "/advice/mend", &[("reason", "anything")]).await.expect(400);
    assert_eq!(harness.fingerprint().await, before);
    harness.advance(Duration::from_secs(40 * 24 * 60 * 60));
    let mut root = Visitor::signed_in(&harness, "rooter", RoleName::Operator).await;
    let key = [("key", text(&plain, "id")), ("reason", "unused")];
    let place = root.send("/advice", "/advice/mend", &key).await.expect(303).place().to_owned();
    assert_eq!(place, format!("/keys/{}/delete", text(&plain, "id")));
}
