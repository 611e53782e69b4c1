//! APIs in the console, without a browser.

use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

async fn id_of(harness: &Harness, name: &str) -> String {
    let apis = harness.get("/v1/apis").await.expect(200);
    let found = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == name).expect(name);
    text(found, "id").to_owned()
}

#[tokio::test]
async fn an_operator_creates_changes_and_deletes_an_api() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let typed =
        [("name", "chat"), ("path_prefix", "/chat"), ("hosts", "a.example\r\nb.example"), ("price_call", "0.0001")];
    let place = root.send("/apis/new", "/apis/new", &typed).await.expect(303).place().to_owned();
    assert!(root.get(&place).await.expect(200).read().contains("Created."));
    let id = id_of(&harness, "chat").await;
    let api = harness.get(&format!("/v1/apis/{id}")).await.expect(200);
    assert_eq!(api["match"], json!({"hosts": ["a.example", "b.example"], "path_prefix": "/chat"}));
    assert_eq!((&api["price"]["per_call_micros"], &api["rate_limit"]), (&json!(100), &json!(null)));
    let path = format!("/apis/{id}");
    let page = root.get(&path).await.expect(200);
    let mut fields = page.fields(&path);
    let limit = fields.iter_mut().find(|(name, _)| name == "limit").unwrap();
    limit.1 = "60".to_owned();
    let place = root.post(&path, &fields, &[]).await.expect(303).place().to_owned();
    assert!(root.get(&place).await.expect(200).read().contains("60 requests per minute, for each key"));
    let delete = format!("{path}/delete");
    let place = root.send(&delete, &delete, &[]).await.expect(303).place().to_owned();
    assert!(root.get(&place).await.expect(200).read().contains("Deleted."));
    root.get(&path).await.expect(404);
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_a_preview_changes_nothing() {
    let harness = Harness::furnished().await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let before = harness.fingerprint().await;
    let typed = [("name", ""), ("path_prefix", "v1"), ("hosts", "a:80"), ("price_call", "much")];
    let again = root.send("/apis/new", "/apis/new", &typed).await.expect(422);
    assert!(again.read().contains("Expected an amount such as 12.50"), "{}", again.read());
    let again = root.send("/apis/new", "/apis/new", &typed[..3]).await.expect(422).read();
    for fault in ["A name has 1 to 100 characters", "“a:80”: expected a host name", "A path prefix"] {
        assert!(again.contains(fault), "{fault}: {again}");
    }
    let kind = [("name", "x"), ("path_prefix", "/x"), ("kind", "dedicated")];
    let again = root.send("/apis/new", "/apis/new", &kind).await.expect(422).read();
    assert!(again.contains("A dedicated API belongs to an organization: say which."), "nobody is chosen by chance");
    let window = [("name", "x"), ("path_prefix", "/x"), ("limit", "1"), ("windows", "99"), ("length", "604800")];
    let again = root.send("/apis/new", "/apis/new", &window).await.expect(422).read();
    assert!(again.contains("Window: expected 1 second to 31 days."), "{again}");
    let row = [("name", "x"), ("path_prefix", "/x"), ("limit", "60"), ("preview", "yes")];
    let shown = root.send("/apis/new", "/apis/new", &row).await.expect(200).read();
    assert!(shown.contains("60 requests per minute, for each key."), "{shown}");
    assert_eq!(harness.fingerprint().await, before);
}

#[tokio::test]
async fn an_admin_sets_the_limits_of_the_own_apis_and_a_member_reads() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let mut bob = Visitor::signed_in(&harness, "bob", RoleName::Member).await;
    let (own, shared) = (id_of(&harness, "private-echo").await, id_of(&harness, "echo").await);
    let path = format!("/apis/{own}");
    let page = ada.get(&path).await.expect(200);
    assert!(!page.text.contains("name=\"path_prefix\""), "the rest is not theirs to change");
    let place = ada.send(&path, &path, &[("limit", "5")]).await.expect(303).place().to_owned();
    assert!(ada.get(&place).await.read().contains("5 requests per minute"));
    for (visitor, id) in [(&mut ada, &shared), (&mut bob, &own)] {
        let page = visitor.get(&format!("/apis/{id}")).await.expect(200);
        assert!(!page.text.contains("data-preview"), "nothing to change");
    }
    ada.get("/apis/new").await.expect(403);
    ada.get(&format!("{path}/delete")).await.expect(403);
    harness.patch(&format!("/v1{path}"), json!({"count_tokens": false})).await.expect(200);
    let again = ada.send(&path, &path, &[("limit", "5"), ("unit", "tokens")]).await.expect(422).read();
    assert!(again.contains("The tokens of this API are not counted"), "{again}");
}
