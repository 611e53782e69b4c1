//! Who gets in, what a forged form gets, and what cookies and headers promise.

use std::time::Duration;

use axum::http::HeaderName;
use axum::http::header::ORIGIN;
use serde_json::json;

use super::visitor::{HOST, PASSWORD, Visitor};
use crate::api::testing::{Harness, text};
use crate::console::Settings;
use crate::domain::user::RoleName;

#[tokio::test]
async fn nobody_sees_a_page_without_a_session_and_comes_back_to_it_after_signing_in() {
    let harness = Harness::furnished().await;
    harness.person("ada", RoleName::Member).await;
    let mut visitor = Visitor::new(&harness);
    let place = visitor.get("/keys?kind=dedicated").await.expect(303).place().to_owned();
    assert_eq!(place, "/sign-in?next=%2Fkeys%3Fkind%3Ddedicated");
    let body = json!({"name": "eve", "role": "member", "organization": "acme", "password": PASSWORD});
    harness.post("/v1/users", body).await.expect(201);
    visitor.get(&place).await.expect(200);
    let answer = visitor.send(&place, "/sign-in", &[("name", "eve"), ("password", PASSWORD)]).await;
    assert_eq!(answer.expect(303).place(), "/keys?kind=dedicated");
    assert!(visitor.get("/keys").await.expect(200).read().contains("No serverless key yet."));
}

#[tokio::test]
async fn the_cookie_is_a_session_that_signing_out_ends() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    let token = ada.cookies["portcullis-session"].clone();
    let of = |token: &str| format!("Bearer {token}");
    let call = || harness.call("GET", "/v1/keys").authorization(Some(&of(&token))).send();
    call().await.expect(200);
    assert_eq!(ada.send("/keys", "/sign-out", &[]).await.expect(303).place(), "/sign-in");
    assert!(!ada.cookies.contains_key("portcullis-session"));
    call().await.expect(401);
    ada.cookies.insert("portcullis-session".to_owned(), token.clone());
    ada.get("/keys").await.expect(303);
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_and_with_its_user() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    let mut bob = Visitor::signed_in(&harness, "bob", RoleName::Member).await;
    let users = harness.get("/v1/users").await.expect(200);
    let bob_id = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "bob").unwrap()["id"].clone();
    harness.delete(&format!("/v1/users/{}", bob_id.as_str().unwrap())).await.expect(200);
    bob.get("/keys").await.expect(303);
    harness.advance(Duration::from_secs(12 * 60 * 60) - Duration::from_millis(1));
    ada.get("/keys").await.expect(200);
    harness.advance(Duration::from_millis(1));
    ada.get("/keys").await.expect(303);
}

#[tokio::test]
async fn guessing_at_a_password_has_to_wait_and_says_nothing_of_accounts() {
    let harness = Harness::furnished().await;
    let body = json!({"name": "ada", "role": "member", "organization": "acme", "password": PASSWORD});
    harness.post("/v1/users", body).await.expect(201);
    let mut visitor = Visitor::new(&harness);
    visitor.get("/sign-in").await.expect(200);
    let mut said = Vec::new();
    for name in ["ada", "nobody", "ada", "ada", "ada", "ada"] {
        let answer = visitor.send("/sign-in", "/sign-in", &[("name", name), ("password", "wrong")]).await.expect(422);
        assert!(!answer.text.contains("value=\"wrong\""), "a password is never sent back");
        said.push(answer.read());
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains("Wrong name or password."), "{}", said[0]);
    let answer = visitor.send("/sign-in", "/sign-in", &[("name", "ada"), ("password", PASSWORD)]).await.expect(422);
    assert!(answer.read().contains("Too many failed attempts. Try again in"), "{}", answer.read());
}

