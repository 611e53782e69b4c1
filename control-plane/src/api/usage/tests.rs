use std::time::Duration;

use portcullis_core::id::ApiId;
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::verdict::Refusal;
use serde_json::{Value, json};

use crate::api::testing::{Harness, Person, START_MS, text};
use crate::domain::key::Key;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::RoleName;
use crate::storage::Used;

const OK: Outcome = Outcome::Answered(StatusClass::Success);
const LIMITED: Outcome = Outcome::Refused(Refusal::RateLimited);

/// Keys of two organizations and of several people, and what was used with them.
struct Scene {
    harness: Harness,
    ada: Person,
    admin: Person,
    stranger: Person,
    /// Ada's, the admin's and the stranger's.
    keys: Vec<Key>,
    echo: ApiId,
}

async fn key(harness: &Harness, by: &Person, name: &str) -> Key {
    harness.advance(Duration::from_millis(1));
    let body = json!({"kind": "serverless", "name": name});
    let key = harness.call("POST", "/v1/keys").by(by).json(&body).send().await.expect(201);
    let id = text(&key, "id").parse().unwrap();
    harness.store.read().await.unwrap().view().key(id).await.unwrap().unwrap()
}

/// Hours after the beginning of 2027.
fn hour(hours: u64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + hours * 60 * 60 * 1_000)
}

impl Scene {
    async fn new() -> Self {
        let harness = Harness::new().await;
        let instant = Duration::from_millis(1);
        for (path, body) in [
            ("/v1/organizations", json!({"name": "acme"})),
            ("/v1/organizations", json!({"name": "other"})),
            ("/v1/apis", json!({"name": "echo", "kind": "serverless", "match": {"path_prefix": "/v1"}})),
            (
                "/v1/apis",
                json!({"name": "private-echo", "kind": "dedicated", "organization": "acme",
                       "match": {"path_prefix": "/dedicated/v1"}}),
            ),
        ] {
            // Ids are in the order of time.
            harness.advance(instant);
            harness.post(path, body).await.expect(201);
        }
        let ada = harness.person("ada", RoleName::Member).await;
        harness.advance(instant);
        let admin = harness.person("admin", RoleName::Admin).await;
        harness.advance(instant);
        let stranger = harness.person_of("stranger", RoleName::Admin, "other").await;
        let mut keys = Vec::new();
        for (by, name) in [(&ada, "=1+1"), (&admin, "batch, jobs"), (&stranger, "theirs")] {
            keys.push(key(&harness, by, name).await);
        }
        let apis = harness.get("/v1/apis").await.expect(200);
        let echo = text(&apis["items"][0], "id").parse().unwrap();
        let private: ApiId = text(&apis["items"][1], "id").parse().unwrap();
        let mut first = Used::once(&keys[0], echo, OK, hour(1));
        first.counts = [2, 10, 20, 30, 40, 1, 0];
        first.cost_picos = 1_600_000;
        let mut second = Used::once(&keys[0], echo, OK, hour(25));
        second.cost_picos = 1_600_000;
        let used = [
            first,
            second,
            Used::once(&keys[0], private, LIMITED, hour(26)),
            Used::once(&keys[1], echo, OK, hour(2)),
            Used::once(&keys[2], echo, OK, hour(3)),
            Used::once(&keys[2], private, Outcome::Refused(Refusal::WrongKind), hour(3)),
        ];
        harness.store.fill_usage(&used).await;
        harness.advance(Duration::from_secs(3 * 24 * 60 * 60));
        Self { harness, ada, admin, stranger, keys, echo }
    }

    async fn ask(&self, by: &Person, query: &str) -> Value {
        self.harness.call("GET", &format!("/v1/usage?{query}")).by(by).send().await.expect(200)
    }

    async fn status(&self, by: &Person, query: &str) -> u16 {
        self.harness.call("GET", &format!("/v1/usage?{query}")).by(by).send().await.status
    }
}

