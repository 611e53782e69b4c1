//! Reports of workers: what becomes of them in the table of usage.

use std::collections::BTreeMap;
use std::time::Instant;

use portcullis_core::api::Access;
use portcullis_core::id::{ApiId, KeyId};
use portcullis_core::outcome::{Outcome, StatusClass};
use portcullis_core::verdict::Refusal;
use portcullis_core::wire::{AMOUNT_MAX, Counts, ROWS_MAX, Receipt, Report, ReportRow};

use super::prices::{api, price};
use super::*;
use crate::domain::api::Api;
use crate::domain::audit::Action;
use crate::domain::cost::{COST_MICROS_MAX, Cost};
use crate::domain::gateway::{Gateway, Serves};
use crate::domain::period::Period;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const OK: Outcome = Outcome::Answered(StatusClass::Success);
const LIMITED: Outcome = Outcome::Refused(Refusal::RateLimited);

/// Grain, period, organization, subject, start, API, outcome.
type Place = (String, String, i64, i64, i64, i64, String);
/// The counts in the order of the columns, and the cost.
type Sums = BTreeMap<Place, ([u64; 7], Cost)>;

#[derive(sqlx::FromRow)]
struct Stored {
    grain: String,
    period: String,
    organization_id: i64,
    subject_id: i64,
    start: i64,
    api_id: i64,
    outcome: String,
    requests: i64,
    request_bytes: i64,
    response_bytes: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    estimated: i64,
    unknown: i64,
    cost_micros: i64,
    cost_picos: i64,
}

async fn stored(fixture: &Fixture) -> Sums {
    let mut read = fixture.store.read().await.unwrap();
    let rows: Vec<Stored> = sql("SELECT * FROM usage").all(read.view().session()).await.unwrap();
    let sums = rows.into_iter().map(|row| {
        let place = (row.grain, row.period, row.organization_id, row.subject_id, row.start, row.api_id, row.outcome);
        let counts = [
            row.requests,
            row.request_bytes,
            row.response_bytes,
            row.prompt_tokens,
            row.completion_tokens,
            row.estimated,
            row.unknown,
        ];
        let micros = row.cost_micros.cast_unsigned();
        let cost = Cost { micros, picos: u32::try_from(row.cost_picos).unwrap() };
        (place, (counts.map(i64::cast_unsigned), cost))
    });
    sums.collect()
}

/// Who and what there is to count.
struct House {
    gateway: Gateway,
    keys: Vec<Key>,
    apis: Vec<Api>,
}

/// Two organizations, four keys of both kinds, two serverless APIs and one that is dedicated to the first organization.
async fn furnish(fixture: &Fixture) -> House {
    let mut write = fixture.write().await;
    let other = write.create_organization(&name("other"), None).await.unwrap().unwrap().id;
    let dedicated = Access::Dedicated(fixture.organization);
    let mut apis = Vec::new();
    for (number, access, price) in [
        (1, Access::Serverless, Some(price(3, 333_333, 777_777))),
        (2, Access::Serverless, None),
        (3, dedicated, Some(price(0, 1, 999_999))),
    ] {
        apis.push(write.create_api(api(number, access, price)).await.unwrap().unwrap());
    }
    let mut keys = Vec::new();
    for (kind, organization) in [
        (ApiKind::Serverless, fixture.organization),
        (ApiKind::Dedicated, fixture.organization),
        (ApiKind::Serverless, other),
        (ApiKind::Dedicated, other),
    ] {
        let new = NewKey { kind, organization, ..fixture.new_key() };
        keys.push(write.issue_key(new, &fixture.secret()).await.unwrap());
    }
    let new = NewGateway { name: name("edge"), serves: Serves::Everything, max_staleness_ms: None };
    let gateway = write.create_gateway(new, &fixture.secret()).await.unwrap().unwrap();
    write.commit().await.unwrap();
    House { gateway, keys, apis }
}

fn row(key: Option<KeyId>, api: ApiId, outcome: Outcome, requests: u64) -> ReportRow {
    ReportRow { key, api, outcome, price_version: 1, counts: Counts { requests, ..Counts::default() } }
}

