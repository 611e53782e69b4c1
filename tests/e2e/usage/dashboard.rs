//! The dashboard against what is there: every metric, label and value that its queries name exists in a running Envoy or
//! control plane, after calls of every sort.
//!
//! Its queries are read by a stranger, a PromQL parser. What is missing is told as complaints, and the same check must
//! complain of a dashboard in which something was renamed.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::house::{House, OPERATOR_TOKEN};
use portcullis_tests::limits::{DAY_SECONDS, requests_a_day, rule};
use portcullis_tests::machine::among_others;
use portcullis_tests::python;
use serde_json::{Value, json};

const DASHBOARD: &str = include_str!("../../../envoy/grafana/portcullis.json");
/// Labels that Prometheus adds to whatever it collects.
const ADDED: [&str; 2] = ["instance", "job"];

/// The labels of one series.
type Labels = BTreeMap<String, String>;
/// All series by their metric, with their values.
type Series = BTreeMap<String, Vec<(Labels, f64)>>;

/// Reads what Prometheus would collect of Portcullis here.
fn read(text: &str, series: &mut Series) {
    for line in text.lines().filter(|line| line.starts_with("portcullis_")) {
        let (name, value) = line.rsplit_once(' ').expect("a series and its value");
        let (metric, labels) = name.split_once('{').unwrap_or((name, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        // No value in this house has quotes.
        let labels = labels.split_terminator('"').collect::<Vec<_>>();
        let labels = labels.chunks(2).map(|label| {
            let name = label[0].trim_start_matches(',').strip_suffix('=').unwrap_or_else(|| panic!("{line}"));
            (name.to_owned(), label.get(1).copied().unwrap_or_default().to_owned())
        });
        let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        series.entry(metric.to_owned()).or_default().push((labels.collect(), value));
    }
}

async fn collected(house: &House) -> Series {
    let mut series = Series::new();
    read(&house.statistics().await, &mut series);
    let request = house.http.get(format!("{}/metrics", house.admin_url())).bearer_auth(OPERATOR_TOKEN);
    let answer = request.send().await.expect("the control plane's metrics");
    assert_eq!(answer.status(), 200);
    read(&answer.text().await.expect("text"), &mut series);
    series
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().expect("a string")).collect()
}

/// What the queries name and is not there. An empty list is praise.
fn complaints(queries: &Value, series: &Series) -> BTreeSet<String> {
    let mut complaints = BTreeSet::new();
    for query in queries.as_array().expect("queries") {
        let legend = strings(&query["legend"]);
        for selector in query["selectors"].as_array().expect("selectors") {
            let metric = selector["metric"].as_str().unwrap_or_default();
            let Some(found) = series.get(metric) else {
                complaints.insert(format!("no metric {metric}"));
                continue;
            };
            let groups = selector["groups"].as_array().map(|_| strings(&selector["groups"]));
            for label in legend.iter().filter(|label| groups.as_ref().is_some_and(|groups| !groups.contains(label))) {
                complaints.insert(format!("no label {label} is left of {metric}"));
            }
            for label in strings(&selector["labels"]).into_iter().chain(legend.iter().copied()) {
                if !ADDED.contains(&label) && !found.iter().all(|(labels, _)| labels.contains_key(label)) {
                    complaints.insert(format!("no label {label} of {metric}"));
                }
            }
            for matcher in selector["matchers"].as_array().expect("matchers") {
                let [label, operator, value] = strings(matcher)[..] else { panic!("{matcher}") };
                // Of regular expressions the dashboard uses alternatives and nothing else.
                let values = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
                for value in values {
                    if !found.iter().any(|(labels, _)| labels.get(label).is_some_and(|found| found == value)) {
                        complaints.insert(format!("no {label}=\"{value}\" of {metric}"));
                    }
                }
            }
        }
    }
    complaints
}

/// Makes calls that are let through, refused, limited and observed, and two that use tokens.
async fn call_in_every_way(house: &House) {
    let key = house.issue("serverless", json!({})).await;
    let limited = house.limited_api("limited", requests_a_day(1)).await;
    let mut observing = rule("requests", 1, DAY_SECONDS);
    observing["mode"] = json!("observe");
    let observed = house.limited_api("observed", json!({"rules": [observing]})).await;
    let mistyped = format!("{}x", key.secret);
    for (path, secret, statuses) in [
        ("/v1/models", &key.secret, [200, 200]),
        ("/v1/models", &mistyped, [401, 401]),
        (limited.path.as_str(), &key.secret, [200, 429]),
        (observed.path.as_str(), &key.secret, [200, 200]),
    ] {
        for status in statuses {
            assert_eq!(house.call(path, secret).await.status, status, "{path}");
        }
    }
    let base_url = format!("{}/v1", house.envoy().url());
    let calls = [false, true].map(|stream| json!({"base_url": base_url, "key": key.secret, "stream": stream}));
    let answers = python::run("openai_client.py", &json!(calls)).await;
    assert_eq!((&answers[0]["tokens"], &answers[1]["tokens"]), (&json!(8), &json!(8)), "{answers}");
}

/// Waits until these calls are published and reported, so that the figures mean what the panels say.
async fn published(house: &House) -> Series {
    let expected = [
        ("portcullis_requests_total", Some(("outcome", "allowed")), 7.0),
        ("portcullis_requests_total", Some(("outcome", "rate_limited")), 1.0),
        ("portcullis_rate_limit_observed_total", None, 1.0),
        ("portcullis_responses_total", Some(("class", "2xx")), 7.0),
        ("portcullis_tokens_total", Some(("type", "prompt")), 8.0),
        ("portcullis_tokens_total", Some(("type", "completion")), 8.0),
        ("portcullis_token_usage_total", Some(("result", "read")), 2.0),
        ("portcullis_usage_tokens_total", Some(("type", "completion")), 8.0),
        ("portcullis_unreported_rows", None, 0.0),
        ("portcullis_worker_lag_revisions", None, 0.0),
    ];
    house
        .wait_for_usage("all calls are published", || async {
            let series = collected(house).await;
            let wrong = expected.iter().find_map(|(metric, label, expected)| {
                let counts = series.get(*metric).into_iter().flatten().filter(|(labels, _)| {
                    label.is_none_or(|(label, value)| labels.get(label).is_some_and(|found| found == value))
                });
                let counts = counts.map(|(_, count)| *count).collect::<Vec<_>>();
                let right = !counts.is_empty() && (counts.iter().sum::<f64>() - expected).abs() < 0.5;
                (!right).then(|| format!("{metric} {label:?}: {counts:?} rather than {expected}"))
            });
            // Those who serve are those who are waited for, as the last panel says.
            let figures = |metric: &str| series.get(metric).into_iter().flatten().map(|(_, figure)| *figure);
            let serving = figures("portcullis_worker_revision").filter(|revision| *revision > 0.0).count();
            let waited_for = figures("portcullis_workers").next();
            let differ = waited_for.is_none_or(|workers| workers.to_string() != serving.to_string());
            let wrong = wrong.or_else(|| differ.then(|| format!("{serving} serve, {waited_for:?} are waited for")));
            wrong.map_or(Ok(series), Err)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_finds_what_it_asks_for() {
    let _among_others = among_others().await;
    let house = House::start().await;
    call_in_every_way(&house).await;
    let series = published(&house).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let queries = python::run("promql_queries.py", &dashboard).await;
    let selectors = queries.as_array().expect("queries").iter().flat_map(|query| query["selectors"].as_array());
    println!("{} queries, {} selectors", queries.as_array().map_or(0, Vec::len), selectors.flatten().count());
    assert_eq!(complaints(&queries, &series), BTreeSet::new(), "{:#?}", series.keys());

    // The same check notices what was renamed, each time in the dashboard alone.
    for (right, wrong, complaint) in [
        ("portcullis_polls_total", "portcullis_polled_total", "no metric portcullis_polled_total"),
        ("acknowledgement_seconds_bucket", "ack_bucket", "no metric portcullis_ack_bucket"),
        ("sum by (class)", "sum by (class, status)", "no label status of portcullis_responses_total"),
        ("sum by (le)", "sum by (le, node)", "no label node of portcullis_acknowledgement_seconds_bucket"),
        ("=\\\"rate_limited\\\"", "=\\\"limited\\\"", "no outcome=\"limited\" of portcullis_requests_total"),
        ("5xx|unanswered", "5xx|silent", "no class=\"silent\" of portcullis_responses_total"),
        ("{{subject}}", "{{type}}", "no label type is left of portcullis_budget_stops_total"),
    ] {
        assert!(DASHBOARD.contains(right), "{right}");
        let renamed: Value = serde_json::from_str(&DASHBOARD.replace(right, wrong)).expect("JSON");
        let queries = python::run("promql_queries.py", &renamed).await;
        let complaints = complaints(&queries, &series);
        assert!(complaints.contains(complaint), "{wrong}: {complaints:?}");
    }
    println!("what follows is of a query that is no PromQL, which must end its reader:");
    let broken: Value = serde_json::from_str(&DASHBOARD.replace("sum by (type)", "sum by (type")).expect("JSON");
    let reader = tokio::spawn(async move { python::run("promql_queries.py", &broken).await });
    assert!(reader.await.is_err_and(|error| error.is_panic()));
}

#[test]
fn every_panel_says_what_it_shows_and_takes_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    assert_eq!(dashboard["uid"], "portcullis");
    let panels = dashboard["panels"].as_array().expect("panels");
    let is_row = |panel: &&Value| panel["type"] == "row";
    let titles = panels.iter().filter(is_row).map(|row| row["title"].as_str().unwrap_or_default());
    assert_eq!(titles.collect::<Vec<_>>(), ["Requests", "Responses", "Usage", "Push", "Workers"]);
    for panel in panels.iter().filter(|panel| !is_row(panel)) {
        for place in ["/title", "/description", "/fieldConfig/defaults/unit", "/targets/0/expr"] {
            let text = panel.pointer(place).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "{place} of {panel}");
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.contains("worry")), "{panel}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| target["legendFormat"].as_str().is_some_and(|text| !text.is_empty())));
        for part in [panel].into_iter().chain(targets) {
            assert_eq!(part["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}), "{part}");
        }
    }
}
