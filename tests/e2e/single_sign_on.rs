//! People sign in to the console with a provider that is not ours, by nothing but what a browser does: it follows redirects,
//! keeps cookies, and shows pages.

use std::collections::BTreeMap;

use portcullis_tests::house::House;
use portcullis_tests::oidc::{OidcProvider, location};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::json;

/// The address at which a browser begins.
const BEGIN: &str = "/sign-in/oidc";

/// A browser, with the cookies of one site. It follows no redirect by itself, so that each can be looked at.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, cookies: BTreeMap::new() }
    }

    async fn get(&mut self, url: &str) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = self.http.get(url).header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"), "{name}:{attributes}");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Begins at the console; returns where the provider is.
    async fn begin(&mut self, console: &str) -> String {
        let answer = self.get(&format!("{console}{BEGIN}")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        location(&answer)
    }

    /// Whether the console shows keys to this browser.
    async fn sees_keys(&mut self, console: &str) -> bool {
        self.get(&format!("{console}/keys")).await.status() == StatusCode::OK
    }

    /// The page at which a refused sign-in ends.
    async fn refused(&mut self, console: &str, callback: &str) -> String {
        let mut answer = self.get(callback).await;
        if answer.status().is_redirection() {
            let next = location(&answer);
            answer = self.get(&format!("{console}{next}")).await;
        }
        let page = answer.text().await.unwrap();
        assert!(page.contains("Sign in with Acme"), "{page}");
        assert!(!self.sees_keys(console).await, "{callback} opened the console");
        page
    }
}

/// A house whose people sign in with the provider, and one who has no password.
async fn house() -> (House, OidcProvider) {
    let mut house = House::without_envoy().await;
    let people = [
        json!({"sub": "ada", "email": "ada@example.com", "email_verified": true}),
        json!({"sub": "mallory", "email": "ada@example.com", "email_verified": false}),
        json!({"sub": "stranger", "email": "stranger@example.com", "email_verified": true}),
    ];
    let provider = OidcProvider::start(house.folder(), &people).await;
    let ada = json!({"name": "ada@example.com", "role": "member", "organization": house.organization});
    house.admin().create("/v1/users", &ada).await.unwrap();
    house.stop_control_plane().await;
    for (name, value) in provider.environment(&house.admin_url()) {
        house.set(&name, value);
    }
    house.start_control_plane().await;
    (house, provider)
}

#[tokio::test]
async fn somebody_whom_the_provider_knows_and_we_know_is_let_in() {
    let (house, provider) = house().await;
    let console = house.admin_url();
    let mut browser = Browser::new();
    let page = browser.get(&format!("{console}/sign-in")).await.text().await.unwrap();
    assert!(page.contains("Sign in with Acme") && page.contains(BEGIN), "{page}");

    let out = browser.begin(&console).await;
    assert!(out.starts_with(provider.issuer()), "{out}");
    let back = provider.sign_in(&out, "ada").await;
    assert!(back.starts_with(&format!("{console}{BEGIN}/callback?")), "{back}");
    let answer = browser.get(&back).await;
    assert_eq!((answer.status(), location(&answer).as_str()), (StatusCode::SEE_OTHER, "/keys"));
    assert!(browser.sees_keys(&console).await);
    let account = browser.get(&format!("{console}/account")).await.text().await.unwrap();
    assert!(account.contains("ada@example.com"), "{account}");

    // What was brought back opens nothing a second time, in this browser or in another.
    browser.cookies.clear();
    browser.refused(&console, &back).await;
    Browser::new().refused(&console, &back).await;
}

#[tokio::test]
async fn nobody_else_is() {
    let (house, provider) = house().await;
    let console = house.admin_url();
    for subject in ["mallory", "stranger"] {
        let mut browser = Browser::new();
        let out = browser.begin(&console).await;
        let back = provider.sign_in(&out, subject).await;
        browser.refused(&console, &back).await;
    }
    let mut browser = Browser::new();
    let out = browser.begin(&console).await;
    let back = provider.decline(&out).await;
    browser.refused(&console, &back).await;

    // An answer to what another browser began is none: nobody is signed in as somebody else without noticing.
    let out = Browser::new().begin(&console).await;
    let back = provider.sign_in(&out, "ada").await;
    let mut victim = Browser::new();
    victim.begin(&console).await;
    victim.refused(&console, &back).await;
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_nobody_from_the_other_ways_in() {
    let (mut house, provider) = house().await;
    let console = house.admin_url();
    drop(provider);
    house.stop_control_plane().await;
    house.start_control_plane().await;
    let mut browser = Browser::new();
    let page = browser.refused(&console, &format!("{console}{BEGIN}")).await;
    assert!(page.contains("cannot be reached"), "{page}");
    assert!(page.contains("name=\"password\""), "{page}");
}
