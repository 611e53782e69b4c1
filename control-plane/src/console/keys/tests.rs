//! The story of a key in the console, without a browser.

use serde_json::json;

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::{Page, Visitor};
use crate::domain::user::RoleName;

/// Issues a key of this kind, and returns the page with its secret.
async fn issue(visitor: &mut Visitor, kind: &str, filled_in: &[(&str, &str)]) -> Page {
    let path = format!("/keys/issue?kind={kind}");
    visitor.send(&path, "/keys/issue", filled_in).await
}

/// The id of the key that a page is about.
fn id_of(page: &Page) -> String {
    let (_, rest) = page.text.split_once("/keys/key_").expect("a link to the key");
    format!("key_{}", &rest[..13])
}

#[tokio::test]
async fn a_key_is_issued_in_each_tab_and_its_secret_shown_once() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    let issued = issue(&mut ada, "serverless", &[("name", "batch jobs")]).await.expect(201);
    let secret = issued.values("#secret").remove(0);
    assert!(secret.starts_with("pc_sls_") && issued.text.contains(&format!("Authorization: Bearer {secret}")));
    assert!(issued.read().contains("http://127.0.0.1:10000/v1/chat/completions"), "{}", issued.read());
    let id = id_of(&issued);
    let key = harness.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!((text(&key, "name"), text(&key, "created_by_name")), ("batch jobs", "ada"));
    assert_eq!(key["expires_at"], "2027-04-01T00:00:00Z", "90 days, unless another time is chosen");
    for path in ["/keys".to_owned(), format!("/keys/{id}"), format!("/keys/{id}/delete")] {
        let page = ada.get(&path).await.expect(200);
        assert!(page.read().contains("batch jobs") && !page.text.contains(&secret), "{path}");
    }
    let dedicated = [("name", "own"), ("rate_limit", "yes"), ("expiry", "never"), ("scope", "some")];
    let apis = harness.get("/v1/apis").await.expect(200);
    let own = apis["items"].as_array().unwrap().iter().find(|api| api["kind"] == "dedicated").unwrap();
    let api = text(own, "id").to_owned();
    let dedicated = [&dedicated[..], &[("apis", &api)]].concat();
    let issued = issue(&mut ada, "dedicated", &dedicated).await.expect(201);
    let key = harness.get(&format!("/v1/keys/{}", id_of(&issued))).await.expect(200);
    assert_eq!(
        (&key["rate_limit_enabled"], &key["expires_at"], &key["apis"]),
        (&json!(true), &json!(null), &json!([api]))
    );
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let before = harness.fingerprint().await;
    let typed = [("name", " "), ("expiry", "at"), ("expires_at", "2020-01-01T00:00"), ("budget_cost", "12.50")];
    let again = issue(&mut ada, "serverless", &typed).await.expect(422);
    assert!(again.read().contains("A name has 1 to 100 characters"), "{}", again.read());
    assert_eq!(again.values("#budget_cost"), ["12.50"]);
    let typed = [("name", "k"), ("expiry", "at"), ("expires_at", "2020-01-01T00:00")];
    let again = issue(&mut ada, "serverless", &typed).await.expect(422);
    assert!(again.read().contains("The expiry must lie in the future."), "{}", again.read());
    let again = issue(&mut ada, "serverless", &[("name", "k"), ("budget_cost", "a lot")]).await.expect(422);
    assert!(again.read().contains("Expected an amount such as 12.50"), "{}", again.read());
    assert_eq!(harness.fingerprint().await, before);
}

#[tokio::test]
async fn sending_the_form_twice_makes_one_key() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    let mut fields = ada.get("/keys/issue").await.expect(200).fields("/keys/issue");
    fields.retain(|(name, _)| name != "name");
    fields.push(("name".to_owned(), "once".to_owned()));
    let first = ada.post("/keys/issue", &fields, &[]).await.expect(201);
    let second = ada.post("/keys/issue", &fields, &[]).await.expect(201);
    assert_eq!(id_of(&first), id_of(&second));
    assert_ne!(first.values("#secret"), second.values("#secret"));
    assert_eq!(harness.get("/v1/keys").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_is_changed_reissued_and_deleted_with_its_receipt() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let id = text(
        &harness.post("/v1/keys", json!({"kind": "dedicated", "name": "k", "organization": "acme"})).await.json,
        "id",
    )
    .to_owned();
    let at = |what: &str| format!("/keys/{id}/{what}");
    let changed = ada.send(&at("change"), &at("change"), &[("name", "new name"), ("budget_tokens", "1,000")]).await;
    let place = changed.expect(303).place().to_owned();
    let page = ada.get(&place).await.expect(200).read();
    assert!(page.contains("Saved.") && page.contains("1,000 tokens"), "{page}");
    let key = harness.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!((&key["name"], &key["expires_at"]), (&json!("new name"), &json!(null)));
    assert_eq!(key["monthly_budget"], json!({"tokens": 1_000}));
    let asked = ada.get(&at("reissue")).await.expect(200).read();
    assert!(asked.contains("Reissue new name?") && asked.contains("No calls"), "{asked}");
    let reissued = ada.send(&at("reissue"), &at("reissue"), &[]).await.expect(201);
    assert!(
        reissued.values("#secret")[0].starts_with("pc_ded_") && reissued.read().contains("The old secret is dead.")
    );
    let place = ada.send(&at("delete"), &at("delete"), &[]).await.expect(303).place().to_owned();
    let page = ada.get(&place).await.expect(200).read();
    assert!(page.contains("Deleted. No gateway is connected"), "{page}");
    assert!(!ada.get("/keys?kind=dedicated").await.read().contains("new name"));
    assert!(ada.get("/keys?kind=dedicated&status=revoked").await.read().contains("new name"));
}

#[tokio::test]
async fn a_member_sees_no_key_of_anyone_else() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    let mut bob = Visitor::signed_in(&harness, "bob", RoleName::Member).await;
    let id = id_of(&issue(&mut ada, "serverless", &[("name", "of ada")]).await.expect(201));
    assert!(!bob.get("/keys").await.expect(200).read().contains("of ada"));
    for what in ["", "/change", "/reissue", "/delete"] {
        bob.get(&format!("/keys/{id}{what}")).await.expect(404);
    }
}

#[tokio::test]
async fn keys_are_searched_sorted_and_paged() {
    let harness = Harness::furnished().await;
    for number in 0..60 {
        harness.issue(&format!("key {number:02}")).await;
    }
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let first = root.get("/keys?sort=name").await.expect(200);
    assert!(first.read().contains("key 00") && !first.read().contains("key 50"));
    let (_, rest) = first.text.split_once("rel=\"next\" href=\"").expect("a next page");
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");
    let second = root.get(&next).await.expect(200).read();
    assert!(second.contains("key 59") && !second.contains("key 39"), "{second}");
    assert!(root.get("/keys?q=key+17").await.expect(200).read().contains("key 17"));
    assert!(root.get("/keys?q=nothing").await.expect(200).read().contains("No key matches."));
    root.get("/keys?sort=secret").await.expect(400);
}
