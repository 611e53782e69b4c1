//! `usage`: a month of hourly rows, and how long it takes to ask what was used and to count a report.
//!
//! The month is written by SQL as the control plane would have written it: every key has called once in each hour of the
//! last 30 days, and its user, its organization and the total have the sums, by hour, by day and by month. Questions go to
//! a real control plane by its admin API, one after the other and again and again, so that what slows the machine down
//! slows all of them. Times are those of a client on the same machine.

use std::time::{Duration, Instant};

use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::wire::{Counts, ROWS_MAX, Receipt, Report as UsageReport, ReportRow, USAGE_PATH, WORKER_HEADER};
use portcullis_tests::bulk::Direct;
use portcullis_tests::database::Database;
use portcullis_tests::house::House;
use portcullis_tests::measure::Distribution;
use serde_json::json;
use time::{Duration as Span, OffsetDateTime};

use crate::report::Section;

/// How large it all is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many keys there are: a multiple of 500.
    pub keys: u64,
    /// How often each question is asked.
    pub rounds: usize,
}

const DAYS: u64 = 30;
const KEYS_PER_USER: u64 = 10;
const KEYS_PER_ORGANIZATION: u64 = 500;
/// Ids begin here, far below those of today.
const FIRST_ORGANIZATION: u64 = 1_000;
const FIRST_USER: u64 = 1_000_000;
const FIRST_KEY: u64 = 2_000_000;
const HOUR_MS: i64 = 3_600_000;
/// How many reports are counted.
const REPORTS: u64 = 15;

/// What each key has used in each hour.
const EACH: [u64; 9] = [1, 400, 2_000, 100, 200, 0, 0, 350, 123];

/// The month that is written.
struct Month {
    settings: Settings,
    api: i64,
    /// When its first hour began.
    from_ms: i64,
    /// When the calendar month began in which it ends.
    this_month_ms: i64,
    /// When the one before began.
    last_month_ms: i64,
}

/// Measures on this database.
pub async fn run(settings: Settings, name: &str, database: Database) -> Section {
    let key = format!("usage_{}", name.to_lowercase());
    let mut section = Section::new(key, format!("Usage: a month of hourly rows of {} keys, {name}", settings.keys));
    let house = House::without_envoy_on(database).await;
    let month = Month::before(OffsetDateTime::now_utc(), settings, &house);
    let start = Instant::now();
    let rows = month.write(&mut house.direct().await).await;
    section.row("rows", "rows in the table", rows.to_string(), json!(rows));
    section.time("filling", "writing them", start.elapsed());

    let questions = questions();
    let mut times = vec![Vec::new(); questions.len()];
    for _ in 0..settings.rounds {
        for ((_, query), times) in questions.iter().zip(&mut times) {
            let start = Instant::now();
            house.usage(query).await;
            times.push(start.elapsed());
        }
    }
    for ((label, query), times) in questions.iter().zip(times) {
        section.times(query, label, &Distribution::of(times));
    }
    section.times("reports", "counting a report of 2,000 keys", &Distribution::of(reports(&house, &month).await));
    section
}

/// What people ask, in words and as a query.
fn questions() -> Vec<(&'static str, String)> {
    let (key, user) = (KeyId::from_number(FIRST_KEY + 7), UserId::from_number(FIRST_USER + 7));
    let organization = OrganizationId::from_number(FIRST_ORGANIZATION + 3);
    let ago = |days: i64| {
        let at = OffsetDateTime::now_utc() - Span::days(days);
        format!("{}T{:02}:00:00Z", at.date(), at.hour())
    };
    let (week, all) = (ago(7), ago(DAYS.cast_signed()));
    vec![
        ("this month, everything", String::new()),
        ("this month by key, the first 100", "group_by=key".to_owned()),
        ("this month by key, the first 1,000", "group_by=key&limit=1000".to_owned()),
        ("this month by user", "group_by=user&limit=1000".to_owned()),
        ("this month by API", "group_by=api".to_owned()),
        ("this month by organization", "group_by=organization".to_owned()),
        ("this month by day", "group_by=day".to_owned()),
        ("this month by outcome", "group_by=outcome".to_owned()),
        ("an organization's month by key", format!("group_by=key&limit=1000&organization={organization}")),
        ("the last 7 days by hour", format!("group_by=hour&from={week}")),
        ("one key, the last 7 days by hour", format!("group_by=hour&key={key}&from={week}")),
        ("one user, this month by day", format!("group_by=day&user={user}")),
        ("the last 30 days by key, the first 100", format!("group_by=key&from={all}")),
        ("the last 30 days by day", format!("group_by=day&from={all}")),
    ]
}

