//! A house as it is after a month of use: people of every role, APIs with policies and prices, keys of every state, and
//! usage of thirty days.
//!
//! People and keys are made by the admin API. Usage comes by the sync port, as a worker would report that had no contact
//! for long; it is the same each time but for the dates. Only the age of things is written into the database.

use std::time::Duration;

use portcullis_core::id::{ApiId, KeyId};
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::verdict::Refusal;
use portcullis_core::wire::{Counts, Receipt, Report, ReportRow, USAGE_PATH, WORKER_HEADER};
use portcullis_demo::admin::AdminClient;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::browser::PASSWORD;
use crate::house::House;
use crate::keys::{IssuedKey, rfc3339};
use crate::random::Random;

const DAYS: u64 = 30;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// In which hours of a day there are calls (UTC).
const HOURS: std::ops::Range<u64> = 7..20;
/// The price of an API that has been changed once.
const PRICE_VERSION: u32 = 2;

/// A house in use.
#[derive(Debug)]
pub struct Office {
    /// The house.
    pub house: House,
    /// Its things by what they are, as the paths of pages name them: ids, and a revision.
    pub places: Value,
    /// An Envoy that can be lost.
    annex: House,
}

/// Somebody's calls: how many in a usual hour, and how many of a hundred are held back.
struct Habit<'a> {
    key: &'a IssuedKey,
    api: ApiId,
    hourly: u64,
    limited: u64,
}

impl Office {
    /// Opens it, with so many keys more than the ones that have a story.
    pub async fn open(crowd: usize) -> Self {
        let house = House::with_console().await;
        let annex = house.annex(json!({"name": "edge", "max_staleness_seconds": 86_400})).await;
        let mut office = Self { house, places: json!({}), annex };
        office.furnish().await;
        office.issue_keys(crowd).await;
        office
    }

    /// Ends the Envoy of the gateway `edge`, and deletes a key of which that does not hear.
    pub async fn lose_a_gateway(&mut self) {
        self.annex.kill_envoy().await;
        let key = self.house.issue("serverless", json!({"name": "leaked in a ticket"})).await;
        let deleted = self.house.delete(&key.id).await;
        self.places["gone"] = json!(key.id);
        self.places["pending"] = deleted["propagation"]["revision"].clone();
        self.places["lost"] = json!(self.annex.gateway);
    }

