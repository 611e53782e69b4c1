//! Usage reports, as workers send them.

use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::verdict::Refusal;
use portcullis_core::wire::{AMOUNT_MAX, Counts, REPORT_BYTES_MAX, ROWS_MAX, Receipt, Report, ReportRow};

use super::*;
use crate::api::testing::START_MS;

const CALL: Outcome = Outcome::Answered(StatusClass::Success);

fn row(key: &Value, api: &str, requests: u64) -> ReportRow {
    ReportRow {
        key: Some(text(key, "id").parse().unwrap()),
        api: api.parse().unwrap(),
        outcome: CALL,
        price_version: 1,
        counts: Counts { requests, prompt_tokens: 3, completion_tokens: 4, ..Counts::default() },
    }
}

fn report(sequence: u64, rows: Vec<ReportRow>) -> Report {
    Report { sequence, hour_ms: START_MS, until_ms: START_MS, rows }
}

impl Port {
    /// The id of the API with this name.
    async fn api(&self, name: &str) -> String {
        let apis = self.harness.get("/v1/apis").await.expect(200);
        let found = apis["items"].as_array().unwrap().iter().find(|api| text(api, "name") == name).unwrap().clone();
        text(&found, "id").to_owned()
    }

    fn post(&self, body: impl Into<Body>) -> Request<Body> {
        let mut request = self.request("");
        (*request.method_mut(), *request.uri_mut()) = ("POST".parse().unwrap(), USAGE_PATH.parse().unwrap());
        *request.body_mut() = body.into();
        request
    }

