//! Two control planes on one PostgreSQL database, an Envoy at each: what one of them is told, both enforce, whatever
//! becomes of the other or of its way to the database.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

use std::time::{Duration, Instant};

use portcullis_core::wire::{Ask, Content, Cursor, Page, Poll, Record};
use portcullis_tests::database::{Database, Postgres};
use portcullis_tests::house::{House, OPERATOR_TOKEN};
use portcullis_tests::link::Link;
use portcullis_tests::measure::summary;
use reqwest::StatusCode;
use serde_json::json;

/// How many rounds are measured with each replica as the writer.
const ROUNDS: usize = 20;
/// Any change is enforced at both Envoys within this time. It is usually far less; test machines are noisy.
const BOUND: Duration = Duration::from_secs(2);

/// Two replicas. The second one's way to the database can be cut.
struct Pair {
    a: House,
    b: House,
    link: Link,
    postgres: Postgres,
}

async fn pair() -> Pair {
    let database = Database::postgres().await;
    let Database::Postgres(postgres) = &database else { unreachable!("it is PostgreSQL") };
    let postgres = postgres.clone();
    let mut a = House::without_envoy_on(database).await;
    a.start_envoy(2).await;
    let link = Link::to(postgres.address()).await;
    let b = a.replica(Database::Postgres(postgres.by_way_of(link.address()))).await;
    Pair { a, b, link, postgres }
}

/// How long after now `secret` gets `status` at the Envoy of each house.
async fn reached(own: &House, other: &House, path: &str, secret: &str, status: u16) -> (Duration, Duration) {
    let times = tokio::join!(own.wait_for(path, secret, status), other.wait_for(path, secret, status));
    assert!(times.0 < BOUND && times.1 < BOUND, "{path} gets {status} after {times:?}");
    times
}

