//! A provider on the loopback that does as it is told. It signs with Ed25519, whose keys any 32 bytes are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::url::Url;
use openidconnect::{JsonWebKeyId, PkceCodeChallenge, PkceCodeVerifier, PrivateSigningKey as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::domain::environment::{Clock, Entropy};
use crate::domain::timestamp::Timestamp;
use crate::oidc::{Identity, OidcError, Provider, Settings, Texts};

/// What time it is at first, in seconds.
pub const NOW: u64 = 1_800_000_000;

pub type Query = Vec<(String, String)>;

/// What came with the last exchange of a code.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    pub form: BTreeMap<String, String>,
    pub authorization: Option<String>,
    /// The challenge of the request before it.
    pub challenge: String,
}

/// What the provider is told to do.
#[derive(Debug)]
pub struct Told {
    pub metadata: Value,
    /// The seed of the key with which it signs, and what it calls that key.
    pub key: (u8, &'static str),
    /// The keys that it makes known.
    pub known_keys: Vec<(u8, &'static str)>,
    /// What it answers to the next exchange.
    pub token_answer: (u16, String),
    /// How often its description was read.
    pub descriptions_read: usize,
    claim: String,
    exchange: Exchange,
    now: u64,
}

/// The provider. Dropping it stops it.
#[derive(Debug)]
pub struct Staged {
    issuer: String,
    told: Arc<Mutex<Told>>,
    server: JoinHandle<()>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Staged {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        });
        let told = Arc::new(Mutex::new(Told {
            metadata,
            key: (1, "one"),
            known_keys: vec![(1, "one")],
            token_answer: (500, String::new()),
            descriptions_read: 0,
            claim: "email".to_owned(),
            exchange: Exchange::default(),
            now: NOW,
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(exchange))
            .with_state(Arc::clone(&told));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { issuer, told, server }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Changes what it says of itself.
    pub fn describe(&self, member: &str, value: Value) {
        self.told().metadata[member] = value;
    }

    /// Which claim is the name for who signs in from now on.
    pub fn use_claim(&self, claim: &str) {
        claim.clone_into(&mut self.told().claim);
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: u64) {
        self.told().now += seconds;
    }

    pub fn last_exchange(&self) -> Exchange {
        self.told().exchange.clone()
    }

    /// A client of it.
    pub fn provider(&self, claim: &str) -> Provider {
        let public_url = "https://keys.example.com".parse().unwrap();
        let texts = Texts {
            issuer: Some(self.issuer.clone()),
            client_id: Some("portcullis".to_owned()),
            client_secret: Some("the secret".into()),
            claim: claim.to_owned(),
            label: "Single sign-on".to_owned(),
        };
        let settings = Settings::read(texts, Some(&public_url)).unwrap().unwrap();
        let told = Arc::clone(&self.told);
        let clock = Clock::from_fn(move || Timestamp::from_unix_ms(told.lock().unwrap().now * 1_000));
        Provider::new(settings, &public_url, clock, Entropy::system()).unwrap()
    }

    /// Signs Ada in: what the browser brings back from this address, and, for the exchange, a token with these claims.
    pub fn answer(&self, url: &str, change: impl FnOnce(&mut Value)) -> Query {
        let request = query(url);
        let mut claims = json!({
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": "portcullis",
            "exp": NOW + 300,
            "iat": NOW,
            "nonce": request["nonce"],
            "email": "ada@example.com",
            "email_verified": true,
        });
        change(&mut claims);
        let mut told = self.told();
        request["code_challenge"].clone_into(&mut told.exchange.challenge);
        let token = signed(told.key, &claims);
        let answer = json!({"access_token": "unused", "token_type": "Bearer", "id_token": token});
        told.token_answer = (200, answer.to_string());
        pairs(&[("state", &request["state"]), ("code", "the-code")])
    }
}

/// One sign-in from end to end, with a token whose claims are changed.
pub async fn signed_in(staged: &Staged, change: impl FnOnce(&mut Value)) -> Result<Identity, OidcError> {
    let claim = staged.told().claim.clone();
    let provider = staged.provider(&claim);
    let begun = provider.begin().await?;
    let answer = staged.answer(&begun.url, change);
    provider.finish(begun.pending, &answer).await
}

pub fn pairs(pairs: &[(&str, &str)]) -> Query {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The query of an address.
pub fn query(url: &str) -> BTreeMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// RFC 7636, section 4.2.
pub fn challenge_of(verifier: &str) -> String {
    PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned())).as_str().to_owned()
}

fn signing_key((seed, id): (u8, &str)) -> CoreEdDsaPrivateSigningKey {
    // RFC 8410, section 7: what stands before the 32 bytes of a private key.
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    let label = "PRIVATE KEY";
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(id.to_owned()))).unwrap()
}

fn signed(key: (u8, &str), claims: &Value) -> String {
    let head = json!({"alg": "EdDSA", "typ": "JWT", "kid": key.1});
    let input = unsigned(&head, claims);
    let signature = signing_key(key).sign(&CoreJwsSigningAlgorithm::EdDsa, input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Head and claims of a token.
pub fn unsigned(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(head), part(claims))
}

type Shared = State<Arc<Mutex<Told>>>;

async fn describe(State(told): Shared) -> Response {
    let mut told = told.lock().unwrap();
    told.descriptions_read += 1;
    axum::Json(told.metadata.clone()).into_response()
}

async fn keys(State(told): Shared) -> Response {
    let keys = told.lock().unwrap().known_keys.clone();
    let keys: Vec<_> = keys.into_iter().map(|key| json!(signing_key(key).as_verification_key())).collect();
    axum::Json(json!({"keys": keys})).into_response()
}

async fn exchange(State(told): Shared, headers: HeaderMap, form: String) -> Response {
    let mut told = told.lock().unwrap();
    told.exchange.form = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let authorization = headers.get(header::AUTHORIZATION);
    told.exchange.authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let (status, body) = told.token_answer.clone();
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, "/elsewhere")], body).into_response()
}