#[tokio::test]
async fn an_operator_signs_in_with_an_access_token_which_is_not_what_the_browser_keeps() {
    let harness = Harness::furnished().await;
    let root = harness.person("root", RoleName::Operator).await;
    let mut visitor = Visitor::new(&harness);
    visitor.get("/sign-in").await.expect(200);
    for wrong in ["wrong", "", "pc_adm_ä"] {
        let answer = visitor.send("/sign-in", "/sign-in/token", &[("token", wrong)]).await.expect(422);
        assert!(answer.read().contains("not valid"), "{}", answer.read());
    }
    visitor.send("/sign-in", "/sign-in/token", &[("token", &root.token)]).await.expect(303);
    assert_ne!(visitor.cookies["portcullis-session"], root.token);
    assert!(visitor.get("/account").await.expect(200).read().contains("root"));
    visitor.send("/keys", "/sign-out", &[]).await.expect(303);
    harness.call("GET", "/v1/keys").by(&root).send().await.expect(200);
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_is_refused_and_changes_nothing() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    let mut bob = Visitor::signed_in(&harness, "bob", RoleName::Admin).await;
    let path = format!("/keys/{}/delete", text(&key, "id"));
    let fields = ada.get(&path).await.expect(200).fields(&path);
    let own = format!("http://{HOST}");
    let site = HeaderName::from_static("sec-fetch-site");
    let before = harness.fingerprint().await;
    let wrong = vec![("form_token".to_owned(), "0".repeat(64))];
    for (fields, headers) in [
        (Vec::new(), vec![(ORIGIN, own.as_str())]),
        (wrong, vec![(ORIGIN, own.as_str())]),
        (bob.get(&path).await.fields(&path), vec![(ORIGIN, own.as_str())]),
        (fields.clone(), vec![(ORIGIN, "https://evil.example")]),
        (fields.clone(), vec![(ORIGIN, "null")]),
        (fields.clone(), vec![(ORIGIN, "http://127.0.0.1:8081")]),
        (fields.clone(), vec![(ORIGIN, own.as_str()), (site.clone(), "cross-site")]),
        (fields.clone(), vec![(site.clone(), "same-site")]),
    ] {
        let answer = ada.post(&path, &fields, &headers).await;
        assert_eq!(answer.status, 403, "{fields:?} {headers:?}");
        assert!(answer.read().contains("Nothing was changed."));
    }
    assert_eq!(harness.fingerprint().await, before);
    ada.post(&path, &fields, &[(ORIGIN, &own), (site, "same-origin")]).await.expect(303);
}

#[tokio::test]
async fn a_sign_in_form_from_elsewhere_is_refused() {
    let harness = Harness::furnished().await;
    let mut visitor = Visitor::new(&harness);
    let fields = vec![("name".to_owned(), "ada".to_owned()), ("password".to_owned(), PASSWORD.to_owned())];
    visitor.post("/sign-in", &fields, &[]).await.expect(403);
    let page = visitor.get("/sign-in").await.expect(200);
    visitor.post("/sign-in", &fields, &[]).await.expect(403);
    visitor.post("/sign-in", &page.fields("/sign-in"), &[(ORIGIN, "https://evil.example")]).await.expect(403);
}

#[tokio::test]
async fn cookies_are_out_of_reach_for_scripts_and_under_tls_for_everyone_else() {
    let harness = Harness::furnished().await;
    let cookie = async |origin: Option<&str>| {
        let settings = Settings { public_url: origin.map(|origin| origin.parse().unwrap()), ..Settings::default() };
        let page = Visitor::at(&harness, settings).get("/sign-in").await.expect(200);
        page.headers["set-cookie"].to_str().unwrap().to_owned()
    };
    let plain = cookie(None).await;
    assert!(plain.starts_with("portcullis-visitor="), "{plain}");
    for promise in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(plain.contains(promise), "{plain}");
    }
    assert!(!plain.contains("Secure") && !plain.contains("Domain"), "{plain}");
    let secure = cookie(Some("https://keys.example.com")).await;
    assert!(secure.starts_with("__Host-portcullis-visitor=") && secure.contains("; Secure"), "{secure}");
}

#[tokio::test]
async fn with_its_own_address_set_no_other_host_will_do() {
    let harness = Harness::furnished().await;
    let settings = Settings { public_url: Some("https://keys.example.com".parse().unwrap()), ..Settings::default() };
    let mut visitor = Visitor::at(&harness, settings);
    let fields = visitor.get("/sign-in").await.expect(200).fields("/sign-in");
    visitor.post("/sign-in", &fields, &[(ORIGIN, "http://127.0.0.1:8080")]).await.expect(403);
    visitor.post("/sign-in", &fields, &[(ORIGIN, "https://keys.example.com")]).await.expect(422);
}

#[tokio::test]
async fn what_is_no_page_is_the_admin_api() {
    let harness = Harness::furnished().await;
    let mut visitor = Visitor::signed_in(&harness, "ada", RoleName::Admin).await;
    assert_eq!(visitor.get("/").await.expect(303).place(), "/keys");
    for path in ["/keys/key_0000000000000", "/keys/..%2Fusers", "/receipts/x", "/receipts/999999"] {
        assert!(visitor.get(path).await.expect(404).read().contains("Not found"), "{path}");
    }
    let lost = harness.call("GET", "/nothing").anonymous();
    let page = visitor.lost("/nothing").await.expect(404);
    assert!(page.read().contains("Not found"));
    assert_eq!(lost.send().await.expect(404)["title"], "Not Found");
    // A session is no way into the API itself: that takes a header which no other site can have a browser send.
    harness.call("GET", "/v1/keys").anonymous().send().await.expect(401);
}