/// The text of a field of every item, in order, with the requests of each.
fn items(answer: &Value, field: &str) -> Vec<(String, u64)> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| (text(item, field).to_owned(), item["requests"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn usage_is_told_apart_by_what_was_asked_for_and_summed_up() {
    let scene = Scene::new().await;
    let answer = scene.harness.get("/v1/usage?group_by=day,api,key&key=").await;
    answer.expect(404);
    let path = format!("/v1/usage?group_by=day,api,key&key={}", scene.keys[0].id);
    let answer = scene.harness.get(&path).await.expect(200);
    let expected = json!({
        "from": "2027-01-01T00:00:00Z", "to": "2027-01-04T01:00:00Z", "group_by": ["key", "day", "api"],
        "next_cursor": null,
        "total": {
            "requests": 4, "calls": 3, "refused": 1, "outcomes": {"2xx": 3, "rate_limited": 1}, "request_bytes": 10,
            "response_bytes": 20, "prompt_tokens": 30, "completion_tokens": 40, "total_tokens": 70, "estimated": 1,
            "unknown": 0, "cost_micros": 3,
        },
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(answer[field], *value, "{field}");
    }
    let rows = answer["items"].as_array().unwrap();
    let first = json!({
        "key": scene.keys[0].id, "key_name": "=1+1", "key_masked": scene.keys[0].masked, "day": "2027-01-01T00:00:00Z",
        "api": scene.echo, "api_name": "echo", "requests": 2, "calls": 2, "refused": 0, "outcomes": {"2xx": 2},
        "request_bytes": 10, "response_bytes": 20, "prompt_tokens": 30, "completion_tokens": 40, "total_tokens": 70,
        "estimated": 1, "unknown": 0, "cost_micros": 1,
    });
    assert_eq!((rows.len(), &rows[0]), (3, &first));
    let places = rows.iter().map(|row| (text(row, "day"), text(row, "api_name"))).collect::<Vec<_>>();
    let (first, second) = ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
    assert_eq!(places, [(first, "echo"), (second, "echo"), (second, "private-echo")]);
    let outcomes = scene.ask(&scene.ada, "group_by=outcome").await;
    assert_eq!(items(&outcomes, "outcome"), [("2xx".to_owned(), 3), ("rate_limited".to_owned(), 1)]);
    assert!(outcomes["items"][0].get("outcomes").is_none());
    assert_eq!(outcomes["total"]["outcomes"], json!({"2xx": 3, "rate_limited": 1}));
}

#[tokio::test]
async fn everyone_sees_what_is_theirs_and_names_nothing_else() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    let root = harness.person("root", RoleName::Operator).await;
    for (by, requests) in [(&scene.ada, 4), (&scene.admin, 5), (&scene.stranger, 2), (&root, 7)] {
        let answer = scene.ask(by, "").await;
        assert_eq!((&answer["items"][0]["requests"], answer["items"].as_array().unwrap().len()), (&json!(requests), 1));
        assert_eq!(answer["total"]["requests"], requests);
    }
    let names =
        |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>();
    let by_user = scene.ask(&scene.admin, "group_by=user").await;
    assert_eq!(items(&by_user, "user_name"), names(&[("ada", 4), ("admin", 1)]));
    let by_key = scene.ask(&scene.ada, "group_by=key").await;
    assert_eq!(items(&by_key, "key_name"), names(&[("=1+1", 4)]));
    let by_organization = scene.ask(&root, "group_by=organization").await;
    assert_eq!(items(&by_organization, "organization_name"), names(&[("acme", 5), ("other", 2)]));
    let narrowed = scene.ask(&root, "group_by=user&organization=other").await;
    assert_eq!(items(&narrowed, "user_name"), names(&[("stranger", 2)]));
    let kind = scene.ask(&root, "group_by=api&kind=dedicated").await;
    assert_eq!(items(&kind, "api_name"), names(&[("private-echo", 2)]));
    // What contradicts itself is nothing, and so is an API that is not called.
    let query = format!("group_by=key&organization=acme&key={}", scene.keys[2].id);
    assert_eq!(scene.ask(&root, &query).await["items"], json!([]));
    // Of what is another organization's the name is not told.
    let theirs = scene.ask(&scene.stranger, "group_by=api").await;
    assert_eq!((&theirs["items"][1]["api_name"], theirs["items"][1]["api"].is_string()), (&Value::Null, true));
    let foreign = [
        format!("key={}", scene.keys[2].id),
        format!("user={}", scene.stranger.user.id),
        "organization=other".to_owned(),
        "organization=nobody".to_owned(),
        "api=nothing".to_owned(),
        "key=x".to_owned(),
        "user=x".to_owned(),
    ];
    for query in &foreign {
        for by in [&scene.ada, &scene.admin] {
            assert_eq!(scene.status(by, query).await, 404, "{query}");
        }
    }
    assert_eq!(scene.status(&scene.stranger, "api=private-echo").await, 404);
    assert_eq!(scene.status(&scene.ada, &format!("user={}", scene.admin.user.id)).await, 404);
    // Looks at what is there and not for the caller: ada's at a key, two users and an organization, and so on.
    assert_eq!(harness.audit(&format!("action=usage.read&user={}", scene.ada.user.id)).await.len(), 4);
    assert_eq!(harness.audit("action=usage.read&outcome=refused").await.len(), 8);
    harness.assert_guarded("GET", "/v1/usage").await;
}

#[tokio::test]
async fn what_is_gone_is_counted_and_has_no_name() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    harness.delete(&format!("/v1/keys/{}", scene.keys[0].id)).await.expect(200);
    harness.delete(&format!("/v1/apis/{}", scene.echo)).await.expect(200);
    harness.delete(&format!("/v1/users/{}", scene.ada.user.id)).await.expect(200);
    let by_api = scene.ask(&scene.admin, &format!("group_by=api&user={}", scene.ada.user.id)).await;
    assert_eq!((&by_api["items"][0]["api_name"], &by_api["items"][0]["requests"]), (&Value::Null, &json!(3)));
    let by_key = scene.ask(&scene.admin, "group_by=key").await;
    assert_eq!(by_key["items"].as_array().unwrap().len(), 2);
    // Only an operator may ask for an API that is not there: for everyone else it could be a hidden one.
    let path = format!("/v1/usage?api={}", scene.echo);
    assert_eq!(harness.get(&path).await.expect(200)["total"]["requests"], 5);
    harness.call("GET", &path).by(&scene.admin).send().await.expect(404);
}

#[tokio::test]
async fn pages_hold_as_many_keys_as_was_asked_for_and_the_same_total() {
    let scene = Scene::new().await;
    let (mut names, mut query) = (Vec::new(), "group_by=key,day&limit=1".to_owned());
    loop {
        let page = scene.harness.get(&format!("/v1/usage?{query}")).await.expect(200);
        assert_eq!(page["total"]["requests"], 7);
        names.extend(items(&page, "key_name").into_iter().map(|(name, _)| name));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("group_by=key,day&limit=1&cursor={cursor}");
    }
    assert_eq!(names, ["=1+1", "=1+1", "batch, jobs", "theirs"]);
}

#[tokio::test]
async fn nothing_used_is_one_item_of_nothing() {
    let harness = Harness::new().await;
    let answer = harness.get("/v1/usage").await.expect(200);
    assert_eq!(answer["items"], json!([answer["total"]]));
    assert_eq!((&answer["total"]["requests"], &answer["group_by"]), (&json!(0), &json!([])));
    assert_eq!((text(&answer, "from"), text(&answer, "to")), ("2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z"));
    assert_eq!(harness.get("/v1/usage?group_by=key").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_table_holds_all_pages_and_no_formula() {
    let scene = Scene::new().await;
    let call = |query: &str| scene.harness.call("GET", &format!("/v1/usage?{query}")).header("accept", "text/csv");
    let table = call("group_by=key,api&limit=1").text().await;
    let lines = table.split_terminator('\n').collect::<Vec<_>>();
    let head = "key,key_name,key_masked,api,api_name,requests,calls,refused,2xx,3xx,4xx,5xx,unanswered,expired_key,\
                wrong_kind,wrong_organization,out_of_scope,quota_exceeded,rate_limited,not_ready,request_bytes,\
                response_bytes,prompt_tokens,completion_tokens,total_tokens,estimated,unknown,cost_micros";
    assert_eq!((lines[0], lines.len()), (head, 6));
    let (ada, admins) = (&scene.keys[0], &scene.keys[1]);
    let expected = format!(
        "{},'=1+1,{},{},echo,3,3,0,3,0,0,0,0,0,0,0,0,0,0,0,10,20,30,40,70,1,0,3",
        ada.id, ada.masked, scene.echo
    );
    assert_eq!(lines[1], expected);
    assert!(lines[3].starts_with(&format!("{},\"batch, jobs\",", admins.id)), "{}", lines[3]);
    let by_outcome = call("group_by=outcome,day").text().await;
    let head = "day,outcome,requests,calls,refused,request_bytes,response_bytes,prompt_tokens,completion_tokens,\
                total_tokens,estimated,unknown,cost_micros\n2027-01-01T00:00:00Z,2xx,4,4,0,10,20,30,40,70,1,0,1\n";
    assert!(by_outcome.starts_with(head), "{by_outcome}");
    call("group_by=keys").send().await.expect(400);
}

#[tokio::test]
async fn a_wrong_question_is_refused() {
    let harness = Harness::new().await;
    let wrong = [
        "group_by=month",
        "group_by=key,user",
        "group_by=key,key",
        "group_by=hour&from=2026-11-30T00:00:00Z",
        "group_by=day&from=2025-11-20T00:00:00Z",
        "from=2027-01-01T00:00:00Z&to=2026-12-31T00:00:00Z",
        "from=2028-01-01T00:00:00Z",
        "from=yesterday",
        "to=1",
        "limit=0&group_by=key",
        "limit=1001",
        "cursor=x&group_by=key",
        "cursor=AAAAAAAAAAA",
        "kind=adm",
        "price=1",
    ];
    for query in wrong {
        harness.get(&format!("/v1/usage?{query}")).await.expect(400);
    }
    harness.get("/v1/usage?organization=%00").await.expect(404);
}
