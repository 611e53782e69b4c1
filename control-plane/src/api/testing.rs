//! A control plane on a database of its own, for the tests of one operation each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use portcullis_core::digest::Digest;
use portcullis_core::key::{Brand, Kind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use super::caller::Peer;
use super::{App, router};
use crate::domain::environment::{Clock, Entropy};
use crate::domain::gateway::Serves;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{Role, RoleName, User};
use crate::fleet::{Fleet, keeper};
use crate::metrics::Metrics;
use crate::storage::{Location, NewToken, NewUser, Store, StoreOptions};

/// 2027-01-01T00:00:00Z.
pub const START_MS: u64 = 1_798_761_600_000;
const TOKEN: &str = "operator-token-of-the-tests-0123456789";

pub struct Harness {
    pub app: App,
    pub store: Store,
    pub fleet: Fleet,
    pub router: Router,
    pub metrics: Metrics,
    pub now_ms: Arc<AtomicU64>,
    pub directory: TempDir,
    /// The keeper of the fleet ends with the harness.
    _stop: watch::Sender<bool>,
}

/// A clock that a test moves.
fn clock(now_ms: &Arc<AtomicU64>) -> Clock {
    let now_ms = Arc::clone(now_ms);
    Clock::from_fn(move || Timestamp::from_unix_ms(now_ms.load(Ordering::SeqCst)))
}

impl Harness {
    pub async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    pub async fn on(directory: TempDir) -> Self {
        let now_ms = Arc::new(AtomicU64::new(START_MS));
        let options = StoreOptions {
            location: Location::Sqlite(directory.path().join("portcullis.db")),
            busy_timeout: Duration::from_secs(5),
            clock: clock(&now_ms),
            entropy: Entropy::system(),
        };
        let store = Store::open(&options).await.unwrap();
        let mut write = store.write(None).await.unwrap();
        write.set_bootstrap_token(Digest::of(TOKEN.as_bytes())).await.unwrap();
        write.commit().await.unwrap();
        let metrics = Metrics::default();
        let fleet = Fleet::open(&store, metrics.clone()).await.unwrap();
        let app = App::new(store.clone(), Brand::default(), fleet.clone(), &metrics);
        let (stop, stopping) = watch::channel(false);
        let kept = fleet.clone();
        tokio::spawn(async move { keeper::keep(&kept, stopping).await });
        Self { router: router(app.clone()), app, metrics, store, fleet, now_ms, directory, _stop: stop }
    }

    /// One with the organization `acme`, the serverless API `echo` and its dedicated API `private-echo`.
    pub async fn furnished() -> Self {
        let harness = Self::new().await;
        harness.post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
        let echo = json!({"name": "echo", "kind": "serverless", "match": {"path_prefix": "/v1"}});
        harness.post("/v1/apis", echo).await.expect(201);
        let private = json!({"name": "private-echo", "kind": "dedicated", "organization": "acme",
                             "match": {"path_prefix": "/dedicated/v1"}});
        harness.post("/v1/apis", private).await.expect(201);
        harness
    }

    /// A new user of `acme`, or an operator, with an access token.
    pub async fn person(&self, name: &str, role: RoleName) -> Person {
        self.person_of(name, role, "acme").await
    }

    /// A new user of this organization, or an operator, with an access token.
    pub async fn person_of(&self, name: &str, role: RoleName, organization: &str) -> Person {
        self.person_until(name, role, organization, None).await
    }

    /// A new user whose access token ends at an instant.
    pub async fn person_until(
        &self,
        name: &str,
        role: RoleName,
        organization: &str,
        expires_at: Option<Timestamp>,
    ) -> Person {
        let mut write = self.store.write(None).await.unwrap();
        let home = match role {
            RoleName::Operator => None,
            RoleName::Admin | RoleName::Member => {
                Some(write.view().organization_named(organization).await.unwrap().unwrap().id)
            }
        };
        let role = Role::new(role, home).unwrap();
        let name = Name::parse(name).unwrap();
        let user = write.create_user(NewUser { name: name.clone(), role, password_hash: None }).await.unwrap().unwrap();
        let secret = self.store.entropy().key(&Brand::default(), Kind::Access).unwrap();
        let new = NewToken { name, expires_at };
        write.create_token(&user, new, &secret).await.unwrap();
        write.commit().await.unwrap();
        Person { user, token: secret.reveal().to_owned() }
    }

    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    pub fn revision(&self) -> u64 {
        self.store.feed().news().revision
    }

    pub fn call(&self, method: &str, path: &str) -> Call {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        Call { router: self.router.clone(), request: request.body(Body::empty()).unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path).json(&body).send().await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path).json(&body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send().await
    }

    /// Issues a serverless key and returns the answer's body.
    pub async fn issue(&self, name: &str) -> Value {
        self.post("/v1/keys", json!({"kind": "serverless", "name": name})).await.expect(201)
    }

    /// Checks that the operation refuses a caller without a token and one with a wrong token.
    pub async fn assert_guarded(&self, method: &str, path: &str) {
        for token in [None, Some("Bearer wrong"), Some("Basic dTpw")] {
            let answer = self.call(method, path).authorization(token).send().await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer realm="));
        }
    }

    /// The audit as an operator reads it, newest first.
    pub async fn audit(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/audit?limit=200&{query}")).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// What the revision is and what is in every table but the audit, to show that a refusal changed nothing.
    pub async fn fingerprint(&self) -> String {
        let snapshot = self.store.snapshot(&Serves::Everything).await.unwrap();
        let rest = [self.get("/v1/keys").await, self.get("/v1/apis").await];
        let more = [self.get("/v1/organizations").await, self.get("/v1/gateways").await];
        let people = [self.get("/v1/users").await, self.get("/v1/tokens").await];
        let lists = rest.iter().chain(&more).chain(&people).map(|answer| answer.json.to_string()).collect::<Vec<_>>();
        format!("{:?} {:?} {lists:?}", snapshot.at, snapshot.keys)
    }
}

/// Somebody who calls.
pub struct Person {
    pub user: User,
    pub token: String,
}

pub struct Call {
    router: Router,
    request: Request<Body>,
}

impl Call {
    pub fn authorization(mut self, value: Option<&str>) -> Self {
        self.request.headers_mut().remove("authorization");
        match value {
            Some(value) => self.header("authorization", value),
            None => self,
        }
    }

    /// Calls as this person instead of the first operator.
    pub fn by(self, person: &Person) -> Self {
        self.authorization(Some(&format!("Bearer {}", person.token)))
    }

    /// Calls from the other end of this connection.
    pub fn from(mut self, peer: Peer) -> Self {
        self.request.extensions_mut().insert(peer);
        self
    }

    pub fn anonymous(self) -> Self {
        self.authorization(None)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub fn body(mut self, media_type: &str, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self.header("content-type", media_type)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// The status of an answer that has no body.
    pub async fn status(self) -> u16 {
        self.router.oneshot(self.request).await.unwrap().status().as_u16()
    }

    /// The text of an answer that must be 200.
    pub async fn text(self) -> String {
        let response = self.router.oneshot(self.request).await.unwrap();
        assert_eq!(response.status(), 200);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    pub async fn send(self) -> Answer {
        let response = self.router.oneshot(self.request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["cache-control"], "no-store");
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if parts.status.is_client_error() || parts.status.is_server_error() {
            assert_eq!(parts.headers["content-type"], "application/problem+json");
            assert_eq!(json["status"], parts.status.as_u16());
            assert!(json["detail"].is_string() && json["title"].is_string());
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// The pointers of a 422.
    #[track_caller]
    pub fn pointers(self) -> Vec<String> {
        let json = self.expect(422);
        let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no errors in {json}"));
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a write answered, without its receipt.
#[track_caller]
pub fn without_receipt(mut answer: Value) -> Value {
    let receipt = answer.as_object_mut().unwrap().remove("propagation");
    assert!(receipt.is_some(), "no receipt in {answer}");
    answer
}

/// The text of a field.
#[track_caller]
pub fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}"))
}