fn report(sequence: u64, rows: Vec<ReportRow>) -> Report {
    Report { sequence, hour_ms: NOW_MS, until_ms: NOW_MS, rows }
}

async fn count(fixture: &Fixture, gateway: &Gateway, worker: &str, report: &Report) -> Receipt {
    let mut write = fixture.store.write(None).await.unwrap();
    let receipt = write.count_report(gateway, worker, report).await.unwrap().receipt;
    write.commit().await.unwrap();
    receipt
}

fn reasons(receipt: &Receipt) -> Vec<(usize, &str)> {
    receipt.refused.iter().map(|refused| (refused.row, refused.reason.as_str())).collect()
}

/// What the table must hold once this row of an hour has been counted as well.
fn add(model: &mut Sums, house: &House, hour_ms: u64, row: &ReportRow) {
    let api = house.apis.iter().find(|api| api.id == row.api).unwrap();
    let cost = api.price.map(|price| Cost::of(&price, row.outcome, &row.counts)).unwrap_or_default();
    let number = |number: u64| number.cast_signed();
    let mut whose = vec![("total", 0, 0)];
    if let Some(key) = house.keys.iter().find(|key| Some(key.id) == row.key) {
        let organization = number(key.organization.number());
        whose.push(("key", organization, number(key.id.number())));
        whose.push(("user", organization, number(key.created_by.number())));
        whose.push(("organization", organization, 0));
    }
    let counts = row.counts;
    let amounts = [
        counts.requests,
        counts.request_bytes,
        counts.response_bytes,
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.estimated,
        counts.unknown,
    ];
    for (grain, organization, subject) in whose {
        for period in [Period::Hour, Period::Day, Period::Month] {
            let start = number(period.floor(Timestamp::from_unix_ms(hour_ms)).unix_ms());
            let (grain, period, outcome) = (grain.to_owned(), period.name().to_owned(), row.outcome.label().to_owned());
            let place = (grain, period, organization, subject, start, number(row.api.number()), outcome);
            let sum = model.entry(place).or_default();
            sum.0.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
            sum.1 = sum.1.plus(cost);
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    /// A row that counts: a call with a key only where the key opens the API.
    fn row(&mut self, house: &House) -> ReportRow {
        let (api, key) = (self.pick(&house.apis), self.pick(&house.keys));
        let owner = match api.access {
            Access::Serverless => key.organization,
            Access::Dedicated(owner) => owner,
        };
        let opens = api.access.kind() == key.kind && owner == key.organization;
        let outcome = *self.pick(&Outcome::ALL);
        let outcome = if outcome.is_call() && !opens { LIMITED } else { outcome };
        let counts = Counts {
            requests: 1 + self.roll(9),
            request_bytes: self.roll(1_000),
            response_bytes: self.roll(1_000_000),
            // What is refused uses none.
            prompt_tokens: if outcome.is_call() { self.roll(5_000) } else { 0 },
            completion_tokens: if outcome.is_call() { self.roll(5_000) } else { 0 },
            estimated: self.roll(2),
            unknown: self.roll(2),
        };
        let key = (self.roll(8) > 0).then_some(key.id);
        ReportRow { key, api: api.id, outcome, price_version: 1, counts }
    }
}

/// The sums of a grain and period, by API and outcome and by when the longer period began.
fn folded(sums: &Sums, grain: &str, period: &str, into: Period) -> BTreeMap<(i64, i64, String), ([u64; 7], Cost)> {
    let mut folded = BTreeMap::new();
    for ((found, of, _, _, start, api, outcome), (counts, cost)) in sums {
        if found == grain && of == period {
            let start = into.floor(Timestamp::from_unix_ms(start.cast_unsigned())).unix_ms().cast_signed();
            let sum: &mut ([u64; 7], Cost) = folded.entry((start, *api, outcome.clone())).or_default();
            sum.0.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sum.1 = sum.1.plus(*cost);
        }
    }
    folded
}

on_both! {
    async fn reports_are_counted_once_whatever_is_repeated_and_comes_late(fixture: &Fixture) {
        let (house, mut dice, mut model) = (furnish(fixture).await, Dice(1), Sums::new());
        let mut with_keys = Sums::new();
        let (mut last, mut sent) = ([0_u64; 3], Vec::new());
        for _ in 0..60 {
            let worker = usize::try_from(dice.roll(3)).unwrap();
            // Some of it is old news, and some is of hours and months before.
            if dice.roll(3) == 0 && !sent.is_empty() {
                let (worker, report): &(usize, Report) = dice.pick(&sent);
                let receipt = count(fixture, &house.gateway, &format!("w{worker}"), report).await;
                assert_eq!(receipt, Receipt { sequence: report.sequence, counted: false, refused: Vec::new() });
                continue;
            }
            last[worker] += 1 + dice.roll(2);
            let rows = (0..dice.roll(12)).map(|_| dice.row(&house)).collect::<Vec<_>>();
            let hour_ms = NOW_MS - dice.roll(800) * HOUR_MS;
            let report = Report { sequence: last[worker], hour_ms, until_ms: hour_ms + 1, rows };
            let receipt = count(fixture, &house.gateway, &format!("w{worker}"), &report).await;
            assert_eq!(receipt, Receipt { sequence: last[worker], counted: true, refused: Vec::new() });
            for row in &report.rows {
                add(&mut model, &house, hour_ms, row);
                if row.key.is_some() {
                    add(&mut with_keys, &house, hour_ms, row);
                }
            }
            sent.push((worker, report));
        }
        let sums = stored(fixture).await;
        assert_eq!(sums, model);
        for grain in ["key", "user", "organization", "total"] {
            assert_eq!(folded(&sums, grain, "hour", Period::Day), folded(&sums, grain, "day", Period::Day), "{grain}");
            assert_eq!(folded(&sums, grain, "day", Period::Month), folded(&sums, grain, "month", Period::Month));
            let total = folded(&with_keys, "total", "hour", Period::Hour);
            if grain != "total" {
                assert_eq!(folded(&sums, grain, "hour", Period::Hour), total, "{grain}");
            }
        }
    }

    async fn a_report_that_is_not_committed_leaves_nothing_and_counts_the_next_time(fixture: &Fixture) {
        let house = furnish(fixture).await;
        let report = report(1, vec![row(Some(house.keys[0].id), house.apis[0].id, OK, 2)]);
        let mut write = fixture.store.write(None).await.unwrap();
        assert!(write.count_report(&house.gateway, "w", &report).await.unwrap().receipt.counted);
        drop(write);
        assert!(count(fixture, &house.gateway, "w", &report).await.counted);
        assert!(!count(fixture, &house.gateway, "w", &report).await.counted);
        let mut model = Sums::new();
        add(&mut model, &house, NOW_MS, &report.rows[0]);
        assert_eq!(stored(fixture).await, model);
    }

    async fn what_cannot_be_is_refused_row_by_row(fixture: &Fixture) {
        let House { mut gateway, keys, apis } = furnish(fixture).await;
        gateway.serves = Serves::Apis(vec![apis[0].id, apis[2].id]);
        let (key, api) = (Some(keys[0].id), apis[0].id);
        let unknown = (Some(KeyId::from_number(5)), ApiId::from_number(5));
        let too_large = Counts { response_bytes: AMOUNT_MAX + 1, ..Counts::default() };
        let rows = vec![
            row(key, api, OK, 1),
            row(unknown.0, api, OK, 1),
            row(key, unknown.1, OK, 1),
            row(None, apis[1].id, OK, 1),
            row(key, api, OK, 0),
            ReportRow { counts: too_large, ..row(key, api, OK, 1) },
            row(key, apis[2].id, OK, 1),
            row(Some(keys[3].id), apis[2].id, OK, 1),
            row(Some(keys[3].id), apis[2].id, Outcome::Refused(Refusal::WrongOrganization), 1),
            row(Some(keys[1].id), apis[2].id, OK, 1),
        ];
        let receipt = count(fixture, &gateway, "w", &report(1, rows)).await;
        let not_opened = "a key of this kind and organization does not open this API, so it made no call there";
        let expected = [
            (1, "there is no such key"),
            (2, "there is no such API"),
            (3, "this gateway does not serve this API"),
            (4, "there is nothing to count"),
            (5, "an amount is larger than 1000000000000"),
            (6, not_opened),
            (7, not_opened),
        ];
        assert_eq!((receipt.counted, reasons(&receipt)), (true, expected.to_vec()));
        let counted = stored(fixture).await.into_iter().filter(|(place, _)| place.0 == "total" && place.1 == "month");
        assert_eq!(counted.map(|(_, (counts, _))| counts[0]).sum::<u64>(), 3);
        let early = Report { hour_ms: NOW_MS + 2 * HOUR_MS, ..report(2, vec![row(key, api, OK, 1)]) };
        let receipt = count(fixture, &gateway, "w", &early).await;
        assert_eq!(reasons(&receipt), [(0, "the hour has not begun by the control plane's clock")]);
        let soon = Report { hour_ms: NOW_MS + HOUR_MS, ..report(3, vec![row(key, api, OK, 1)]) };
        assert_eq!(count(fixture, &gateway, "w", &soon).await.refused, []);
    }

    async fn what_was_used_before_a_key_and_an_api_were_deleted_counts_at_the_price_of_then(fixture: &Fixture) {
        let House { gateway, keys, apis } = furnish(fixture).await;
        let mut write = fixture.write().await;
        let after = Api { price: Some(price(1_000, 0, 0)), ..apis[0].clone() };
        let dearer = write.change_api(&apis[0], after).await.unwrap().unwrap();
        write.revoke_key(&keys[0], Action::KeyDelete).await.unwrap();
        write.delete_api(&dearer).await.unwrap();
        write.commit().await.unwrap();
        let at = |price_version| ReportRow { price_version, ..row(Some(keys[0].id), apis[0].id, OK, 1) };
        let receipt = count(fixture, &gateway, "w", &report(1, vec![at(1), at(2), at(7)])).await;
        assert_eq!(receipt.refused, []);
        let sums = stored(fixture).await;
        assert_eq!(sums.len(), 12);
        assert!(sums.values().all(|sum| *sum == ([3, 0, 0, 0, 0, 0, 0], Cost { micros: 2_003, picos: 0 })), "{sums:?}");
    }

    async fn a_key_was_last_used_when_its_latest_call_was(fixture: &Fixture) {
        let House { gateway, keys, apis } = furnish(fixture).await;
        let last_used = async |index: usize| {
            let key = fixture.store.read().await.unwrap().view().key(keys[index].id).await.unwrap().unwrap();
            key.last_used_at.map(Timestamp::unix_ms)
        };
        let hour_ms = NOW_MS - HOUR_MS;
        let mut sequence = 0;
        let mut tell = async |until_ms, outcome| {
            sequence += 1;
            let rows = vec![row(Some(keys[0].id), apis[0].id, outcome, 1), row(Some(keys[2].id), apis[0].id, LIMITED, 1)];
            count(fixture, &gateway, "w", &Report { sequence, hour_ms, until_ms, rows }).await;
            last_used(0).await
        };
        assert_eq!(tell(hour_ms + 9, LIMITED).await, None);
        assert_eq!(tell(hour_ms + 5, OK).await, Some(hour_ms + 5));
        assert_eq!(tell(hour_ms + 3, Outcome::Unanswered).await, Some(hour_ms + 5), "an earlier one takes nothing back");
        assert_eq!(tell(NOW_MS + 5, OK).await, Some(NOW_MS), "nothing was used after now");
        assert_eq!(last_used(2).await, None, "a request that was refused is no use");
    }

    async fn the_largest_rows_never_keep_a_report_from_being_counted(fixture: &Fixture) {
        let House { gateway, keys, .. } = furnish(fixture).await;
        let mut write = fixture.write().await;
        let dearest = price(AMOUNT_MAX, AMOUNT_MAX, AMOUNT_MAX);
        let api = write.create_api(api(4, Access::Serverless, Some(dearest))).await.unwrap().unwrap();
        write.commit().await.unwrap();
        let most = AMOUNT_MAX;
        let counts = Counts {
            requests: most, request_bytes: most, response_bytes: most, prompt_tokens: most,
            completion_tokens: most, estimated: most, unknown: most,
        };
        let rows = vec![ReportRow { counts, ..row(Some(keys[0].id), api.id, OK, 1) }; ROWS_MAX];
        for sequence in 1..=3 {
            assert_eq!(count(fixture, &gateway, "w", &report(sequence, rows.clone())).await.refused, []);
        }
        let sum = 3 * most * ROWS_MAX as u64;
        assert!(stored(fixture).await.values().all(|stored| *stored == ([sum; 7], Cost::MAX)));
        // So many that a sum has come to its end.
        fixture.execute(sql("UPDATE usage SET requests = 999999999999999999")).await;
        count(fixture, &gateway, "w", &report(4, rows)).await;
        assert!(stored(fixture).await.values().all(|stored| stored.0[0] == COST_MICROS_MAX));
    }

    async fn hours_are_dropped_by_whole_days_and_do_not_come_back(fixture: &Fixture) {
        let house = furnish(fixture).await;
        let row = row(Some(house.keys[0].id), house.apis[0].id, OK, 1);
        let tell = async |sequence, hours_ago: u64| {
            let hour_ms = NOW_MS - hours_ago * HOUR_MS;
            count(fixture, &house.gateway, "w", &Report { sequence, hour_ms, until_ms: hour_ms, rows: vec![row] }).await;
        };
        // It is eight in the morning.
        for (sequence, hours_ago) in [(1, 0), (2, 9), (3, 33), (4, 50)] {
            tell(sequence, hours_ago).await;
        }
        let starts = async |period: &str| {
            let sums = stored(fixture).await.into_keys().filter(|place| place.0 == "key" && place.1 == period);
            let mut ago = sums.map(|place| (NOW_MS - place.4.cast_unsigned()) / HOUR_MS).collect::<Vec<_>>();
            ago.sort_unstable();
            ago
        };
        let days = starts("day").await;
        assert_eq!((starts("hour").await, &days), (vec![0, 9, 33, 50], &vec![8, 32, 56]));
        // A day that is not over by then is kept as a whole.
        let before = |hours: u64| Timestamp::from_unix_ms(NOW_MS - hours * HOUR_MS);
        assert!(!fixture.store.prune_usage(before(24)).await.unwrap());
        assert_eq!((starts("hour").await, starts("day").await), (vec![0, 9], days.clone()));
        tell(5, 40).await;
        assert_eq!(starts("hour").await, [0, 9]);
        // A setting that is raised brings nothing back.
        assert!(!fixture.store.prune_usage(before(100)).await.unwrap());
        tell(6, 40).await;
        assert_eq!((starts("hour").await, starts("day").await), (vec![0, 9], days));
        // Workers that have long been silent are forgotten.
        let last = async || {
            let mut read = fixture.store.read().await.unwrap();
            let rows: Vec<(i64,)> = sql("SELECT sequence FROM usage_reports").all(read.view().session()).await.unwrap();
            rows
        };
        assert_eq!(last().await, [(6,)]);
        fixture.execute(sql("UPDATE usage_reports SET counted_at = 0")).await;
        assert!(!fixture.store.prune_usage(before(24)).await.unwrap());
        assert_eq!(last().await, []);
    }

    async fn many_hours_are_dropped_by_and_by(fixture: &Fixture) {
        let House { gateway, apis, .. } = furnish(fixture).await;
        let keys = fixture.issue_many(ROWS_MAX).await;
        let rows = keys.iter().map(|key| row(Some(key.id), apis[0].id, OK, 1)).collect::<Vec<_>>();
        for hour in 0..6_u64 {
            let (hour_ms, sequence) = (NOW_MS - (30 + hour) * HOUR_MS, hour + 1);
            let report = Report { sequence, hour_ms, until_ms: hour_ms, rows: rows.clone() };
            let started = Instant::now();
            count(fixture, &gateway, "w", &report).await;
            println!("{ROWS_MAX} rows, each of another key, at {}: {:?}", fixture.location, started.elapsed());
        }
        let started = Instant::now();
        assert!(fixture.store.prune_usage(write_now()).await.unwrap());
        println!("dropping a batch of hours: {:?}", started.elapsed());
        assert!(!fixture.store.prune_usage(write_now()).await.unwrap());
        assert!(stored(fixture).await.into_keys().all(|place| place.1 != "hour"));
    }
}
