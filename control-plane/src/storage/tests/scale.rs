//! Lists of 100,000 keys: how long each takes, which is printed, and that none of them reads the whole table to find
//! its page, which is asserted.

use std::time::Instant;

use super::super::keys_list::{Finding, in_full, page};
use super::super::sql::Dialect;
use super::*;
use crate::domain::authority::Sight;
use crate::domain::key::KeyStatus;

pub(super) const KEYS: i64 = 100_000;
/// How often each list is asked for.
const ROUNDS: usize = 7;
/// Twenty organizations, of which the first has half of all keys; 200 users; a twentieth of the keys has expired
/// and a fiftieth is revoked.
pub(super) const FILL_SQLITE: [&str; 3] = [
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
     INSERT INTO organizations (id, name, created_at) SELECT i, 'organization ' || i, i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
     INSERT INTO users (id, name, role, organization_id, created_at)
     SELECT i, 'user ' || i, 'member', 1 + i % 20, i FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
     INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                       expires_at, rate_limit_enabled, last_used_at, revoked_at)
     SELECT i, iif(i % 2 = 0, 'serverless', 'dedicated'), iif(i % 2 = 0, 1, 1 + i % 20), 'Batch key ' || (i * 7919 % 100000),
            randomblob(32), 'pc_sls_Ab…' || printf('%04d', i % 10000),
            'batch key ' || (i * 7919 % 100000) || char(10) || 'pc_sls_ab…' || printf('%04d', i % 10000),
            1 + i % 200, i, CASE WHEN i % 20 = 0 THEN 1000 + i WHEN i % 3 = 0 THEN 1900000000000 + i END,
            0, iif(i % 4 = 0, NULL, i), iif(i % 50 = 0, i, NULL) FROM n",
];
pub(super) const FILL_POSTGRES: [&str; 4] = [
    "INSERT INTO organizations (id, name, created_at) SELECT i, 'organization ' || i, i FROM generate_series(1, 20) AS i",
    "INSERT INTO users (id, name, role, organization_id, created_at)
     SELECT i, 'user ' || i, 'member', 1 + i % 20, i FROM generate_series(1, 200) AS i",
    "INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by, issued_at,
                       expires_at, rate_limit_enabled, last_used_at, revoked_at)
     SELECT i, CASE WHEN i % 2 = 0 THEN 'serverless' ELSE 'dedicated' END, CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 20 END,
            'Batch key ' || (i * 7919 % 100000), sha256(int8send(i)), 'pc_sls_Ab…' || lpad((i % 10000)::text, 4, '0'),
            'batch key ' || (i * 7919 % 100000) || chr(10) || 'pc_sls_ab…' || lpad((i % 10000)::text, 4, '0'),
            1 + i % 200, i, CASE WHEN i % 20 = 0 THEN 1000 + i WHEN i % 3 = 0 THEN 1900000000000 + i END,
            false, CASE WHEN i % 4 = 0 THEN NULL ELSE i END, CASE WHEN i % 50 = 0 THEN i END
     FROM generate_series(1, 100000::bigint) AS i",
    // PostgreSQL does this by itself, in its own time.
    "ANALYZE",
];

fn everything() -> KeyFilter {
    KeyFilter { sight: Sight::Everything, kind: None, status: None, organization: None, created_by: None, search: None }
}

/// Every sort of list that people ask for, with what it is called in the printed table.
fn filters() -> Vec<(String, KeyFilter)> {
    let (organization, user) = (OrganizationId::from_number(1), portcullis_core::id::UserId::from_number(7));
    let small = OrganizationId::from_number(8);
    let mut filters = vec![
        ("all".to_owned(), everything()),
        ("kind".to_owned(), KeyFilter { kind: Some(ApiKind::Dedicated), ..everything() }),
        ("organization".to_owned(), KeyFilter { organization: Some(organization), ..everything() }),
        (
            "a kind that an admin has none of".to_owned(),
            KeyFilter { kind: Some(ApiKind::Serverless), sight: Sight::Organization(small), ..everything() },
        ),
        ("an admin's".to_owned(), KeyFilter { sight: Sight::Organization(small), ..everything() }),
        ("a member's".to_owned(), KeyFilter { sight: Sight::Own(user), ..everything() }),
    ];
    for status in [KeyStatus::Active, KeyStatus::Expired, KeyStatus::Revoked] {
        filters.push((format!("{status:?}"), KeyFilter { status: Some(status), ..everything() }));
    }
    // Common, selective, at the end of a masked value, nowhere; and too short for the index: common, nowhere.
    for text in ["batch", "key 4242", "…4242", "nowhere", "b", "zq"] {
        let search = Some(text.to_owned());
        filters.push((format!("search {text:?}"), KeyFilter { search: search.clone(), ..everything() }));
        let of_small = KeyFilter { search: search.clone(), sight: Sight::Organization(small), ..everything() };
        filters.push((format!("search {text:?}, an admin's"), of_small));
    }
    filters
}

const SORTS: [KeySort; 4] = [KeySort::Issued, KeySort::Name, KeySort::Expiry, KeySort::LastUse];

