//! Every row of the verdict table that needs no rate limit, against real Envoy, on HTTP/1.1 and HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_demo::children::Tie;
use portcullis_demo::envoy_config::EXAMPLE;
use portcullis_demo::ports;
use portcullis_demo::stack::{Envoy, EnvoyConfig};
use portcullis_tests::house::{House, OPEN_PATH, program};
use portcullis_tests::keys::{rfc3339, whole_second_in};
use portcullis_tests::raw::{Answer, Fields};
use portcullis_tests::{python, raw};
use serde_json::{Value, json};

/// A request and what it must get.
struct Row {
    name: &'static str,
    fields: Fields,
    status: u16,
    code: &'static str,
    challenge: Option<&'static str>,
}

const INVALID_TOKEN: Option<&str> = Some("Bearer realm=\"portcullis\", error=\"invalid_token\"");
const INSUFFICIENT_SCOPE: Option<&str> = Some("Bearer realm=\"portcullis\", error=\"insufficient_scope\"");
const BARE: Option<&str> = Some("Bearer realm=\"portcullis\"");

fn get(path: &str, authorizations: &[&str]) -> Fields {
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "models.example"), (":path", path)];
    let mut fields = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    fields.extend(authorizations.iter().map(|value| ("authorization".to_owned(), (*value).to_owned())));
    fields
}

/// Keys in every state that a row needs, as `Authorization` values.
struct Keys {
    serverless: String,
    dedicated: String,
    scoped: String,
    expired: String,
    deleted: String,
    foreign: String,
}

async fn keys(house: &House) -> Keys {
    let admin = house.admin();
    let other = admin.create("/v1/organizations", &json!({"name": "other"})).await.unwrap();
    let narrow = json!({"name": "narrow", "kind": "serverless", "match": {"path_prefix": "/v1/narrow"}});
    let narrow = admin.create("/v1/apis", &narrow).await.unwrap();
    let expiry = whole_second_in(0);
    let serverless = house.issue("serverless", json!({})).await;
    let dedicated = house.issue("dedicated", json!({})).await;
    let scoped = house.issue("serverless", json!({"apis": [narrow["id"]]})).await;
    let expired = house.issue("serverless", json!({"expires_at": rfc3339(expiry)})).await;
    let deleted = house.issue("serverless", json!({})).await;
    let foreign = house.issue("dedicated", json!({"organization": other["id"]})).await;
    house.delete(&deleted.id).await;
    // Changes arrive in order, so once the last is known, all are.
    house.wait_for("/v1/models", &deleted.secret, 401).await;
    house.wait_for("/v1/models", &expired.secret, 401).await;
    house.wait_for("/v1/narrow", &scoped.secret, 200).await;
    let bearer = |secret: &str| format!("Bearer {secret}");
    Keys {
        serverless: bearer(&serverless.secret),
        dedicated: bearer(&dedicated.secret),
        scoped: bearer(&scoped.secret),
        expired: bearer(&expired.secret),
        deleted: bearer(&deleted.secret),
        foreign: bearer(&foreign.secret),
    }
}

