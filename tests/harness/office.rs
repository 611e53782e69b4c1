//! A house as it is after a month of use: people of every role, APIs with policies and prices, keys of every state, and
//! usage of thirty days.
//!
//! People and keys are made by the admin API. Usage comes by the sync port, as a worker would report that had no contact
//! for long; it is the same each time but for the dates. Only the age of keys is written into the database.

use std::collections::BTreeMap;
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
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// In which hours of a day there are calls (UTC).
const HOURS: std::ops::Range<u64> = 7..20;
/// The price of an API that has been changed once.
const PRICE_VERSION: u32 = 2;

/// Who there is, by name and role. `site_map.py` knows them too.
const PEOPLE: [(&str, &str); 5] =
    [("olga", "operator"), ("grace", "admin"), ("ada", "member"), ("bob", "member"), ("nina", "member")];

/// The keys with a story: name, whose, kind, how many days old, and in how many days they end. The oldest come first, as
/// lists are in the order in which keys were issued.
const KEYS: [(&str, &str, &str, u64, Option<u64>); 9] = [
    ("old notebook", "ada", "serverless", 170, Some(195)),
    ("laptop", "bob", "serverless", 140, None),
    ("demo for sales", "bob", "serverless", 120, Some(245)),
    ("checkout service", "ada", "serverless", 81, Some(9)),
    ("fraud scoring", "grace", "dedicated", 55, Some(310)),
    ("support assistant", "grace", "serverless", 41, Some(324)),
    ("batch summaries", "ada", "serverless", 38, Some(52)),
    ("contract reader", "ada", "dedicated", 36, Some(54)),
    ("nightly evaluation", "bob", "serverless", 33, Some(57)),
];
/// What the first ones are called of which nothing is told.
const CROWD: [&str; 6] =
    ["ticket triage", "translation", "release notes", "product search", "onboarding chat", "invoice reader"];

/// Whose calls there are: the key, how many in a usual hour, and how many of a hundred are held back.
const HABITS: [(&str, u64, u64); 7] = [
    ("support assistant", 420, 1),
    ("batch summaries", 160, 0),
    ("checkout service", 90, 0),
    ("nightly evaluation", 60, 4),
    ("old notebook", 12, 0),
    ("fraud scoring", 230, 6),
    ("contract reader", 35, 0),
];

/// What stands for which key in the paths of pages.
const PLACES: [(&str, &str); 6] = [
    ("key", "support assistant"),
    ("dedicated", "fraud scoring"),
    ("expired", "demo for sales"),
    ("deleted", "old notebook"),
    ("over", "nightly evaluation"),
    ("reissued", "laptop"),
];

/// A house in use.
#[derive(Debug)]
pub struct Office {
    /// The house.
    pub house: House,
    /// Its things by what they are, as the paths of pages name them: ids, and revisions.
    pub places: Value,
    /// What everyone and everything is called, by the name that stands here.
    pub names: BTreeMap<String, String>,
    /// An Envoy that can be lost.
    annex: House,
    naming: fn(&str) -> String,
}

impl Office {
    /// Opens it, with so many keys more than the ones that have a story.
    pub async fn open(crowd: usize) -> Self {
        Self::open_with_names(crowd, str::to_owned).await
    }

    /// The same, with what `naming` makes of each name.
    pub async fn open_with_names(crowd: usize, naming: fn(&str) -> String) -> Self {
        let house = House::with_console().await;
        let edge = naming("edge");
        let annex = house.annex(json!({"name": edge, "max_staleness_seconds": 86_400})).await;
        let names = BTreeMap::from([("edge".to_owned(), edge)]);
        let mut office = Self { house, places: json!({}), names, annex, naming };
        office.furnish().await;
        let people = office.hire().await;
        let keys = office.issue_keys(&people, crowd).await;
        office.report(&keys).await;
        office.live(&people["grace"], &keys).await;
        office
    }

    /// Ends the Envoy of the gateway `edge`, and deletes a key of which that does not hear.
    pub async fn lose_a_gateway(&mut self) {
        self.annex.kill_envoy().await;
        let name = self.called("leaked in a ticket");
        let key = self.house.issue("serverless", json!({"name": name})).await;
        let deleted = self.house.delete(&key.id).await;
        self.places["gone"] = json!(key.id);
        self.places["pending"] = deleted["propagation"]["revision"].clone();
        self.places["lost"] = json!(self.annex.gateway);
    }