    async fn furnish(&mut self) {
        let house = &self.house;
        let admin = house.admin();
        let api = json!({"name": "chat", "rate_limit": {"per": "user", "rules": [
            {"unit": "requests", "limit": 600, "window_seconds": 60, "burst": 100},
            {"unit": "tokens", "limit": 2_000_000, "window_seconds": 86_400, "mode": "observe"}]},
            "price": {"per_million_input_tokens_micros": 2_500_000, "per_million_output_tokens_micros": 10_000_000}});
        change(&admin, &format!("/v1/apis/{}", house.serverless_api), api).await;
        let api = json!({"name": "fraud model", "price": {"per_call_micros": 1_200},
                         "rate_limit": {"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60}]}});
        change(&admin, &format!("/v1/apis/{}", house.dedicated_api), api).await;
        let api = json!({"name": "embeddings", "kind": "serverless",
                         "match": {"hosts": ["models.example.com"], "path_prefix": "/embeddings/v1"}});
        create(&admin, "/v1/apis", api).await;
        let budget = json!({"monthly_budget": {"cost_micros": 2_500_000_000_u64}});
        change(&admin, &format!("/v1/organizations/{}", house.organization), budget).await;
        create(&admin, "/v1/organizations", json!({"name": "globex"})).await;
        let idle = create(&admin, "/v1/gateways", json!({"name": "staging"})).await;

        let mut people = json!({});
        for (name, role) in
            [("olga", "operator"), ("grace", "admin"), ("ada", "member"), ("bob", "member"), ("nina", "member")]
        {
            people[name] = json!(house.visitor(name, role).await);
        }
        self.places = json!({
            "api": house.serverless_api, "dedicated_api": house.dedicated_api, "organization": house.organization,
            "gateway": house.gateway, "idle": idle["id"], "member": people["bob"],
        });
    }

    async fn issue_keys(&mut self, crowd: usize) {
        let [ada, bob, grace] = [self.session("ada").await, self.session("bob").await, self.session("grace").await];
        let soon = json!({"expires_at": after(80)});
        let assistant = issue(&grace, "serverless", "support assistant", soon.clone()).await;
        let summaries = issue(&ada, "serverless", "batch summaries", soon.clone()).await;
        let checkout = issue(&ada, "serverless", "checkout service", json!({"expires_at": after(9)})).await;
        let evaluation = issue(&bob, "serverless", "nightly evaluation", soon.clone()).await;
        let laptop = issue(&bob, "serverless", "laptop", json!({})).await;
        let demo = issue(&bob, "serverless", "demo for sales", soon.clone()).await;
        let notebook = issue(&ada, "serverless", "old notebook", soon.clone()).await;
        let fraud = json!({"rate_limit_enabled": true, "apis": [self.house.dedicated_api], "expires_at": after(200)});
        let fraud = issue(&grace, "dedicated", "fraud scoring", fraud).await;
        let contracts = issue(&ada, "dedicated", "contract reader", soon).await;
        for number in 1..=crowd {
            issue(&grace, "serverless", &format!("service {number:02}"), json!({"expires_at": after(60)})).await;
        }
        let (chat, model) = (api(&self.house.serverless_api), api(&self.house.dedicated_api));
        let habit = |key, api, hourly, limited| Habit { key, api, hourly, limited };
        let habits = [
            habit(&assistant, chat, 420, 1),
            habit(&summaries, chat, 160, 0),
            habit(&checkout, chat, 90, 0),
            habit(&evaluation, chat, 60, 4),
            habit(&notebook, chat, 12, 0),
            habit(&fraud, model, 230, 6),
            habit(&contracts, model, 35, 0),
        ];
        self.report(&habits).await;

        let key = |key: &IssuedKey| format!("/v1/keys/{}", key.id);
        change(&grace, &key(&evaluation), json!({"monthly_budget": {"tokens": 1_000}})).await;
        change(&grace, &key(&assistant), json!({"monthly_budget": {"cost_micros": 900_000_000}})).await;
        let reissue = json!({"overlap_seconds": 86_400});
        create(&grace, &format!("{}/reissue", key(&checkout)), reissue).await;
        let deleted = grace.delete(&key(&notebook)).await.unwrap_or_else(|error| panic!("{error}"));
        let aged = [
            (&assistant, 41),
            (&summaries, 38),
            (&checkout, 81),
            (&evaluation, 33),
            (&laptop, 140),
            (&demo, 120),
            (&notebook, 170),
            (&fraud, 55),
            (&contracts, 36),
        ];
        self.age(&aged, &demo).await;
        for (name, key) in [
            ("key", &assistant),
            ("dedicated", &fraud),
            ("expired", &demo),
            ("deleted", &notebook),
            ("over", &evaluation),
            ("reissued", &laptop),
        ] {
            self.places[name] = json!(key.id);
        }
        self.places["revision"] = deleted["propagation"]["revision"].clone();
    }

    async fn session(&self, name: &str) -> AdminClient {
        let credentials = json!({"name": name, "password": PASSWORD});
        // Signing in takes no token.
        let session = create(&self.house.admin_with(""), "/v1/sessions", credentials).await;
        self.house.admin_with(session["token"].as_str().expect("a token"))
    }

    /// Reports what was used in each hour of the last thirty days, until the one that has begun.
    async fn report(&self, habits: &[Habit<'_>]) {
        let now_ms = OffsetDateTime::now_utc().unix_timestamp().cast_unsigned() * 1_000;
        let first_ms = now_ms - now_ms % DAY_MS - (DAYS - 1) * DAY_MS;
        let hours = (0..DAYS).flat_map(|day| HOURS.map(move |hour| (day, first_ms + day * DAY_MS + hour * HOUR_MS)));
        let mut random = Random::new(7);
        for (sequence, (day, hour_ms)) in (1..).zip(hours.take_while(|(_, hour_ms)| *hour_ms <= now_ms)) {
            let week = hour_ms / DAY_MS % 7;
            // The first of January 1970 was a Thursday.
            let share = if week == 2 || week == 3 { 15 } else { 70 + day };
            let rows = habits.iter().flat_map(|habit| rows(habit, share, &mut random)).collect();
            let report = Report { sequence, hour_ms, until_ms: hour_ms + HOUR_MS / 2, rows };
            let sent = self.house.http.post(format!("{}{USAGE_PATH}", self.house.sync_url()));
            let sent = sent.bearer_auth(self.house.gateway_token()).header(WORKER_HEADER, "earlier").json(&report);
            let receipt: Receipt = sent.send().await.expect("an answer").json().await.expect("a receipt");
            assert!(receipt.counted && receipt.refused.is_empty(), "{receipt:?}");
        }
    }

    /// Makes keys so many days older, and has one of them end.
    async fn age(&self, keys: &[(&IssuedKey, u64)], ended: &IssuedKey) {
        let mut direct = self.house.direct().await;
        for (key, days) in keys {
            let (id, ms) = (number(key), days * DAY_MS);
            direct.execute(format!("UPDATE keys SET issued_at = issued_at - {ms} WHERE id = {id}")).await;
        }
        // Workers compare it with their clock by themselves; these two have never been told of another one.
        let end = OffsetDateTime::now_utc() - Duration::from_secs(3 * 24 * 60 * 60);
        let (id, ms) = (number(ended), end.unix_timestamp() * 1_000);
        direct.execute(format!("UPDATE keys SET expires_at = {ms} WHERE id = {id}")).await;
    }
}

fn rows(habit: &Habit<'_>, share: u64, random: &mut Random) -> Vec<ReportRow> {
    let requests = habit.hourly * share * (60 + random.below(80)) / 10_000;
    let row = |outcome, counts| ReportRow {
        key: Some(habit.key.id.parse().expect("an id")),
        api: habit.api,
        outcome,
        price_version: PRICE_VERSION,
        counts,
    };
    let answered = Counts {
        requests,
        prompt_tokens: requests * (300 + random.below(200)),
        completion_tokens: requests * (80 + random.below(90)),
        estimated: requests / 40,
        ..Counts::default()
    };
    let limited = Counts { requests: requests * habit.limited / 100, ..Counts::default() };
    let all =
        [row(Outcome::Answered(StatusClass::Success), answered), row(Outcome::Refused(Refusal::RateLimited), limited)];
    all.into_iter().filter(|row| row.counts.requests > 0).collect()
}

fn api(id: &str) -> ApiId {
    id.parse().expect("an id")
}

fn number(key: &IssuedKey) -> u64 {
    key.id.parse::<KeyId>().expect("an id").number()
}

/// In so many days.
fn after(days: u64) -> String {
    rfc3339(OffsetDateTime::now_utc() + Duration::from_secs(days * 24 * 60 * 60))
}

/// Issues a key as somebody; `more` adds to the request.
async fn issue(person: &AdminClient, kind: &str, name: &str, more: Value) -> IssuedKey {
    let mut body = json!({"kind": kind, "name": name});
    for (field, value) in more.as_object().expect("fields") {
        body[field] = value.clone();
    }
    House::issued(create(person, "/v1/keys", body).await)
}

async fn create(person: &AdminClient, path: &str, body: Value) -> Value {
    person.create(path, &body).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn change(person: &AdminClient, path: &str, body: Value) {
    person.change(path, &body).await.unwrap_or_else(|error| panic!("{error}"));
}
