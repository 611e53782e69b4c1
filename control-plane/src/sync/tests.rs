//! Polls against a real database, through the router.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use portcullis_core::push::answer::{Known, Wanted};
use portcullis_core::wire::{Ask, Content, Cursor, Epoch, Page, Poll, Record, WORKER_HEADER};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::*;
use crate::api::testing::{Harness, text};
use crate::domain::gateway::Serves;

mod usage;

struct Port {
    harness: Harness,
    sync: SyncPort,
    router: Router,
    gateway: Value,
    stop: watch::Sender<bool>,
}

impl Port {
    async fn new() -> Self {
        let harness = Harness::furnished().await;
        let gateway = harness.post("/v1/gateways", json!({"name": "edge"})).await.expect(201);
        let (stop, stopping) = watch::channel(false);
        let sync = SyncPort::new(harness.store.clone(), harness.fleet.clone(), harness.metrics.clone(), stopping);
        Self { router: router(sync.clone()), harness, sync, gateway, stop }
    }

    fn head(&self) -> Cursor {
        Cursor { epoch: self.harness.store.epoch(), revision: self.harness.revision() }
    }

    fn request(&self, query: &str) -> Request<Body> {
        Request::builder()
            .uri(format!("{CHANGES_PATH}?{query}"))
            .header("authorization", format!("Bearer {}", text(&self.gateway, "token")))
            .header("x-portcullis-worker", "worker-1")
            .header("x-portcullis-node", "node-1")
            .header("x-portcullis-memory-bytes", "4096")
            .body(Body::empty())
            .unwrap()
    }

    /// Starts a poll; it may take a while.
    fn start(&self, ask: Ask) -> tokio::task::JoinHandle<(u16, Vec<u8>)> {
        let request = self.request(&Poll { number: 7, ask }.to_string());
        tokio::spawn(send(self.router.clone(), request))
    }

    async fn poll(&self, ask: Ask) -> Page {
        let (status, bytes) = self.start(ask).await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        let page = Page::parse(&bytes).unwrap();
        assert_eq!(page.header.poll, 7);
        assert_eq!(page.header.epoch, self.harness.store.epoch());
        assert_eq!(page.header.now_ms, self.harness.now_ms.load(Ordering::SeqCst));
        page
    }
}

async fn send(router: Router, request: Request<Body>) -> (u16, Vec<u8>) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn after(cursor: Cursor, wait_ms: u32) -> Ask {
    Ask::After { cursor, wait_ms }
}