    /// What is called so here.
    fn called(&mut self, name: &str) -> String {
        self.names.entry(name.to_owned()).or_insert_with(|| (self.naming)(name)).clone()
    }

    /// Gives names, policies and prices to what each house has, and adds to it.
    async fn furnish(&mut self) {
        let [chat, fraud, embeddings] = ["chat", "fraud model", "embeddings"].map(|name| self.called(name));
        let [acme, globex] = ["acme", "globex"].map(|name| self.called(name));
        let [local, staging] = ["local", "staging"].map(|name| self.called(name));
        let house = &self.house;
        let admin = house.admin();
        let api = json!({"name": chat, "rate_limit": {"per": "user", "rules": [
            {"unit": "requests", "limit": 600, "window_seconds": 60, "burst": 100},
            {"unit": "tokens", "limit": 2_000_000, "window_seconds": 86_400, "mode": "observe"}]},
            "price": {"per_million_input_tokens_micros": 2_500_000, "per_million_output_tokens_micros": 10_000_000}});
        change(&admin, &format!("/v1/apis/{}", house.serverless_api), api).await;
        let api = json!({"name": fraud, "price": {"per_call_micros": 1_200},
                         "rate_limit": {"rules": [{"unit": "requests", "limit": 60, "window_seconds": 60}]}});
        change(&admin, &format!("/v1/apis/{}", house.dedicated_api), api).await;
        let api = json!({"name": embeddings, "kind": "serverless",
                         "match": {"hosts": ["models.example.com"], "path_prefix": "/embeddings/v1"}});
        create(&admin, "/v1/apis", api).await;
        let budget = json!({"name": acme, "monthly_budget": {"cost_micros": 2_500_000_000_u64}});
        change(&admin, &format!("/v1/organizations/{}", house.organization), budget).await;
        create(&admin, "/v1/organizations", json!({"name": globex})).await;
        change(&admin, &format!("/v1/gateways/{}", house.gateway), json!({"name": local})).await;
        let idle = create(&admin, "/v1/gateways", json!({"name": staging})).await;
        self.places = json!({
            "api": house.serverless_api, "dedicated_api": house.dedicated_api, "organization": house.organization,
            "gateway": house.gateway, "idle": idle["id"],
        });
    }

