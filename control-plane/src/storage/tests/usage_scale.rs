//! Questions about the usage of 2,000 keys: how long each takes, which is printed, and that none of them reads more of
//! the table than the rows of what it asks about, which is asserted.

use std::time::Instant;

use super::super::sql::Dialect;
use super::super::usage_query::Reading;
use super::super::usage_query::slots::{Slot, Source, used};
use super::*;
use crate::domain::usage_query::{Asked, Grouping};

/// How often each question is asked.
const ROUNDS: usize = 7;
/// Twenty organizations, 200 users, three APIs, and 2,000 keys with something used in each hour of three days.
const FILL_SQLITE: [&str; 5] = [
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
     INSERT INTO organizations (id, name, created_at) SELECT i, 'organization ' || i, i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
     INSERT INTO users (id, name, role, organization_id, created_at)
     SELECT i, 'user ' || i, 'member', 1 + i % 20, i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                       rate_limit_enabled)
     SELECT i, 'serverless', 1 + i % 20, 'key ' || i, randomblob(32), 'pc_sls_Ab…0000', 'key ' || i, 1 + i % 200, i, 0 FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
     INSERT INTO apis (id, name, kind, hosts, path_prefix, forward_credential, created_at)
     SELECT i, 'api ' || i, 'serverless', '[]', '/' || i, 0, i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 71)
     INSERT INTO usage SELECT 'key', 'hour', k.organization_id, k.id, 1800000000000 - 28800000 - i * 3600000, 1 + (k.id + i) % 3,
                              '2xx', 1, 2, 3, 4, 5, 0, 0, 6, 7 FROM n, keys k",
];
const FILL_POSTGRES: [&str; 5] = [
    "INSERT INTO organizations (id, name, created_at) SELECT i, 'organization ' || i, i FROM generate_series(1, 20) AS i",
    "INSERT INTO users (id, name, role, organization_id, created_at)
     SELECT i, 'user ' || i, 'member', 1 + i % 20, i FROM generate_series(1, 200) AS i",
    "INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                       rate_limit_enabled)
     SELECT i, 'serverless', 1 + i % 20, 'key ' || i, sha256(int8send(i)), 'pc_sls_Ab…0000', 'key ' || i, 1 + i % 200, i, false
     FROM generate_series(1, 2000::bigint) AS i",
    "INSERT INTO apis (id, name, kind, hosts, path_prefix, forward_credential, created_at)
     SELECT i, 'api ' || i, 'serverless', '[]', '/' || i, false, i FROM generate_series(1, 3) AS i",
    "INSERT INTO usage SELECT 'key', 'hour', k.organization_id, k.id, 1800000000000 - 28800000 - i * 3600000, 1 + (k.id + i) % 3,
                              '2xx', 1, 2, 3, 4, 5, 0, 0, 6, 7 FROM keys k, generate_series(0, 71) AS i",
];
/// The sums of that, as counting keeps them.
const SUMS: [&str; 5] = [
    "INSERT INTO usage SELECT grain, 'day', organization_id, subject_id, start - start % 86400000, api_id, outcome,
         count(*), 2, 3, 4, 5, 0, 0, 6, 7 FROM usage WHERE period = 'hour' GROUP BY 1, 3, 4, 5, 6, 7",
    "INSERT INTO usage SELECT grain, 'month', organization_id, subject_id, 1798761600000, api_id, outcome,
         sum(requests), 2, 3, 4, 5, 0, 0, 6, 7 FROM usage WHERE period = 'day' GROUP BY 1, 3, 4, 5, 6, 7",
    "INSERT INTO usage SELECT 'user', period, organization_id, 1 + subject_id % 200, start, api_id, outcome,
         sum(requests), 2, 3, 4, 5, 0, 0, 6, 7 FROM usage WHERE grain = 'key' GROUP BY 2, 3, 4, 5, 6, 7",
    "INSERT INTO usage SELECT 'organization', period, organization_id, 0, start, api_id, outcome,
         sum(requests), 2, 3, 4, 5, 0, 0, 6, 7 FROM usage WHERE grain = 'key' GROUP BY 2, 3, 5, 6, 7",
    "INSERT INTO usage SELECT 'total', period, 0, 0, start, api_id, outcome,
         sum(requests), 2, 3, 4, 5, 0, 0, 6, 7 FROM usage WHERE grain = 'key' GROUP BY 2, 5, 6, 7",
];