impl Month {
    fn before(now: OffsetDateTime, settings: Settings, house: &House) -> Self {
        assert!(settings.keys.is_multiple_of(KEYS_PER_ORGANIZATION), "a multiple of {KEYS_PER_ORGANIZATION} keys");
        let api: ApiId = house.serverless_api.parse().expect("an id");
        let ms = |date: time::Date| date.midnight().assume_utc().unix_timestamp() * 1_000;
        let this_month = now.date().replace_day(1).expect("a date");
        let last_month = (this_month - Span::days(1)).replace_day(1).expect("a date");
        Self {
            settings,
            api: api.number().cast_signed(),
            from_ms: ms(now.date() - Span::days(DAYS.cast_signed())),
            this_month_ms: ms(this_month),
            last_month_ms: ms(last_month),
        }
    }

    /// Writes all of it; how many rows of usage there are then.
    async fn write(&self, direct: &mut Direct) -> u64 {
        let keys = self.settings.keys;
        let (users, organizations) = (keys / KEYS_PER_USER, keys / KEYS_PER_ORGANIZATION);
        for statement in self.people(direct) {
            direct.execute(statement).await;
        }
        let mut rows = 0;
        for (grain, count, per_organization, first) in [
            ("key", keys, KEYS_PER_ORGANIZATION, FIRST_KEY),
            ("user", users, KEYS_PER_ORGANIZATION / KEYS_PER_USER, FIRST_USER),
            ("organization", organizations, 1, 0),
            ("total", 1, 1, 0),
        ] {
            let organization = if grain == "total" {
                "0".to_owned()
            } else {
                format!("{FIRST_ORGANIZATION} + i / {per_organization}")
            };
            let subject = if first == 0 { "0".to_owned() } else { format!("{first} + i") };
            for period in ["hour", "day", "month"] {
                let place = format!("'{grain}', '{period}', {organization}, {subject}");
                rows += direct.execute(self.usage(direct, &place, count, period, keys / count)).await;
            }
        }
        direct.execute("ANALYZE".to_owned()).await;
        rows
    }