    async fn count(&self, report: &Report) -> Receipt {
        let request = self.post(serde_json::to_vec(report).unwrap());
        let (status, body) = send(self.router.clone(), request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    async fn requests(&self) -> u64 {
        self.harness.get("/v1/usage").await.expect(200)["total"]["requests"].as_u64().unwrap()
    }
}

fn counted(sequence: u64, counted: bool) -> Receipt {
    Receipt { sequence, counted, refused: Vec::new() }
}

#[tokio::test]
async fn a_report_is_counted_once_however_often_it_comes() {
    let port = Port::new().await;
    let (key, api) = (port.harness.issue("k").await, port.api("echo").await);
    let first = report(1, vec![row(&key, &api, 5)]);
    assert_eq!(port.count(&first).await, counted(1, true));
    assert_eq!(port.count(&first).await, counted(1, false));
    // Two attempts at once: the first has timed out, and is still on its way.
    let second = report(2, vec![row(&key, &api, 7)]);
    let (one, other) = tokio::join!(port.count(&second), port.count(&second));
    assert_eq!([one.counted, other.counted].iter().filter(|counted| **counted).count(), 1);
    assert_eq!(port.count(&first).await, counted(1, false));
    assert_eq!(port.requests().await, 12);
    let key = port.harness.get(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
    assert_eq!(key["last_used_at"], "2027-01-01T00:00:00Z");
}

#[tokio::test]
async fn reports_of_many_workers_are_counted_each_for_itself() {
    let port = Port::new().await;
    let (key, api) = (port.harness.issue("k").await, port.api("echo").await);
    let sent = (0..100).map(|worker| {
        let mut request = port.post(serde_json::to_vec(&report(1, vec![row(&key, &api, 1)])).unwrap());
        request.headers_mut().insert(WORKER_HEADER, format!("worker-{worker}").parse().unwrap());
        tokio::spawn(send(port.router.clone(), request))
    });
    for sent in sent.collect::<Vec<_>>() {
        let (status, body) = sent.await.unwrap();
        assert_eq!((status, serde_json::from_slice::<Receipt>(&body).unwrap()), (200, counted(1, true)));
    }
    assert_eq!(port.requests().await, 100);
}

#[tokio::test]
async fn rows_that_cannot_be_counted_are_refused_and_the_others_count() {
    let port = Port::new().await;
    let (key, echo, private) = (port.harness.issue("k").await, port.api("echo").await, port.api("private-echo").await);
    let gateway = format!("/v1/gateways/{}", text(&port.gateway, "id"));
    port.harness.patch(&gateway, json!({"apis": ["echo"]})).await.expect(200);
    let strange = json!({"id": "key_0000000000000"});
    let mut endless = row(&key, &echo, 1);
    endless.counts.response_bytes = AMOUNT_MAX + 1;
    // It would fill somebody's budget with what they were refused.
    let refused = ReportRow { outcome: Outcome::Refused(Refusal::ExpiredKey), ..row(&key, &echo, 5) };
    let rows = vec![
        row(&key, &echo, 5),
        row(&key, &private, 5),
        row(&strange, &echo, 5),
        row(&key, "api_0000000000000", 5),
        endless,
        refused,
        row(&key, &echo, 2),
    ];
    let receipt = port.count(&report(1, rows)).await;
    let refused = receipt.refused.iter().map(|refused| refused.row).collect::<Vec<_>>();
    assert!(receipt.counted && refused == [1, 2, 3, 4, 5], "{receipt:?}");
    assert_eq!(port.requests().await, 7);
}

#[tokio::test]
async fn what_is_no_report_is_refused_and_counts_nothing() {
    let port = Port::new().await;
    let (key, api) = (port.harness.issue("k").await, port.api("echo").await);
    let good = serde_json::to_string(&report(1, vec![row(&key, &api, 5)])).unwrap();
    let hour = START_MS.to_string();
    let wrong = [
        String::new(),
        "[]".to_owned(),
        good.replace("\"requests\":5", "\"requests\":-5"),
        good.replace("\"requests\":5", "\"requests\":NaN"),
        good.replace("\"requests\":5", "\"requests\":99999999999999999999999"),
        good.replace("\"sequence\":1", "\"sequence\":0"),
        good.replace("\"sequence\":1", "\"sequence\":9223372036854775808"),
        good.replace("\"2xx\"", "\"missing_credential\""),
        good.replace(&format!("\"hour_ms\":{hour}"), &format!("\"hour_ms\":{}", START_MS + 1)),
        serde_json::to_string(&report(1, vec![row(&key, &api, 1); ROWS_MAX + 1])).unwrap(),
    ];
    for body in wrong {
        assert_ne!(body, good);
        let shown = body.chars().take(200).collect::<String>();
        let (status, answer) = send(port.router.clone(), port.post(body)).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["status"]), (400, &json!(400)), "{shown}");
    }
    let large = vec![b' '; REPORT_BYTES_MAX + 1];
    assert_eq!(send(port.router.clone(), port.post(large)).await.0, 413);
    let mut unnamed = port.post(good.clone());
    unnamed.headers_mut().remove(WORKER_HEADER);
    assert_eq!(send(port.router.clone(), unnamed).await.0, 400);
    for token in [None, Some("Bearer wrong")] {
        let mut request = port.post(good.clone());
        request.headers_mut().remove("authorization");
        if let Some(token) = token {
            request.headers_mut().insert("authorization", token.parse().unwrap());
        }
        assert_eq!(send(port.router.clone(), request).await.0, 401);
    }
    assert_eq!(send(port.router.clone(), Request::get(USAGE_PATH).body(Body::empty()).unwrap()).await.0, 405);
    assert_eq!(port.requests().await, 0);
    // An hour that has not begun is a fault of its rows: a worker would send such a report for ever.
    let early = Report { hour_ms: START_MS + 2 * 60 * 60 * 1_000, ..report(1, vec![row(&key, &api, 5)]) };
    assert_eq!(port.count(&early).await.refused.len(), 1);
}

#[tokio::test]
async fn a_stop_that_a_report_leads_to_is_pushed_at_once() {
    let port = Port::new().await;
    let body = json!({"kind": "serverless", "name": "k", "monthly_budget": {"tokens": 7}});
    let (key, api) = (port.harness.post("/v1/keys", body).await.expect(201), port.api("echo").await);
    let before = port.head();
    let waiting = port.start(after(before, 30_000));
    tokio::task::yield_now().await;
    port.count(&report(1, vec![row(&key, &api, 1)])).await;
    let (_, bytes) = waiting.await.unwrap();
    let page = Page::parse(&bytes).unwrap();
    let [Record::Key(told)] = page.records.as_slice() else { panic!("{page:?}") };
    assert!(
        told.over_budget
            && page.header.content == Content::Delta { from: before.revision, to: before.revision + 1, more: false }
    );
    let shown = port.harness.call("GET", "/metrics").text().await;
    for line in [
        "portcullis_usage_reports_total{result=\"counted\"} 1",
        "portcullis_usage_requests_total{outcome=\"2xx\"} 1",
        "portcullis_usage_tokens_total{type=\"completion\"} 4",
        "portcullis_budget_stops_total{subject=\"key\"} 1",
        "portcullis_usage_report_seconds_count 1",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
    }
}