    /// Everyone, signed in.
    async fn hire(&mut self) -> BTreeMap<&'static str, AdminClient> {
        let mut people = BTreeMap::new();
        for (person, role) in PEOPLE {
            let name = self.called(person);
            let id = self.house.visitor(&name, role).await;
            if person == "bob" {
                self.places["member"] = json!(id);
            }
            let credentials = json!({"name": name, "password": PASSWORD});
            // Signing in takes no token.
            let session = create(&self.house.admin_with(""), "/v1/sessions", credentials).await;
            people.insert(person, self.house.admin_with(session["token"].as_str().expect("a token")));
        }
        people
    }

    /// The keys, by name and with their age in days.
    async fn issue_keys(
        &mut self,
        people: &BTreeMap<&str, AdminClient>,
        crowd: usize,
    ) -> BTreeMap<String, (IssuedKey, u64)> {
        let mut keys = BTreeMap::new();
        let crowd = (0..crowd).zip((1..=DAYS).rev().cycle()).map(|(number, age)| {
            let name = CROWD.get(number).map_or_else(|| format!("tenant {number:02}"), |name| (*name).to_owned());
            (name, "grace", "serverless", age, Some(90 - age))
        });
        let told = KEYS.map(|(name, whose, kind, age, end)| (name.to_owned(), whose, kind, age, end));
        for (name, whose, kind, age, end) in told.into_iter().chain(crowd) {
            let mut body = json!({"kind": kind, "name": self.called(&name)});
            if let Some(days) = end {
                let end = OffsetDateTime::now_utc() + DAY * u32::try_from(days).expect("days");
                body["expires_at"] = json!(rfc3339(end));
            }
            if kind == "dedicated" && whose == "grace" {
                body["rate_limit_enabled"] = json!(true);
                body["apis"] = json!([self.house.dedicated_api]);
            }
            keys.insert(name, (House::issued(create(&people[whose], "/v1/keys", body).await), age));
        }
        keys
    }

    /// Reports what was used in each hour of the last thirty days, until the one that has begun.
    async fn report(&self, keys: &BTreeMap<String, (IssuedKey, u64)>) {
        let now_ms = OffsetDateTime::now_utc().unix_timestamp().cast_unsigned() * 1_000;
        let first_ms = now_ms - now_ms % DAY_MS - (DAYS - 1) * DAY_MS;
        let hours = (0..DAYS).flat_map(|day| HOURS.map(move |hour| (day, first_ms + day * DAY_MS + hour * HOUR_MS)));
        let mut random = Random::new(7);
        for (sequence, (day, hour_ms)) in (1..).zip(hours.take_while(|(_, hour_ms)| *hour_ms <= now_ms)) {
            // The first of January 1970 was a Thursday.
            let is_weekend = matches!(hour_ms / DAY_MS % 7, 2 | 3);
            let share = if is_weekend { 15 } else { 70 + day };
            let mut rows = Vec::new();
            for (name, hourly, limited) in HABITS {
                let requests = hourly * share * (60 + random.below(80)) / 10_000;
                rows.extend(self.rows(&keys[name].0, requests, requests * limited / 100, &mut random));
            }
            for (key, age) in keys.values().filter(|(_, age)| *age <= DAYS && DAYS - *age <= day) {
                rows.extend(self.rows(key, random.below(age / 3 + 2), 0, &mut random));
            }
            let report = Report { sequence, hour_ms, until_ms: hour_ms + HOUR_MS / 2, rows };
            let sent = self.house.http.post(format!("{}{USAGE_PATH}", self.house.sync_url()));
            let sent = sent.bearer_auth(self.house.gateway_token()).header(WORKER_HEADER, "earlier").json(&report);
            let receipt: Receipt = sent.send().await.expect("an answer").json().await.expect("a receipt");
            assert!(receipt.counted && receipt.refused.is_empty(), "{receipt:?}");
        }
    }

    fn rows(&self, key: &IssuedKey, requests: u64, limited: u64, random: &mut Random) -> Vec<ReportRow> {
        let is_dedicated = key.answer["kind"] == "dedicated";
        let api = if is_dedicated { &self.house.dedicated_api } else { &self.house.serverless_api };
        let answered = Counts {
            requests,
            prompt_tokens: requests * (300 + random.below(200)),
            completion_tokens: requests * (80 + random.below(90)),
            estimated: requests / 40,
            ..Counts::default()
        };
        let all = [
            (Outcome::Answered(StatusClass::Success), answered),
            (Outcome::Refused(Refusal::RateLimited), Counts { requests: limited, ..Counts::default() }),
        ];
        let row = |(outcome, counts)| ReportRow {
            key: Some(key.id.parse().expect("an id")),
            api: api.parse::<ApiId>().expect("an id"),
            outcome,
            price_version: PRICE_VERSION,
            counts,
        };
        all.into_iter().filter(|(_, counts)| counts.requests > 0).map(row).collect()
    }

    /// Brings the keys to their states.
    async fn live(&mut self, grace: &AdminClient, keys: &BTreeMap<String, (IssuedKey, u64)>) {
        let path = |name: &str| format!("/v1/keys/{}", keys[name].0.id);
        change(grace, &path("nightly evaluation"), json!({"monthly_budget": {"tokens": 1_000}})).await;
        change(grace, &path("support assistant"), json!({"monthly_budget": {"cost_micros": 900_000_000}})).await;
        create(grace, &format!("{}/reissue", path("checkout service")), json!({"overlap_seconds": 86_400})).await;
        let deleted = grace.delete(&path("old notebook")).await.unwrap_or_else(|error| panic!("{error}"));
        self.places["revision"] = deleted["propagation"]["revision"].clone();
        for (place, name) in PLACES {
            self.places[place] = json!(keys[name].0.id);
        }
        let number = |key: &IssuedKey| key.id.parse::<KeyId>().expect("an id").number();
        let mut direct = self.house.direct().await;
        for (key, days) in keys.values() {
            let (id, ms) = (number(key), days * DAY_MS);
            direct.execute(format!("UPDATE keys SET issued_at = issued_at - {ms} WHERE id = {id}")).await;
        }
        let ended = OffsetDateTime::now_utc() - DAY * 3;
        let (id, ms) = (number(&keys["demo for sales"].0), ended.unix_timestamp() * 1_000);
        direct.execute(format!("UPDATE keys SET expires_at = {ms} WHERE id = {id}")).await;
    }
}

async fn create(person: &AdminClient, path: &str, body: Value) -> Value {
    person.create(path, &body).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn change(person: &AdminClient, path: &str, body: Value) {
    person.change(path, &body).await.unwrap_or_else(|error| panic!("{error}"));
}