    fn people(&self, direct: &Direct) -> [String; 3] {
        let keys = self.settings.keys;
        let digest = match direct {
            Direct::Sqlite(_) => "randomblob(32)",
            Direct::Postgres(_) => "sha256(int8send(i))",
        };
        let no = match direct {
            Direct::Sqlite(_) => "0",
            Direct::Postgres(_) => "false",
        };
        let per_user = KEYS_PER_ORGANIZATION / KEYS_PER_USER;
        [
            selecting(
                direct,
                keys / KEYS_PER_ORGANIZATION,
                1,
                "INSERT INTO organizations (id, name, created_at)",
                &format!("{FIRST_ORGANIZATION} + i, 'organization ' || i, 1"),
            ),
            selecting(
                direct,
                keys / KEYS_PER_USER,
                1,
                "INSERT INTO users (id, name, role, organization_id, created_at)",
                &format!("{FIRST_USER} + i, 'user ' || i, 'member', {FIRST_ORGANIZATION} + i / {per_user}, 1"),
            ),
            selecting(
                direct,
                keys,
                1,
                "INSERT INTO keys (id, digest, kind, organization_id, name, masked, search_text,
                    created_by, issued_at, rate_limit_enabled)",
                &format!(
                    "{FIRST_KEY} + i, {digest}, 'serverless', {FIRST_ORGANIZATION} + i / {KEYS_PER_ORGANIZATION},
                    'key ' || i, 'pc_sls_Ab', 'key ' || i, {FIRST_USER} + i / {KEYS_PER_USER}, 1, {no}"
                ),
            ),
        ]
    }

    /// The statement that writes the rows of one grain and period. Each has as much as so many keys have used in it.
    fn usage(&self, direct: &Direct, place: &str, count: u64, period: &str, keys: u64) -> String {
        let (starts, start, hours) = match period {
            "hour" => (DAYS * 24, format!("{} + j * {HOUR_MS}", self.from_ms), "1".to_owned()),
            "day" => (DAYS, format!("{} + j * {}", self.from_ms, 24 * HOUR_MS), "24".to_owned()),
            "month" => {
                let days_before = (self.this_month_ms - self.from_ms).max(0) / (24 * HOUR_MS);
                let days_since = DAYS.cast_signed() - days_before;
                let start = format!("CASE j WHEN 0 THEN {} ELSE {} END", self.last_month_ms, self.this_month_ms);
                (2, start, format!("CASE j WHEN 0 THEN {} ELSE {} END", 24 * days_before, 24 * days_since))
            }
            other => panic!("{other}"),
        };
        let sums = EACH.map(|each| format!("CAST({} AS BIGINT) * ({hours})", each * keys)).join(", ");
        let columns = format!("{place}, {start}, {}, '2xx', {sums}", self.api);
        selecting(
            direct,
            count,
            starts,
            "INSERT INTO usage (grain, period, organization_id, subject_id, start, api_id,
            outcome, requests, request_bytes, response_bytes, prompt_tokens, completion_tokens, estimated, unknown,
            cost_micros, cost_picos)",
            &columns,
        )
    }
}

/// `insert` of these columns for each `i` below `count` and `j` below `times`.
fn selecting(direct: &Direct, count: u64, times: u64, insert: &str, columns: &str) -> String {
    match direct {
        Direct::Sqlite(_) => format!(
            "WITH RECURSIVE i (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i WHERE i < {count} - 1),
                 j (j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM j WHERE j < {times} - 1)
             {insert} SELECT {columns} FROM i CROSS JOIN j"
        ),
        Direct::Postgres(_) => format!(
            "{insert} SELECT {columns} FROM generate_series(0::bigint, {count} - 1) AS i (i)
                 CROSS JOIN generate_series(0::bigint, {times} - 1) AS j (j)"
        ),
    }
}

/// Sends full reports, each of as many keys as it has rows; how long each took to be counted.
async fn reports(house: &House, month: &Month) -> Vec<Duration> {
    let now_ms = OffsetDateTime::now_utc().unix_timestamp() * 1_000;
    let hour_ms = (now_ms - now_ms % HOUR_MS).cast_unsigned();
    let mut times = Vec::new();
    for sequence in 1..=REPORTS {
        let row = |place: u64| ReportRow {
            key: Some(KeyId::from_number(FIRST_KEY + (sequence * 977 + place) % month.settings.keys)),
            api: ApiId::from_number(month.api.cast_unsigned()),
            outcome: Outcome::Answered(StatusClass::Success),
            price_version: 1,
            counts: Counts { requests: 3, prompt_tokens: 30, completion_tokens: 60, ..Counts::default() },
        };
        let rows = (0..ROWS_MAX as u64).map(row).collect();
        let report = UsageReport { sequence, hour_ms, until_ms: now_ms.cast_unsigned(), rows };
        let start = Instant::now();
        let sent = house.http.post(format!("{}{USAGE_PATH}", house.sync_url())).bearer_auth(house.gateway_token());
        let answer = sent.header(WORKER_HEADER, "bench").json(&report).send().await.expect("an answer");
        let receipt: Receipt = answer.json().await.expect("a receipt");
        times.push(start.elapsed());
        assert!(receipt.counted && receipt.refused.is_empty(), "{receipt:?}");
    }
    times
}
