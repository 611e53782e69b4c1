//! A client that wants things done and asks until it is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_tests::house::OPERATOR_TOKEN;
use portcullis_tests::random::Random;
use reqwest::{Client as Http, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::ledger::{Change, Ledger};

/// How many live keys a client has at most.
const KEYS_MAX: usize = 25;
/// How long an overlap lasts: longer than any run.
const OVERLAP_SECONDS: u32 = 604_800;
const PATIENCE: Duration = Duration::from_secs(10);
/// One request in so many is given up early, with its answer on its way or the write not done yet.
const GIVEN_UP_EARLY: u64 = 6;
/// How long such a request gets at most.
const EARLY_MS_MAX: u64 = 12;

/// What all clients share.
#[derive(Debug)]
pub struct Shared {
    pub http: Http,
    pub admin_url: String,
    pub organization: String,
    pub ledger: Mutex<Ledger>,
    /// Held for reading while a request is under way; whoever holds it for writing sees nothing move.
    pub gate: RwLock<()>,
    pub stopping: AtomicBool,
    pub written: AtomicU64,
    pub retried: AtomicU64,
    pub replayed: AtomicU64,
}

impl Shared {
    /// The ledger.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client.
#[derive(Debug)]
pub struct Client<'a> {
    shared: &'a Shared,
    name: char,
    random: Random,
    begun: u32,
    /// The names of its live keys.
    keys: Vec<String>,
}

impl<'a> Client<'a> {
    /// A client with this name.
    pub fn new(shared: &'a Shared, name: char, random: Random) -> Self {
        Self { shared, name, random, begun: 0, keys: Vec::new() }
    }

    /// Works until it is told to stop, and ends what it has begun.
    pub async fn run(mut self) {
        while !self.shared.stopping.load(Ordering::SeqCst) {
            self.begun += 1;
            let change = match self.random.below(10) {
                0..=2 => Change::Reissue,
                3..=4 => Change::Overlap,
                5..=6 => Change::Delete,
                _ => Change::Issue,
            };
            let change = match self.keys.len() {
                0 => Change::Issue,
                KEYS_MAX.. if change == Change::Issue => Change::Delete,
                _ => change,
            };
            self.see_through(change).await;
        }
    }

    async fn see_through(&mut self, change: Change) {
        let name = match change {
            Change::Issue => format!("{}{}", self.name, self.begun),
            Change::Reissue | Change::Overlap | Change::Delete => {
                let place = self.random.below(self.keys.len() as u64);
                self.keys.swap_remove(usize::try_from(place).expect("a small number"))
            }
        };
        self.shared.ledger().begin(&name, change);
        let (method, path, body) = self.request(&name, change);
        let answer = self.ask_until_answered(&method, &path, &body).await;
        self.shared.ledger().acknowledge(&name, &answer);
        self.shared.written.fetch_add(1, Ordering::SeqCst);
        if change == Change::Delete {
            assert_eq!(answer["status"], "revoked", "{name}");
        } else {
            self.keys.push(name);
        }
    }

    fn request(&self, name: &str, change: Change) -> (Method, String, Value) {
        let path = || format!("/v1/keys/{}", self.shared.ledger().key(name).id);
        match change {
            Change::Issue => {
                let body = json!({"kind": "serverless", "name": name, "organization": self.shared.organization});
                (Method::POST, "/v1/keys".to_owned(), body)
            }
            Change::Reissue => (Method::POST, format!("{}/reissue", path()), json!({})),
            Change::Overlap => {
                (Method::POST, format!("{}/reissue", path()), json!({"overlap_seconds": OVERLAP_SECONDS}))
            }
            Change::Delete => (Method::DELETE, path(), Value::Null),
        }
    }

    async fn ask_until_answered(&mut self, method: &Method, path: &str, body: &Value) -> Value {
        let idempotency_key = format!("{}-{}", self.name, self.begun);
        loop {
            if let Some(answer) = self.ask(method, path, body, &idempotency_key).await {
                return answer;
            }
            self.shared.retried.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2 + self.random.below(30))).await;
        }
    }

    /// The answer to one request, if it came whole and was not to try again.
    async fn ask(&mut self, method: &Method, path: &str, body: &Value, idempotency_key: &str) -> Option<Value> {
        let patience = match self.random.below(GIVEN_UP_EARLY) {
            0 => Duration::from_millis(self.random.below(EARLY_MS_MAX)),
            _ => PATIENCE,
        };
        let _passing = self.shared.gate.read().await;
        let url = format!("{}{path}", self.shared.admin_url);
        let mut request = self.shared.http.request(method.clone(), url).bearer_auth(OPERATOR_TOKEN).timeout(patience);
        if !body.is_null() {
            request = request.json(body).header("idempotency-key", idempotency_key);
        }
        let response = request.send().await.ok()?;
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        let replayed = response.headers().contains_key("idempotency-replayed");
        let answer = response.text().await.ok()?;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        if replayed {
            self.shared.replayed.fetch_add(1, Ordering::SeqCst);
        }
        Some(serde_json::from_str(&answer).expect("JSON"))
    }
}