/// Checks that both replicas tell their filters of the same secrets, at the same revision.
async fn assert_agreed(pair: &Pair) {
    let (a, b) = (pair.a.live_secrets().await, pair.b.live_secrets().await);
    assert_eq!(a.0, b.0);
    let count = |secrets: &std::collections::HashMap<_, Vec<_>>| secrets.values().map(Vec::len).sum::<usize>();
    assert_eq!(count(&a.1), count(&b.1));
    assert!(a.1.iter().all(|(id, digests)| b.1.get(id) == Some(digests)), "{a:?}\n{b:?}");
    for house in [&pair.a, &pair.b] {
        house.workers_at_head().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_issued_by_one_replica_works_at_both_and_stops_at_both_when_the_other_deletes_it() {
    let pair = pair().await;
    let [mut opened, mut opened_other, mut closed, mut closed_other] = [const { Vec::new() }; 4];
    for round in 0..2 * ROUNDS {
        let (issuer, deleter) = if round % 2 == 0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        let key = issuer.issue("serverless", json!({})).await;
        let (own, other) = reached(issuer, deleter, "/v1/models", &key.secret, 200).await;
        opened.push(own);
        opened_other.push(other);
        deleter.delete(&key.id).await;
        let (own, other) = reached(deleter, issuer, "/v1/models", &key.secret, 401).await;
        closed.push(own);
        closed_other.push(other);
    }
    println!("{} rounds, from the answer to the write until it is enforced:", 2 * ROUNDS);
    println!("  an issue, at the Envoy of the replica that wrote: {}", summary(&opened));
    println!("  an issue, at the Envoy of the other replica:      {}", summary(&opened_other));
    println!("  a delete, at the Envoy of the replica that wrote: {}", summary(&closed));
    println!("  a delete, at the Envoy of the other replica:      {}", summary(&closed_other));
    assert_agreed(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reissues_scopes_and_apis_go_through_either_replica() {
    let pair = pair().await;
    let (a, b) = (&pair.a, &pair.b);
    let old = a.issue("serverless", json!({})).await;
    reached(a, b, "/v1/models", &old.secret, 200).await;

    let new = b.reissue(&old.id).await;
    reached(b, a, "/v1/models", &new.secret, 200).await;
    reached(b, a, "/v1/models", &old.secret, 401).await;

    let narrow = json!({"name": "narrow", "kind": "serverless", "match": {"path_prefix": "/narrow"}});
    b.admin().create("/v1/apis", &narrow).await.unwrap();
    reached(b, a, "/narrow/models", &new.secret, 200).await;

    let path = format!("/v1/keys/{}", new.id);
    a.admin().change(&path, &json!({"apis": ["narrow"]})).await.unwrap();
    reached(a, b, "/v1/models", &new.secret, 403).await;
    reached(a, b, "/narrow/models", &new.secret, 200).await;
    b.admin().change(&path, &json!({"apis": null})).await.unwrap();
    reached(b, a, "/v1/models", &new.secret, 200).await;
    assert_agreed(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_one_replica_deletes_is_told_nothing_more_by_the_other() {
    let pair = pair().await;
    let (a, b) = (&pair.a, &pair.b);
    let known = a.issue("serverless", json!({})).await;
    reached(a, b, "/v1/models", &known.secret, 200).await;

    // A poll that is open, as every worker has one.
    let (at, _) = b.live_secrets().await;
    let poll = Poll { number: 9, ask: Ask::After { cursor: at, wait_ms: 20_000 } };
    let waiting = b.poll(b.gateway_token(), poll);
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        a.admin().delete(&format!("/v1/gateways/{}", b.gateway)).await.unwrap();
        Instant::now()
    };
    let (ended, deleted) = tokio::join!(waiting, deleting);
    println!("an open poll at the other replica ended {} ms after its gateway", deleted.elapsed().as_millis());
    assert!(deleted.elapsed() < BOUND);
    assert_eq!(ended.status(), StatusCode::UNAUTHORIZED);

    let new = b.issue("serverless", json!({})).await;
    a.wait_for("/v1/models", &new.secret, 200).await;
    // Its Envoy goes on with what it has.
    b.wait_for("/v1/models", &known.secret, 200).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    b.wait_for("/v1/models", &new.secret, 401).await;
    a.workers_at_head().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_replica_is_killed_the_other_goes_on_and_on_its_return_it_catches_up() {
    let mut pair = pair().await;
    let kept = pair.b.issue("serverless", json!({})).await;
    let deleted = pair.b.issue("serverless", json!({})).await;
    reached(&pair.b, &pair.a, "/v1/models", &deleted.secret, 200).await;

    pair.b.kill_control_plane().await;
    let (a, b) = (&pair.a, &pair.b);
    let new = a.issue("serverless", json!({})).await;
    a.delete(&deleted.id).await;
    a.wait_for("/v1/models", &new.secret, 200).await;
    a.wait_for("/v1/models", &deleted.secret, 401).await;
    // Its Envoy cannot know, and serves what it knows.
    b.wait_for("/v1/models", &kept.secret, 200).await;
    b.wait_for("/v1/models", &new.secret, 401).await;

    let start = Instant::now();
    pair.b.start_control_plane().await;
    let started = start.elapsed();
    pair.b.wait_for("/v1/models", &new.secret, 200).await;
    pair.b.wait_for("/v1/models", &deleted.secret, 401).await;
    println!("started in {} ms, caught up {} ms later", started.as_millis(), (start.elapsed() - started).as_millis());
    let back = pair.b.issue("serverless", json!({})).await;
    reached(&pair.b, &pair.a, "/v1/models", &back.secret, 200).await;
    assert_agreed(&pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_sessions_the_database_ends_hears_of_later_changes_at_once() {
    let pair = pair().await;
    for round in 0..5 {
        let ended = pair.postgres.terminate(&pair.link.ports()).await;
        assert!(ended > 0, "round {round}");
        let key = pair.a.issue("serverless", json!({})).await;
        let (_, heard) = reached(&pair.a, &pair.b, "/v1/models", &key.secret, 200).await;
        println!("with {ended} sessions ended, the replica enforced the next issue after {} ms", heard.as_millis());
        assert_available_or_503(&pair.b).await;
        pair.b.delete(&key.id).await;
        reached(&pair.b, &pair.a, "/v1/models", &key.secret, 401).await;
    }
    assert_agreed(&pair).await;
}

/// Asks until the answer is 200; what comes before may be 503 and nothing else.
async fn assert_available_or_503(house: &House) {
    let start = Instant::now();
    loop {
        match list(house).await {
            StatusCode::OK => return,
            StatusCode::SERVICE_UNAVAILABLE => assert!(start.elapsed() < BOUND, "still 503"),
            other => panic!("{other}"),
        }
    }
}

async fn list(house: &House) -> StatusCode {
    let request = house.http.get(format!("{}/v1/keys", house.admin_url())).bearer_auth(OPERATOR_TOKEN);
    request.send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_reach_the_database_answers_503_and_hears_of_all_once_it_can() {
    let mut pair = pair().await;
    let kept = pair.a.issue("serverless", json!({})).await;
    reached(&pair.a, &pair.b, "/v1/models", &kept.secret, 200).await;

    pair.link.cut().await;
    assert_eq!(list(&pair.b).await, StatusCode::SERVICE_UNAVAILABLE);
    let body = json!({"kind": "serverless", "name": "lost", "organization": pair.b.organization});
    let request = pair.b.http.post(format!("{}/v1/keys", pair.b.admin_url())).bearer_auth(OPERATOR_TOKEN).json(&body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    // Its Envoy serves what it knows, and the other replica does not care.
    let new = pair.a.issue("serverless", json!({})).await;
    pair.a.wait_for("/v1/models", &new.secret, 200).await;
    pair.b.wait_for("/v1/models", &kept.secret, 200).await;
    pair.b.wait_for("/v1/models", &new.secret, 401).await;

    pair.link.mend().await;
    let heard = pair.b.wait_for("/v1/models", &new.secret, 200).await;
    println!("after an outage, what had changed in it was enforced {} ms after its end", heard.as_millis());
    let later = pair.a.issue("serverless", json!({})).await;
    let (_, heard) = reached(&pair.a, &pair.b, "/v1/models", &later.secret, 200).await;
    println!("and the next change after {} ms", heard.as_millis());
    assert_available_or_503(&pair.b).await;
    let names = pair.a.admin().list("/v1/keys").await.unwrap();
    assert!(names.iter().all(|key| key["name"] != "lost"), "a write that was answered with 503 was done");
    assert_agreed(&pair).await;
}

async fn write(house: &House, issues: usize) {
    for _ in 0..issues {
        house.issue("serverless", json!({})).await;
    }
}

/// Everything that a worker is told from `at` to revision `until`.
async fn follow(house: &House, mut at: Cursor, until: u64) -> Vec<Record> {
    let mut told = Vec::new();
    while at.revision < until {
        let poll = Poll { number: 1, ask: Ask::After { cursor: at, wait_ms: 20_000 } };
        let page = Page::parse(&house.poll(house.gateway_token(), poll).await.bytes().await.unwrap()).unwrap();
        let Content::Delta { from, to, .. } = page.header.content else { panic!("{:?}", page.header) };
        assert_eq!((from, page.header.epoch), (at.revision, at.epoch));
        at.revision = to;
        told.extend(page.records);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revision_is_skipped_while_both_replicas_write_at_once() {
    let pair = pair().await;
    let (start, _) = pair.a.live_secrets().await;
    let until = start.revision + 100;
    let (_, _, a, b) = tokio::join!(
        write(&pair.a, 50),
        write(&pair.b, 50),
        follow(&pair.a, start, until),
        follow(&pair.b, start, until)
    );
    assert_eq!((a.len(), b.len()), (100, 100), "each issue was told once by each replica");
    assert_agreed(&pair).await;
}
