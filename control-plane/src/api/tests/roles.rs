//! Who may do what: every operation, called by everyone.
//!
//! A row is a call and what each caller is answered. `{key}` and the like stand for things of [`World`]; a row for
//! each operation of the OpenAPI document is demanded, and more are welcome. What succeeds and is no GET may have
//! changed the world, so whoever comes next gets a new one; a refusal changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::push::fleet::Worker;
use portcullis_core::wire::Cursor;
use serde_json::{Value, json};

use crate::api::testing::{Harness, text};
use crate::domain::user::RoleName;

/// A call, its body, and the status for each caller in the order of [`CALLERS`].
type Row = (&'static str, &'static str, [u16; 8]);

/// No token, a wrong one, an expired one of an operator; a member of acme; the member whose things they are; the
/// admin of another organization; the admin of acme; an operator.
const CALLERS: [&str; 8] = ["none", "wrong", "expired", "member", "owner", "other", "admin", "operator"];

/// The whole of it.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    //                                                                                                                 none wrong expd memb ownr othr admn oper
    ("GET /healthz",                       "",                                                                        [200, 200, 200, 200, 200, 200, 200, 200]),

    ("GET /v1/keys",                       "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),
    ("POST /v1/keys",                      r#"{"kind": "serverless", "name": "n", "organization": "acme"}"#,          [401, 401, 401, 201, 201, 422, 201, 201]),
    ("POST /v1/keys",                      r#"{"kind": "serverless", "name": "n", "organization": "other"}"#,         [401, 401, 401, 422, 422, 201, 422, 201]),
    ("POST /v1/keys",                      r#"{"kind": "serverless", "name": "n"}"#,                                  [401, 401, 401, 201, 201, 201, 201, 422]),
    ("POST /v1/keys",                      r#"{"kind": "sls", "name": "n", "monthly_budget": {"tokens": 9}}"#,        [401, 401, 401, 403, 403, 201, 201, 422]),
    ("POST /v1/keys",                      r#"{"kind": "dedicated", "name": "n", "apis": ["private-echo"]}"#,         [401, 401, 401, 201, 201, 422, 201, 422]),
    ("GET /v1/keys/{key}",                 "",                                                                        [401, 401, 401, 404, 200, 404, 200, 200]),
    ("PATCH /v1/keys/{key}",               r#"{"name": "n"}"#,                                                        [401, 401, 401, 404, 200, 404, 200, 200]),
    ("PATCH /v1/keys/{members_key}",       r#"{"name": "n"}"#,                                                        [401, 401, 401, 200, 404, 404, 200, 200]),
    ("PATCH /v1/keys/{key}",               r#"{"monthly_budget": {"tokens": 9}}"#,                                    [401, 401, 401, 404, 403, 404, 200, 200]),
    ("PATCH /v1/keys/{key}",               r#"{"monthly_budget": null}"#,                                             [401, 401, 401, 404, 403, 404, 200, 200]),
    ("DELETE /v1/keys/{key}",              "",                                                                        [401, 401, 401, 404, 200, 404, 200, 200]),
    ("POST /v1/keys/{key}/reissue",        "{}",                                                                      [401, 401, 401, 404, 201, 404, 201, 201]),
    ("POST /v1/leaks",                     r#"{"secrets": ["x"]}"#,                                                   [401, 401, 401, 200, 200, 200, 200, 200]),

    ("GET /v1/apis",                       "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),
    ("POST /v1/apis",                      r#"{"name": "n", "kind": "serverless", "match": {"path_prefix": "/n"}}"#,  [401, 401, 401, 403, 403, 403, 403, 201]),
    ("GET /v1/apis/{shared}",              "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),
    ("GET /v1/apis/{private}",             "",                                                                        [401, 401, 401, 200, 200, 404, 200, 200]),
    ("PATCH /v1/apis/{private}",           r#"{"rate_limit": null}"#,                                                 [401, 401, 401, 403, 403, 404, 200, 200]),
    ("PATCH /v1/apis/{private}",           r#"{"name": "n"}"#,                                                        [401, 401, 401, 403, 403, 404, 403, 200]),
    ("PATCH /v1/apis/{private}",           r#"{"rate_limit": null, "price": null}"#,                                  [401, 401, 401, 403, 403, 404, 403, 200]),
    ("PATCH /v1/apis/{shared}",            r#"{"rate_limit": null}"#,                                                 [401, 401, 401, 403, 403, 403, 403, 200]),
    ("PATCH /v1/apis/{private}",           r#"{"count_tokens": false}"#,                                              [401, 401, 401, 403, 403, 404, 403, 200]),
    ("DELETE /v1/apis/{private}",          "",                                                                        [401, 401, 401, 403, 403, 404, 403, 200]),
    ("DELETE /v1/apis/{shared}",           "",                                                                        [401, 401, 401, 403, 403, 403, 403, 200]),

    ("GET /v1/organizations",              "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),
    ("POST /v1/organizations",             r#"{"name": "n"}"#,                                                        [401, 401, 401, 403, 403, 403, 403, 201]),
    ("GET /v1/organizations/{acme}",       "",                                                                        [401, 401, 401, 200, 200, 404, 200, 200]),
    ("PATCH /v1/organizations/{acme}",     r#"{"name": "n"}"#,                                                        [401, 401, 401, 403, 403, 404, 403, 200]),
    ("PATCH /v1/organizations/{acme}",     r#"{"monthly_budget": {"tokens": 9}}"#,                                    [401, 401, 401, 403, 403, 404, 403, 200]),
    ("DELETE /v1/organizations/{acme}",    "",                                                                        [401, 401, 401, 403, 403, 404, 403, 409]),
    ("DELETE /v1/organizations/{empty}",   "",                                                                        [401, 401, 401, 404, 404, 404, 404, 200]),

    ("GET /v1/users",                       "",                                                                       [401, 401, 401, 200, 200, 200, 200, 200]),
    ("POST /v1/users",                      r#"{"name": "n", "role": "member", "organization": "acme"}"#,             [401, 401, 401, 403, 403, 422, 201, 201]),
    ("POST /v1/users",                      r#"{"name": "n", "role": "operator"}"#,                                   [401, 401, 401, 403, 403, 403, 403, 201]),
    ("GET /v1/users/{owner}",               "",                                                                       [401, 401, 401, 404, 200, 404, 200, 200]),
    ("PATCH /v1/users/{owner}",             r#"{"name": "n"}"#,                                                       [401, 401, 401, 404, 403, 404, 200, 200]),
    ("PATCH /v1/users/{owner}",             r#"{"role": "operator", "organization": null}"#,                          [401, 401, 401, 404, 403, 404, 403, 200]),
    ("PATCH /v1/users/{owner}",             r#"{"password": "a long enough secret"}"#,                                [401, 401, 401, 404, 200, 404, 200, 200]),
    ("DELETE /v1/users/{owner}",            "",                                                                       [401, 401, 401, 404, 403, 404, 200, 200]),

    ("GET /v1/tokens",                      "",                                                                       [401, 401, 401, 200, 200, 200, 200, 200]),
    ("POST /v1/tokens",                     r#"{"name": "n"}"#,                                                       [401, 401, 401, 201, 201, 201, 201, 201]),
    ("GET /v1/tokens/{owners_token}",       "",                                                                       [401, 401, 401, 404, 200, 404, 200, 200]),
    ("DELETE /v1/tokens/{owners_token}",    "",                                                                       [401, 401, 401, 404, 200, 404, 200, 200]),
    ("POST /v1/sessions",                  r#"{"name": "nobody"}"#,                                                   [422, 422, 422, 422, 422, 422, 422, 422]),
    ("GET /v1/me",                         "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),

    ("GET /v1/usage",                      "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),
    ("GET /v1/advice",                     "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),

    ("GET /v1/gateways",                   "",                                                                        [401, 401, 401, 403, 403, 403, 403, 200]),
    ("POST /v1/gateways",                  r#"{"name": "n"}"#,                                                        [401, 401, 401, 403, 403, 403, 403, 201]),
    ("GET /v1/gateways/{gateway}",         "",                                                                        [401, 401, 401, 404, 404, 404, 404, 200]),
    ("PATCH /v1/gateways/{gateway}",       r#"{"name": "n"}"#,                                                        [401, 401, 401, 404, 404, 404, 404, 200]),
    ("POST /v1/gateways/{gateway}/reissue", "{}",                                                                     [401, 401, 401, 404, 404, 404, 404, 201]),
    ("DELETE /v1/gateways/{gateway}",      "",                                                                        [401, 401, 401, 404, 404, 404, 404, 200]),
    ("DELETE /v1/gateways/{gateway}/workers/{worker}", "",                                                            [401, 401, 401, 403, 403, 403, 403, 200]),

    ("GET /v1/propagation/{revision}",     "",                                                                        [401, 401, 401, 200, 200, 200, 200, 200]),

    ("GET /v1/audit",                      "",                                                                        [401, 401, 401, 403, 403, 200, 200, 200]),
];

/// A control plane with something of every sort, and everyone who calls.
struct World {
    harness: Harness,
    /// What `{name}` in a path stands for.
    things: BTreeMap<&'static str, String>,
    tokens: BTreeMap<&'static str, String>,
}

impl World {
    async fn new() -> Self {
        let harness = Harness::furnished().await;
        let other = harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
        let empty = harness.post("/v1/organizations", json!({"name": "empty"})).await.expect(201);
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let now = Some(harness.store.clock().now());
        let expired = harness.person_until("expired", RoleName::Operator, "acme", now).await;
        let member = harness.person("member", RoleName::Member).await;
        let owner = harness.person("owner", RoleName::Member).await;
        let stranger = harness.person_of("stranger", RoleName::Admin, "other").await;
        let admin = harness.person("admin", RoleName::Admin).await;
        let operator = harness.person("second", RoleName::Operator).await;
        let body = json!({"kind": "serverless", "name": "k"});
        let key = harness.call("POST", "/v1/keys").by(&owner).json(&body).send().await.expect(201);
        let members = harness.call("POST", "/v1/keys").by(&member).json(&body).send().await.expect(201);
        let listed = harness.call("GET", "/v1/tokens").by(&owner).send().await.expect(200);
        let owners_token = text(&listed["items"][0], "id").to_owned();
        let acme = text(&key, "organization").to_owned();
        let apis = harness.get("/v1/apis").await.expect(200);
        let api = |name: &str| {
            let found = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == name);
            text(found.unwrap(), "id").to_owned()
        };
        let id = |thing: &Value| text(thing, "id").to_owned();
        // One for whom nobody waits, whatever is written.
        let applied = Some(Cursor { epoch: harness.store.epoch(), revision: u64::MAX });
        let (name, node, bound_ms, memory_bytes) = ("w".to_owned(), None, None, None);
        let worker = Worker { name, node, polls: 1, last_seen_ms: 0, applied, bound_ms, memory_bytes };
        harness.fleet.saw(id(&gateway).parse().unwrap(), worker, None).unwrap();
        let things = BTreeMap::from([
            ("key", id(&key)),
            ("members_key", id(&members)),
            ("shared", api("echo")),
            ("private", api("private-echo")),
            ("acme", acme),
            ("other", id(&other)),
            ("empty", id(&empty)),
            ("gateway", id(&gateway)),
            ("worker", "w".to_owned()),
            ("revision", "1".to_owned()),
            ("owner", owner.user.id.to_string()),
            ("owners_token", owners_token),
        ]);
        let tokens = BTreeMap::from([
            ("wrong", "pc_adm_wrong".to_owned()),
            ("expired", expired.token),
            ("member", member.token),
            ("owner", owner.token),
            ("other", stranger.token),
            ("admin", admin.token),
            ("operator", operator.token),
        ]);
        Self { harness, things, tokens }
    }

    /// What `caller` is answered.
    async fn call(&self, method: &str, path: &str, body: &str, caller: &str) -> u16 {
        let placed = |segment: &str| match name_in(segment) {
            Some(name) => self.things.get(name).unwrap_or_else(|| panic!("nothing is called {name}")).clone(),
            None => segment.to_owned(),
        };
        let path = path.split('/').map(placed).collect::<Vec<_>>().join("/");
        let authorization = self.tokens.get(caller).map(|token| format!("Bearer {token}"));
        let call = self.harness.call(method, &path).authorization(authorization.as_deref());
        let call = if body.is_empty() { call } else { call.body("application/json", body.to_owned()) };
        call.send().await.status
    }
}

/// The name in `{name}`.
fn name_in(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[tokio::test]
async fn everyone_may_do_what_the_table_says_and_nothing_else() {
    let (mut world, mut wrong) = (World::new().await, Vec::new());
    for (call, body, expected) in ROWS {
        let (method, path) = call.split_once(' ').unwrap();
        for (caller, expected) in CALLERS.iter().zip(expected) {
            let status = world.call(method, path, body, caller).await;
            if status != *expected {
                wrong.push(format!("{call} {body} by {caller}: {status}, not {expected}"));
            }
            if status < 400 && method != "GET" {
                world = World::new().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_operation_is_in_the_table() {
    let harness = Harness::new().await;
    let document = harness.call("GET", "/openapi.json").anonymous().send().await.expect(200);
    let in_document = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let in_document = in_document.collect::<Vec<_>>();
    let as_described = |call: &str| {
        let segments = call.split('/').map(|segment| if name_in(segment).is_some() { "{id}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    let in_table: BTreeSet<String> = ROWS.iter().map(|(call, _, _)| as_described(call)).collect();
    assert_eq!(in_table, in_document.iter().map(|call| as_described(call)).collect());
}