/// The slowest of a list's first two pages, at the median and at least.
async fn measure(store: &Store, filter: &KeyFilter, sort: KeySort, descending: bool) -> (u128, u128) {
    let mut read = store.read().await.unwrap();
    let (mut after, mut slowest) = (None, (0, 0));
    for _ in 0..2 {
        let order = KeyOrder { sort, descending, after: after.clone(), limit: 50 };
        let (mut times, mut next) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            next = read.view().keys(filter, &order, write_now()).await.unwrap().next;
            times.push(started.elapsed().as_micros());
        }
        times.sort_unstable();
        slowest = slowest.max((times[ROUNDS / 2], times[0]));
        if next.is_none() {
            break;
        }
        after = next;
    }
    slowest
}

/// How the database goes about a list, one step a line.
async fn plan(store: &Store, filter: &KeyFilter, sort: KeySort, descending: bool) -> String {
    let order = KeyOrder { sort, descending, after: None, limit: 50 };
    let mut read = store.read().await.unwrap();
    let mut view = read.view();
    let dialect = view.session().dialect();
    let finding = view.finding(filter).await.unwrap();
    let mut query = page(filter, &order, write_now(), &finding, dialect, 51);
    match dialect {
        Dialect::Sqlite => {
            query.wrap("EXPLAIN QUERY PLAN ", "");
            let rows: Vec<(i64, i64, i64, String)> = query.all(view.session()).await.unwrap();
            rows.into_iter().map(|row| row.3).collect::<Vec<_>>().join("; ")
        }
        Dialect::Postgres => {
            query.wrap("EXPLAIN (COSTS OFF) ", "");
            let rows: Vec<(String,)> = query.all(view.session()).await.unwrap();
            rows.into_iter().map(|row| row.0.trim().to_owned()).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Whether a plan reads the whole table, rather than an index or a part of it.
fn reads_all(plan: &str) -> bool {
    plan.contains("Seq Scan on keys") || plan.split("; ").any(|step| step == "SCAN k")
}

async fn assert_no_list_reads_all(fixture: &Fixture, fill: &[&'static str]) {
    for statement in fill {
        fixture.execute(sql(statement)).await;
    }
    fixture.store.refresh_statistics().await.unwrap();
    let (count,): (i64,) =
        sql("SELECT count(*) FROM keys").one(fixture.store.read().await.unwrap().view().session()).await.unwrap();
    assert_eq!(count, KEYS);
    let (mut medians, mut reading_all) = (Vec::new(), Vec::new());
    for (what, filter) in filters() {
        let mut slowest = (0, 0, String::new());
        for (sort, descending) in SORTS.into_iter().flat_map(|sort| [(sort, true), (sort, false)]) {
            let (median_us, least_us) = measure(&fixture.store, &filter, sort, descending).await;
            let plan = plan(&fixture.store, &filter, sort, descending).await;
            medians.push(median_us);
            if reads_all(&plan) {
                reading_all.push(format!("{what} by {sort:?}: {plan}"));
            }
            let direction = if descending { "down" } else { "up" };
            slowest = slowest.max((median_us, least_us, format!("{sort:?} {direction}: {plan}")));
        }
        let (median_us, least_us, how) = slowest;
        println!("{what:30} at most {median_us:>6} µs at the median, {least_us:>6} µs at least, by {how}");
    }
    medians.sort_unstable();
    println!(
        "{} lists of {KEYS} keys: the middle one takes {} µs, the slowest {} µs, each at the median of {ROUNDS}",
        medians.len(),
        medians[medians.len() / 2],
        medians[medians.len() - 1]
    );
    assert!(reading_all.is_empty(), "{reading_all:#?}");
}

#[tokio::test]
async fn no_list_of_a_hundred_thousand_keys_reads_them_all_in_sqlite() {
    assert_no_list_reads_all(&Fixture::sqlite().await, &FILL_SQLITE).await;
}

#[tokio::test]
async fn no_list_of_a_hundred_thousand_keys_reads_them_all_in_postgres() {
    assert_no_list_reads_all(&Fixture::postgres().await, &FILL_POSTGRES).await;
}

#[tokio::test]
async fn a_database_that_has_grown_is_read_by_ids_from_the_first_question_on() {
    let fixture = Fixture::sqlite().await;
    for statement in &FILL_SQLITE[..2] {
        fixture.execute(sql(statement)).await;
    }
    fixture
        .execute(sql("INSERT INTO keys (id, kind, organization_id, name, digest, masked, search_text, created_by,
            issued_at, rate_limit_enabled) VALUES (-1, 'serverless', 1, 'k', zeroblob(32), 'k', 'k', 1, 1, 0)"))
        .await;
    fixture.store.refresh_statistics().await.unwrap();
    fixture.execute(sql(FILL_SQLITE[2])).await;
    fixture.store.close().await.unwrap();
    let again = open(&fixture.location).await;
    let order = KeyOrder { sort: KeySort::Issued, descending: true, after: None, limit: 50 };
    let mut query = in_full(page(&everything(), &order, write_now(), &Finding::All, Dialect::Sqlite, 51), &order);
    query.wrap("EXPLAIN QUERY PLAN ", "");
    let steps: Vec<(i64, i64, i64, String)> = query.all(again.read().await.unwrap().view().session()).await.unwrap();
    let steps = steps.into_iter().map(|step| step.3).collect::<Vec<_>>();
    assert!(!steps.iter().any(|step| step.starts_with("SCAN k")), "{steps:#?}");
}