/// Every sort of question, with what it is called in the printed table.
fn questions() -> Vec<(String, UsageQuery)> {
    let (organization, user) = (OrganizationId::from_number(8), portcullis_core::id::UserId::from_number(7));
    let key = portcullis_core::id::KeyId::from_number(107);
    let scopes = [
        UsageScope::Everything,
        UsageScope::Organization(organization),
        UsageScope::User(user, None),
        UsageScope::User(user, Some(organization)),
        UsageScope::Key { key, organization, user },
    ];
    // A month, and days and hours at both ends.
    let edges =
        (Some(Timestamp::from_unix_ms(NOW_MS - 60 * 3_600_000)), Some(Timestamp::from_unix_ms(NOW_MS - 7_200_000)));
    let mut questions = Vec::new();
    for (scope, subject) in
        scopes.into_iter().flat_map(|scope| ["", "key", "user", "organization"].map(|by| (scope, by)))
    {
        for (rest, (from, to)) in
            [("", (None, None)), ("", edges), ("day", (None, None)), ("hour", edges), ("api", edges)]
        {
            let by = [subject, rest].into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(",");
            let grouping = Grouping::parse(&by).unwrap();
            let asked = Asked::new(from, to, write_now(), grouping.bucket).unwrap();
            let api = (rest == "api").then(|| portcullis_core::id::ApiId::from_number(2));
            let kind = (rest == "day").then_some(ApiKind::Serverless);
            let query = UsageQuery { scope, api, kind, asked, grouping, after: None, limit: 100 };
            questions.push((format!("{scope:?} by {by:?}"), query));
        }
    }
    questions
}

/// How the database goes about a statement, one step a line.
async fn plan(view: &mut View<'_>, mut query: Statement) -> Vec<String> {
    match view.session().dialect() {
        Dialect::Sqlite => {
            query.wrap("EXPLAIN QUERY PLAN ", "");
            let rows: Vec<(i64, i64, i64, String)> = query.all(view.session()).await.unwrap();
            rows.into_iter().map(|row| row.3).collect()
        }
        Dialect::Postgres => {
            query.wrap("EXPLAIN (COSTS OFF) ", "");
            let rows: Vec<(String,)> = query.all(view.session()).await.unwrap();
            rows.into_iter().map(|row| row.0.trim().to_owned()).collect()
        }
    }
}

/// The steps that read of the table of usage more than the rows of a slot. In SQLite it is always called `u`.
fn too_much(plan: &[String]) -> Vec<&String> {
    let whole = plan.iter().filter(|step| {
        let sqlite = *step == "SCAN u" || (step.starts_with("SEARCH u ") && !step.contains("subject_id=?"));
        let postgres = step.contains("Seq Scan on usage")
            || (step.contains("Cond:") && step.contains("grain") && !step.contains("subject_id ="));
        sqlite || postgres
    });
    whole.collect()
}

async fn assert_no_question_reads_too_much(fixture: &Fixture, fill: &[&'static str]) {
    for statement in fill.iter().chain(&SUMS) {
        fixture.execute(sql(statement)).await;
    }
    fixture.execute(sql("ANALYZE")).await;
    let (mut medians, mut wrong) = (Vec::new(), Vec::new());
    for (what, query) in questions() {
        let mut read = fixture.store.read().await.unwrap();
        let mut view = read.view();
        let range = query.asked.rounded(query.grouping.bucket, Timestamp::from_unix_ms(0));
        let reading = Reading { pieces: range.pieces(query.grouping.bucket), api: query.api, kind: query.kind };
        let source = Source::new(query.scope, query.grouping.subject);
        let mut plans = Vec::new();
        if source.is_walk() {
            plans.push(plan(&mut view, used(&source, &reading, i64::MIN, Some(query.limit))).await);
        }
        let (slots, _) = view.slots(&source, &reading, None, Some(query.limit)).await.unwrap();
        let slots: Vec<Slot> = slots.into_iter().take(100).collect();
        let sums = reading.sums(&source, &slots, &query.grouping, view.session().dialect()).unwrap();
        plans.push(plan(&mut view, sums).await);
        for plan in &plans {
            wrong.extend(too_much(plan).into_iter().map(|step| format!("{what}: {step} in {plan:?}")));
        }
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            fixture.store.usage(&query).await.unwrap();
            times.push(started.elapsed().as_micros());
        }
        times.sort_unstable();
        println!("{what:100} {:>6} µs at the median", times[ROUNDS / 2]);
        medians.push(times[ROUNDS / 2]);
    }
    medians.sort_unstable();
    println!(
        "{} questions: the middle one takes {} µs, the slowest {} µs, each at the median of {ROUNDS}",
        medians.len(),
        medians[medians.len() / 2],
        medians[medians.len() - 1]
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn no_question_about_usage_reads_more_than_it_asks_about_in_sqlite() {
    assert_no_question_reads_too_much(&Fixture::sqlite().await, &FILL_SQLITE).await;
}

#[tokio::test]
async fn no_question_about_usage_reads_more_than_it_asks_about_in_postgres() {
    assert_no_question_reads_too_much(&Fixture::postgres().await, &FILL_POSTGRES).await;
}