#[rustfmt::skip]
fn table(keys: &Keys) -> Vec<Row> {
    let Keys { serverless, dedicated, scoped, expired, deleted, foreign } = keys;
    let row = |name, fields, status, code, challenge| Row { name, fields, status, code, challenge };
    let mistyped = format!("{serverless}x");
    let joined = format!("{serverless},{dedicated}");
    vec![
        row("allowed", get("/v1/models", &[serverless]), 200, "", None),
        row("allowed, dedicated", get("/dedicated/v1/models", &[dedicated]), 200, "", None),
        row("allowed, in scope", get("/v1/narrow", &[scoped]), 200, "", None),
        row("exempt", get("/healthz", &[]), 200, "", None),
        row("exempt, upstream", get(OPEN_PATH, &[]), 200, "", None),
        row("missing_credential", get("/v1/models", &[]), 401, "missing_api_key", BARE),
        row("missing_credential, Basic", get("/v1/models", &["Basic dTpw"]), 401, "missing_api_key", BARE),
        row("ambiguous_credential, two", get("/v1/models", &[serverless, serverless]), 400, "invalid_request", None),
        row("ambiguous_credential, joined", get("/v1/models", &[&joined]), 400, "invalid_request", None),
        row("malformed_key", get("/v1/models", &[&mistyped]), 401, "invalid_api_key", INVALID_TOKEN),
        row("unknown_key, deleted", get("/v1/models", &[deleted]), 401, "invalid_api_key", INVALID_TOKEN),
        row("expired_key", get("/v1/models", &[expired]), 401, "expired_api_key", INVALID_TOKEN),
        row("wrong_kind", get("/dedicated/v1/models", &[serverless]), 403, "insufficient_scope", INSUFFICIENT_SCOPE),
        row("wrong_kind, dedicated", get("/v1/models", &[dedicated]), 403, "insufficient_scope", INSUFFICIENT_SCOPE),
        row("wrong_organization", get("/dedicated/v1/models", &[foreign]), 403, "insufficient_scope", INSUFFICIENT_SCOPE),
        row("out_of_scope", get("/v1/models", &[scoped]), 403, "insufficient_scope", INSUFFICIENT_SCOPE),
        row("unknown_api", get("/v2/models", &[serverless]), 404, "unknown_api", None),
        row("unknown_api, root", get("/", &[]), 404, "unknown_api", None),
        row("unsafe_path", get("/v1/%2e%2e/models", &[serverless]), 400, "invalid_path", None),
    ]
}

