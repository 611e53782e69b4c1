//! A browser without a screen: it keeps cookies, finds the form that is meant and sends it with what a person fills in.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, Request};
use form_urlencoded::Serializer;
use http_body_util::BodyExt;
use scraper::{ElementRef, Html, Selector};
use serde_json::json;
use tower::ServiceExt;

use crate::api::testing::Harness;
use crate::console::{Settings, headers, router};
use crate::domain::user::RoleName;

/// Everyone's password.
pub const PASSWORD: &str = "correct horse battery";
/// Where the console is, as the visitor sees it.
pub const HOST: &str = "127.0.0.1:8080";

/// Somebody before a browser.
pub struct Visitor {
    router: Router,
    pub cookies: BTreeMap<String, String>,
}

/// A page, or an answer that leads to one.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Visitor {
    /// Somebody who is not signed in.
    pub fn new(harness: &Harness) -> Self {
        Self::at(
            harness,
            Settings { gateway_url: Some("http://127.0.0.1:10000".parse().unwrap()), ..Settings::default() },
        )
    }

    /// The same before a console with these settings.
    pub fn at(harness: &Harness, settings: Settings) -> Self {
        Self { router: router(harness.app.clone(), harness.router.clone(), settings), cookies: BTreeMap::new() }
    }

    /// Someone new of `acme`, or an operator, who is signed in.
    pub async fn signed_in(harness: &Harness, name: &str, role: RoleName) -> Self {
        let mut body = json!({"name": name, "role": role, "password": PASSWORD});
        if role != RoleName::Operator {
            body["organization"] = json!("acme");
        }
        harness.post("/v1/users", body).await.expect(201);
        let mut visitor = Self::new(harness);
        visitor.get("/sign-in").await.expect(200);
        let answer = visitor.send("/sign-in", "/sign-in", &[("name", name), ("password", PASSWORD)]).await;
        assert_eq!(answer.expect(303).place(), "/keys");
        visitor
    }

    /// The page at `path`.
    pub async fn get(&mut self, path: &str) -> Page {
        self.request(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// The page at a path that there is none at, as a browser asks for it.
    pub async fn lost(&mut self, path: &str) -> Page {
        self.request(Request::get(path).header("accept", "text/html,*/*;q=0.8").body(Body::empty()).unwrap()).await
    }

    /// Fills in the form of the page at `path` that goes to `action`, and sends it. What is not filled in is sent as the
    /// page has it.
    pub async fn send(&mut self, path: &str, action: &str, filled_in: &[(&str, &str)]) -> Page {
        let page = self.get(path).await;
        let mut fields = page.fields(action);
        for (name, _) in filled_in {
            fields.retain(|(field, _)| field != name);
        }
        fields.extend(filled_in.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(action, &fields, &[(ORIGIN, &format!("http://{HOST}"))]).await
    }

    /// Sends these fields, as any page could.
    pub async fn post(&mut self, path: &str, fields: &[(String, String)], headers: &[(HeaderName, &str)]) -> Page {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.request(request.body(Body::from(body)).unwrap()).await
    }

    async fn request(&mut self, mut request: Request<Body>) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        request.headers_mut().insert("host", HOST.parse().unwrap());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers[CONTENT_SECURITY_POLICY], headers::POLICY);
        assert_eq!(parts.headers["cache-control"], "no-store");
        for cookie in parts.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    fn keep(&mut self, cookie: &str) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        if cookie.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Page {
    /// The same, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Where it leads.
    #[track_caller]
    pub fn place(&self) -> &str {
        self.headers.get(LOCATION).unwrap_or_else(|| panic!("{}: {}", self.status, self.text)).to_str().unwrap()
    }

    /// What it says to a reader, white space put together.
    pub fn read(&self) -> String {
        let page = Html::parse_document(&self.text);
        let main = page.select(&Selector::parse("main").unwrap()).next().expect("a main part").text();
        main.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    }

    /// The values of the elements that match.
    pub fn values(&self, selector: &str) -> Vec<String> {
        let page = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        let values = page.select(&selector).filter_map(|element| element.value().attr("value"));
        values.map(str::to_owned).collect()
    }

    /// What the form that goes to `action` would send as it is.
    #[track_caller]
    pub fn fields(&self, action: &str) -> Vec<(String, String)> {
        let page = Html::parse_document(&self.text);
        let form = Selector::parse(&format!("form[action='{action}']")).unwrap();
        let form = page.select(&form).next().unwrap_or_else(|| panic!("no form to {action}: {}", self.text));
        let fields = Selector::parse("input[name], select[name], textarea[name]").unwrap();
        form.select(&fields).filter_map(field).collect()
    }
}

/// What a field would send.
fn field(element: ElementRef<'_>) -> Option<(String, String)> {
    let value = element.value();
    let name = value.attr("name")?.to_owned();
    let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
    match (value.name(), value.attr("type").unwrap_or_default()) {
        ("select", _) => {
            let options = Selector::parse("option").unwrap();
            let all: Vec<_> = element.select(&options).collect();
            let chosen = all.iter().find(|option| option.value().attr("selected").is_some()).or(all.first())?;
            Some((name, of(chosen.value().attr("value"))))
        }
        ("textarea", _) => Some((name, element.text().collect())),
        (_, "checkbox" | "radio") => value.attr("checked").map(|_| (name, of(value.attr("value")))),
        (_, "submit") => None,
        _ => Some((name, of(value.attr("value")))),
    }
}