#[tokio::test]
async fn a_worker_gets_a_snapshot_then_what_changed_and_is_remembered() {
    let port = Port::new().await;
    let key = port.harness.issue("k").await;
    let page = port.poll(Ask::Everything).await;
    let content = Content::Snapshot { revision: 3, part: 0, parts: 1, keys: 1 };
    assert_eq!(page.header.content, content);
    assert_eq!(page.records.len(), 3);
    assert!(matches!(page.records[2], Record::Key(_)), "APIs first");
    let at = port.head();
    port.harness.delete(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
    let page = port.poll(after(at, 30_000)).await;
    assert_eq!(page.header.content, Content::Delta { from: 3, to: 4, more: false });
    assert!(matches!(page.records[..], [Record::DeleteKey(_)]));
    let gateway = port.harness.get(&format!("/v1/gateways/{}", text(&port.gateway, "id"))).await.expect(200);
    let worker = &gateway["workers"][0];
    let expected = json!({"id": "worker-1", "node": "node-1", "last_seen_at": "2027-01-01T00:00:00Z",
        "epoch": at.epoch.to_string(), "revision": 3, "lag": 1, "max_staleness_seconds": null, "memory_bytes": 4096});
    assert_eq!(*worker, expected);
}

#[tokio::test]
async fn a_poll_waits_for_news_and_ends_empty_without_any() {
    let port = Port::new().await;
    let at = port.head();
    let page = port.poll(after(at, 0)).await;
    assert_eq!(page.header.content, Content::Delta { from: at.revision, to: at.revision, more: false });
    assert_eq!(page.records, []);
    let waiting = port.start(after(at, 30_000));
    tokio::task::yield_now().await;
    port.harness.issue("k").await;
    let (_, bytes) = waiting.await.unwrap();
    let page = Page::parse(&bytes).unwrap();
    assert_eq!(page.header.content, Content::Delta { from: at.revision, to: at.revision + 1, more: false });
}

#[tokio::test]
async fn a_write_that_is_nothing_to_filters_wakes_nobody() {
    let port = Port::new().await;
    let waiting = port.start(after(port.head(), 200));
    tokio::task::yield_now().await;
    port.harness.post("/v1/organizations", json!({"name": "other"})).await.expect(201);
    let (_, bytes) = waiting.await.unwrap();
    assert_eq!(Page::parse(&bytes).unwrap().records, []);
}

#[tokio::test]
async fn many_workers_at_once_get_the_same() {
    let port = Port::new().await;
    let at = port.head();
    let waiting = (0..50).map(|_| port.start(after(at, 30_000))).collect::<Vec<_>>();
    tokio::task::yield_now().await;
    port.harness.issue("k").await;
    for poll in waiting {
        let (status, bytes) = poll.await.unwrap();
        assert_eq!(status, 200);
        assert_eq!(Page::parse(&bytes).unwrap().records.len(), 1);
    }
    let asking = (0..50).map(|_| port.start(Ask::Everything)).collect::<Vec<_>>();
    for poll in asking {
        assert_eq!(poll.await.unwrap().0, 200);
    }
    assert_eq!(port.sync.snapshots.held().await, 1, "a herd makes one snapshot");
}

#[tokio::test]
async fn a_snapshot_is_shared_and_let_go_when_nobody_asks_for_it() {
    let port = Port::new().await;
    let first = port.poll(Ask::Everything).await;
    port.harness.issue("k").await;
    assert_eq!(port.poll(Ask::Everything).await.header.content, first.header.content);
    let revision = port.head().revision - 1;
    let at = Cursor { revision, ..port.head() };
    assert_eq!(port.poll(Ask::Part { at, part: 0 }).await.records, first.records);
    let (status, _) = port.start(Ask::Part { at, part: 1 }).await.unwrap();
    assert_eq!(status, 400);
    port.harness.advance(Duration::from_secs(61));
    port.sync.snapshots.release_unused(port.harness.store.clock().now()).await;
    assert_eq!(port.sync.snapshots.held().await, 0);
    // The part of a snapshot that is gone is the first part of a fresh one.
    let fresh = port.poll(Ask::Part { at, part: 5 }).await;
    let content = Content::Snapshot { revision: revision + 1, part: 0, parts: 1, keys: 1 };
    assert_eq!(fresh.header.content, content);
}

#[tokio::test]
async fn a_newcomer_catches_up_from_a_shared_snapshot_without_waiting() {
    let port = Port::new().await;
    let key = port.harness.issue("k").await;
    let first = port.poll(Ask::Everything).await;
    let path = format!("/v1/keys/{}", text(&key, "id"));
    port.harness.call("DELETE", &path).send().await.expect(200);
    let newcomer = port.poll(Ask::Everything).await;
    assert_eq!(newcomer.records, first.records, "the shared snapshot still has the deleted key");
    let at = Cursor { revision: port.head().revision - 1, ..port.head() };
    let page = port.poll(Ask::CatchUp { at }).await;
    let content = Content::Delta { from: at.revision, to: at.revision + 1, more: false };
    assert_eq!(page.header.content, content);
    assert!(matches!(page.records.as_slice(), [Record::DeleteKey(_)]), "{page:?}");
    let nothing = port.poll(Ask::CatchUp { at: port.head() }).await;
    assert!(nothing.records.is_empty());
}

#[tokio::test]
async fn a_worker_that_cannot_go_on_from_a_snapshot_gets_a_later_one() {
    let port = Port::new().await;
    let first = port.sync.snapshots.recent(wanted(None), &Serves::Everything).await.unwrap().at.revision;
    port.harness.issue("k").await;
    assert_eq!(port.sync.snapshots.recent(wanted(None), &Serves::Everything).await.unwrap().at.revision, first);
    assert_eq!(
        port.sync.snapshots.recent(wanted(Some(first)), &Serves::Everything).await.unwrap().at.revision,
        first + 1
    );
    assert_eq!(port.sync.snapshots.held().await, 2);
}

#[tokio::test]
async fn a_worker_of_another_epoch_starts_over() {
    let port = Port::new().await;
    let cursor = Cursor { epoch: Epoch::from_number(1), revision: 1_000 };
    let page = port.poll(after(cursor, 30_000)).await;
    assert!(matches!(page.header.content, Content::Snapshot { part: 0, .. }));
    let page = port.poll(Ask::Part { at: cursor, part: 3 }).await;
    assert!(matches!(page.header.content, Content::Snapshot { part: 0, .. }));
}

#[tokio::test]
async fn a_worker_from_a_lost_future_is_refused() {
    let port = Port::new().await;
    let revision = port.head().revision + 1;
    let (status, body) = port.start(after(Cursor { revision, ..port.head() }, 30_000)).await.unwrap();
    assert_eq!(status, 409);
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert!(text(&problem, "detail").contains("rolled back"));
}

#[tokio::test]
async fn only_a_gateways_token_opens_the_port() {
    let port = Port::new().await;
    let key = port.harness.issue("k").await;
    for token in ["", "Bearer wrong", &format!("Bearer {}", text(&key, "key"))] {
        let mut request = port.request("");
        request.headers_mut().insert("authorization", token.parse().unwrap());
        let response = port.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401, "{token}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers().contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_query_that_asks_for_nothing_is_refused() {
    let port = Port::new().await;
    let epoch = port.head().epoch;
    for query in [
        "revision=1".to_owned(),
        "poll=x".to_owned(),
        "all=true".to_owned(),
        format!("epoch={epoch}"),
        format!("epoch={epoch}&revision=-1"),
        format!("epoch={epoch}&revision=1&snapshot=1&part=0"),
        "epoch=epo_x&revision=1".to_owned(),
    ] {
        assert_eq!(send(port.router.clone(), port.request(&query)).await.0, 400, "{query}");
    }
    let mut request = port.request("");
    *request.method_mut() = axum::http::Method::POST;
    assert_eq!(send(port.router.clone(), request).await.0, 405);
}

#[tokio::test]
async fn deleting_a_gateway_ends_its_open_polls_and_no_others() {
    let port = Port::new().await;
    let other = port.harness.post("/v1/gateways", json!({"name": "other"})).await.expect(201);
    let waiting = port.start(after(port.head(), 30_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    port.harness.delete(&format!("/v1/gateways/{}", text(&other, "id"))).await.expect(200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    port.harness.delete(&format!("/v1/gateways/{}", text(&port.gateway, "id"))).await.expect(200);
    assert_eq!(waiting.await.unwrap().0, 401);
}

#[tokio::test]
async fn stopping_answers_open_polls_at_once() {
    let port = Port::new().await;
    let waiting = port.start(after(port.head(), 30_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    port.stop.send(true).unwrap();
    let (status, bytes) = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(status, 200);
    assert_eq!(Page::parse(&bytes).unwrap().records, []);
}

#[tokio::test]
async fn a_worker_without_a_proper_name_is_served_and_not_remembered() {
    let port = Port::new().await;
    for name in [None, Some("a b".to_owned()), Some("x".repeat(65))] {
        let mut request = port.request("");
        request.headers_mut().remove("x-portcullis-worker");
        if let Some(name) = name {
            request.headers_mut().insert("x-portcullis-worker", name.parse().unwrap());
        }
        assert_eq!(send(port.router.clone(), request).await.0, 200);
    }
    let gateway = text(&port.gateway, "id").parse().unwrap();
    assert!(port.harness.fleet.of(gateway).is_empty());
}

/// What a worker wants that has nothing, or that could not go on from `beyond`.
fn wanted(beyond: Option<u64>) -> Wanted {
    let epoch = Epoch::from_number(1);
    let known = Known { epoch, head: 0, is_fresh: true, scope_revision: 0, pruned: 0 };
    beyond.map_or_else(|| Wanted::by_a_newcomer(&known), |revision| Wanted::beyond(revision, &known))
}

/// The names of what a page says, in its order.
fn kinds(page: &Page) -> Vec<&'static str> {
    let kinds = page.records.iter().map(|record| match record {
        Record::Key(_) => "key",
        Record::Api(_) => "api",
        Record::DeleteKey(_) => "delete key",
        Record::DeleteApi(_) => "delete api",
        Record::OverBudget(_) => "over budget",
        Record::WithinBudget(_) => "within budget",
    });
    kinds.collect()
}

#[tokio::test]
async fn a_gateway_of_some_apis_is_told_of_what_concerns_it_and_starts_over_when_that_changes() {
    let port = Port::new().await;
    let gateway = format!("/v1/gateways/{}", text(&port.gateway, "id"));
    let key = async |kind: &str| {
        let body = json!({"kind": kind, "name": "k", "organization": "acme"});
        port.harness.post("/v1/keys", body).await.expect(201)
    };
    let (serverless, dedicated) = (key("serverless").await, key("dedicated").await);
    assert_eq!(kinds(&port.poll(Ask::Everything).await), ["api", "api", "key", "key"]);
    let waiting = port.start(after(port.head(), 30_000));
    port.harness.patch(&gateway, json!({"apis": ["echo"]})).await.expect(200);
    // The open poll is answered at once, with what the gateway should have from now on.
    let (status, bytes) = waiting.await.unwrap();
    let page = Page::parse(&bytes).unwrap();
    assert_eq!((status, kinds(&page)), (200, vec!["api", "key"]));
    assert!(matches!(page.header.content, Content::Snapshot { keys: 1, .. }));
    // What does not concern it moves its cursor and says nothing.
    let before = port.head();
    port.harness.delete(&format!("/v1/keys/{}", text(&dedicated, "id"))).await.expect(200);
    let page = port.poll(after(before, 30_000)).await;
    assert_eq!(kinds(&page), [""; 0]);
    assert_eq!(page.header.content, Content::Delta { from: before.revision, to: before.revision + 1, more: false });
    let before = port.head();
    port.harness.delete(&format!("/v1/keys/{}", text(&serverless, "id"))).await.expect(200);
    assert_eq!(kinds(&port.poll(after(before, 30_000)).await), ["delete key"]);
    // A cursor from before the change of its APIs is not enough to go on from.
    port.harness.patch(&gateway, json!({"apis": null})).await.expect(200);
    let page = port.poll(Ask::CatchUp { at: before }).await;
    assert!(matches!(page.header.content, Content::Snapshot { keys: 0, .. }));
    assert_eq!(kinds(&page), ["api", "api"]);
}

#[tokio::test]
async fn a_gateways_new_token_ends_the_polls_of_the_old_one() {
    let port = Port::new().await;
    let waiting = port.start(after(port.head(), 30_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let path = format!("/v1/gateways/{}/reissue", text(&port.gateway, "id"));
    port.harness.post(&path, json!({})).await.expect(201);
    assert_eq!(waiting.await.unwrap().0, 401);
}
