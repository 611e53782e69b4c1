//! What others may try: script in names, and forms that no page of the console has sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_tests::house::House;
use portcullis_tests::machine;
use portcullis_tests::office::Office;
use serde_json::{Value, json};

/// What breaks out of text, attributes, comments and scripts where those are not written as they must be; and what breaks
/// layouts.
const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'--></title></textarea><svg onload=alert(1)>",
    "\" autofocus onfocus=alert(1) x=\"",
    "javascript:alert(1)//{{7*7}}${7*7}%0d%0a",
    "&lt;b&gt;&#x202e;\u{202e}\u{200d}👩\u{200d}💻",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
];

/// A name with one of them behind it, each in turn.
fn hostile(name: &str) -> String {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    format!("{name} {}", HOSTILE[TURN.fetch_add(1, Ordering::Relaxed) % HOSTILE.len()])
}

#[tokio::test(flavor = "multi_thread")]
async fn script_in_whatever_people_name_stays_text_on_every_page() {
    let _shared = machine::among_others().await;
    let office = Office::open_with_names(HOSTILE.len(), hostile).await;
    let typed: Vec<&String> = office.names.values().collect();
    let input = json!({"places": office.places, "names": office.names, "typed": typed});
    office.house.browse("hostile.py", input).await;
}

/// Everything that a form could change.
async fn state(house: &House) -> Vec<Value> {
    let admin = house.admin();
    let mut all = Vec::new();
    for section in ["keys", "apis", "organizations", "users", "gateways"] {
        let mut items = admin.list(&format!("/v1/{section}")).await.unwrap();
        // Workers come and go by themselves.
        for item in &mut items {
            item["workers"] = Value::Null;
        }
        all.extend(items);
    }
    let tokens = admin.list("/v1/tokens").await.unwrap().into_iter();
    // Whoever signs in has one.
    all.extend(tokens.filter(|token| token["name"] != "session"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_is_taken_that_a_page_of_the_console_has_not_sent() {
    let _shared = machine::among_others().await;
    let office = Office::open(1).await;
    let before = state(&office.house).await;
    let tried = office.house.browse("forgery.py", json!({"places": office.places})).await;
    assert_eq!(state(&office.house).await, before);
    let tried = tried.as_array().expect("a list");
    println!("{} forms without their token and from elsewhere: {}", tried.len(), Value::from(tried.clone()));
    for path in ["/keys/issue", "/account/password", "/sign-in", "/sign-out", "/members/new", "/gateways/new"] {
        assert!(tried.iter().any(|form| form == path), "{path} is not among them");
    }
}