fn assert_row(protocol: &str, row: &Row, answer: &Answer) {
    let what = format!("{} on {protocol}: {answer:?}", row.name);
    assert_eq!(answer.status, Some(row.status), "{what}");
    assert_eq!(answer.header("www-authenticate"), row.challenge, "{what}");
    assert_eq!(answer.code(), row.code, "{what}");
    if row.code.is_empty() {
        return;
    }
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let body: Value = serde_json::from_str(&answer.body).expect("a problem document");
    assert_eq!(body["status"], row.status, "{what}");
    for text in [&body["title"], &body["detail"], &body["error"]["message"]] {
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_verdict_table_holds_on_both_protocols() {
    let house = House::start().await;
    let rows = table(&keys(&house).await);
    let requests = rows.iter().map(|row| row.fields.clone()).collect::<Vec<_>>();
    for row in &rows {
        let answer = raw::send(house.listener(), &raw::request(&row.fields)).await;
        assert_row("HTTP/1.1", row, &answer);
    }
    let answers = python::send_h2(house.listener(), &requests).await;
    for (row, answer) in rows.iter().zip(&answers) {
        assert_row("HTTP/2", row, answer);
    }
    assert_eq!(answers.len(), rows.len());
    assert_counted(&house, 2 * u64::try_from(rows.len()).unwrap()).await;
}

/// The filter's counters are in Envoy's statistics, one for each outcome, and all requests are in them.
async fn assert_counted(house: &House, sent: u64) {
    let outcomes = [
        "allowed",
        "exempt",
        "missing_credential",
        "ambiguous_credential",
        "malformed_key",
        "unknown_key",
        "expired_key",
        "wrong_kind",
        "wrong_organization",
        "out_of_scope",
        "unknown_api",
        "unsafe_path",
    ];
    // Workers publish once a second.
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let text = house.statistics().await;
    let count = |outcome: &str| {
        let name = format!("portcullis_requests_total{{outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name} in the statistics")).parse::<u64>().unwrap()
    };
    for outcome in outcomes {
        assert!(count(outcome) >= 2, "{outcome}");
    }
    assert_eq!(count("not_ready"), 0);
    assert!(outcomes.iter().map(|outcome| count(outcome)).sum::<u64>() >= sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_learns_who_calls_and_never_the_key() {
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    let request = get("/v1/echo", &[&format!("Bearer {}", key.secret)]);
    let answer = raw::send(house.listener(), &raw::request(&request)).await;
    let body: Value = serde_json::from_str(&answer.body).expect("the echo");
    let headers: Vec<(String, String)> = serde_json::from_value(body["headers"].clone()).expect("headers");
    let values = |name: &str| {
        let found = headers.iter().filter(|(candidate, _)| candidate == name);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(values("x-portcullis-key-id"), [key.id.as_str()]);
    assert_eq!(values("x-portcullis-organization"), [house.organization.as_str()]);
    assert_eq!(values("x-portcullis-user"), [key.answer["created_by"].as_str().unwrap()]);
    assert_eq!(values("x-portcullis-api"), [house.serverless_api.as_str()]);
    assert!(values("authorization").is_empty());
    assert!(!answer.body.contains(&key.secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_asks_for_it_is_shown_the_credential() {
    let house = House::start().await;
    let api = json!({
        "name": "legacy", "kind": "serverless", "match": {"path_prefix": "/legacy"}, "forward_credential": true,
    });
    house.admin().create("/v1/apis", &api).await.unwrap();
    let key = house.issue("serverless", json!({})).await;
    house.wait_for("/legacy/echo", &key.secret, 200).await;
    let request = get("/legacy/echo", &[&format!("Bearer {}", key.secret)]);
    let answer = raw::send(house.listener(), &raw::request(&request)).await;
    assert!(answer.body.contains(&format!("Bearer {}", key.secret)));
}

/// Both have the same module and `vm_id`, and so one virtual machine in each worker.
#[tokio::test(flavor = "multi_thread")]
async fn two_listeners_of_one_envoy_each_go_by_their_own_configuration() {
    let house = House::without_envoy().await;
    let ports = ports::free_ports(3).unwrap();
    let [first, second, admin] = [ports[0], ports[1], ports[2]].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let wasm = program("PORTCULLIS_WASM");
    let start = EXAMPLE.find("    - name: models\n").unwrap();
    let end = EXAMPLE.find("  clusters:\n").unwrap();
    // The second lets pass without a key what the first does not.
    let other = EXAMPLE[start..end]
        .replace("- name: models\n      address", "- name: others\n      address")
        .replace("port_value: 10000", &format!("port_value: {}", second.port()))
        .replace("target/portcullis_filter.wasm", wasm.to_str().unwrap())
        .replace("[\"/healthz\"]", "[\"/v1/models\"]");
    let clusters = "  clusters:\n    # Your API.";
    let config = EnvoyConfig {
        program: program("ENVOY"),
        wasm,
        listener: first,
        admin,
        upstream: house.upstream().address(),
        sync: house.sync(),
        concurrency: 1,
        gateway_token: house.gateway_token().to_owned(),
        config_file: house.folder().join("two.yaml"),
        more: vec![(clusters.to_owned(), format!("{other}{clusters}"))],
        arguments: Vec::new(),
        environment: Vec::new(),
        log: house.folder().join("two.log"),
        tie: Tie::Group,
    };
    let _envoy = Envoy::start(&config).await.unwrap_or_else(|error| panic!("{error}"));
    let key = house.issue("serverless", json!({})).await;
    let call = async |listener, path: &str, authorization: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n{authorization}connection: close\r\n\r\n");
        raw::send(listener, request.as_bytes()).await.status
    };
    let authorization = format!("authorization: Bearer {}\r\n", key.secret);
    for _ in 0..20 {
        let answers = tokio::join!(
            call(first, "/v1/models", ""),
            call(second, "/v1/models", ""),
            call(first, "/healthz", ""),
            call(second, "/healthz", ""),
            call(first, "/v1/models", &authorization),
            call(second, "/v1/models", &authorization),
        );
        let [unknown_key, unknown_api] = [Some(401), Some(404)];
        assert_eq!(answers, (unknown_key, Some(200), Some(200), unknown_api, Some(200), Some(200)));
    }
}
