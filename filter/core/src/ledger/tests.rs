//! The laws of the ledger, against a server that loses requests and answers and counts each report once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::outcome::StatusClass;
use crate::verdict::Refusal;
use crate::wire::{REPORT_BYTES_MAX, Receipt};

const OUTCOMES: [Outcome; 3] =
    [Outcome::Answered(StatusClass::Success), Outcome::Unanswered, Outcome::Refused(Refusal::RateLimited)];
const APIS: u64 = 2;
const PRICES: u32 = 2;
/// The most rows without key.
const KEYLESS_MAX: usize = OUTCOMES.len() * APIS as usize * PRICES as usize;

/// What is told apart: hour, key, API, price, outcome.
type Sums = BTreeMap<(u64, Option<u64>, u64, u32, &'static str), Counts>;

fn add(sums: &mut Sums, hour_ms: u64, account: Account, counts: Counts) {
    let Account { key, api, price_version, outcome } = account;
    let place = (hour_ms, key.map(KeyId::number), api.number(), price_version, outcome.label());
    let sum = sums.entry(place).or_default();
    *sum = sum.plus(counts);
}

/// The same without hours and keys.
fn totals(sums: &Sums) -> Sums {
    let mut totals = Sums::new();
    for ((_, _, api, price, outcome), counts) in sums {
        let sum = totals.entry((0, None, *api, *price, *outcome)).or_default();
        *sum = sum.plus(*counts);
    }
    totals
}

/// A control plane that counts.
#[derive(Debug, Default)]
struct Server {
    last: u64,
    sums: Sums,
}

impl Server {
    fn take(&mut self, report: &Report) -> Receipt {
        let counted = report.sequence > self.last;
        if counted {
            assert_eq!(report.sequence, self.last + 1, "none is left out");
            self.last = report.sequence;
            for row in &report.rows {
                let ReportRow { key, api, outcome, price_version, counts } = *row;
                assert!(counts != Counts::default(), "a row says something");
                assert_eq!(counts.each(|amount| amount.min(AMOUNT_MAX)), counts);
                add(&mut self.sums, report.hour_ms, Account { key, api, price_version, outcome }, counts);
            }
        }
        Receipt { sequence: report.sequence, counted, refused: Vec::new() }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Count(Account, Counts),
    /// So many milliseconds pass.
    Tick(i64),
    /// The report is sent; the request or the answer may be lost.
    Send {
        arrives: bool,
        answered: bool,
    },
    /// A report that was sent before arrives once more, and so does its answer.
    Repeat(prop::sample::Index),
}

fn account(keys: u64) -> impl Strategy<Value = Account> {
    (0..keys, 0..APIS, 0..PRICES, prop::sample::select(OUTCOMES.to_vec())).prop_map(
        |(key, api, price_version, outcome)| Account {
            key: Some(KeyId::from_number(key)),
            api: ApiId::from_number(api),
            price_version,
            outcome,
        },
    )
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..1_000_u64, 1 => 0..=3 * AMOUNT_MAX, 1 => Just(AMOUNT_MAX)]
}

fn counts() -> impl Strategy<Value = Counts> {
    prop::array::uniform7(amount()).prop_map(
        |[requests, request_bytes, response_bytes, prompt_tokens, completion_tokens, estimated, unknown]| Counts {
            requests: requests.max(1),
            request_bytes,
            response_bytes,
            prompt_tokens,
            completion_tokens,
            estimated,
            unknown,
        },
    )
}

fn events(keys: u64) -> impl Strategy<Value = Vec<Event>> {
    let step = prop_oneof![
        4 => 0..10_000_i64,
        2 => 0..3 * HOUR_MS as i64,
        1 => -(HOUR_MS as i64) / 2..0,
    ];
    let event = prop_oneof![
        8 => (account(keys), counts()).prop_map(|(account, counts)| Event::Count(account, counts)),
        2 => step.prop_map(Event::Tick),
        3 => any::<(bool, bool)>().prop_map(|(arrives, answered)| Event::Send { arrives, answered }),
        1 => any::<prop::sample::Index>().prop_map(Event::Repeat),
    ];
    prop::collection::vec(event, 0..120)
}

/// A worker, its network and its control plane.
struct House {
    ledger: Ledger,
    bounds: Bounds,
    server: Server,
    counted: Sums,
    sent: Vec<Report>,
    now_ms: u64,
    /// The hour for which the ledger counts, as long as it is not crowded.
    hour_ms: u64,
}

impl House {
    fn new(bounds: Bounds) -> Self {
        let mut house = Self {
            ledger: Ledger::with_bounds(bounds),
            bounds,
            server: Server::default(),
            counted: Sums::new(),
            sent: Vec::new(),
            now_ms: 0,
            hour_ms: 0,
        };
        house.tick(500_000 * HOUR_MS as i64);
        house
    }

    fn tick(&mut self, step_ms: i64) {
        self.now_ms = self.now_ms.saturating_add_signed(step_ms);
        let hour_ms = self.now_ms - self.now_ms % HOUR_MS;
        if self.ledger.current.rows.is_empty() || hour_ms > self.hour_ms || hour_ms + HOUR_MS < self.hour_ms {
            self.hour_ms = hour_ms;
        }
        self.ledger.tick(self.now_ms);
    }

    fn send(&mut self, arrives: bool, answered: bool) {
        let rows_max = self.bounds.rows_of_report;
        let Some(report) = self.ledger.report().cloned() else { return };
        assert!((1..=rows_max).contains(&report.rows.len()));
        assert!(report.hour_ms <= report.until_ms && report.hour_ms.is_multiple_of(HOUR_MS));
        match self.sent.last().filter(|last| last.sequence == report.sequence) {
            Some(last) => assert_eq!(*last, report, "a report changes"),
            None => self.sent.push(report.clone()),
        }
        if arrives {
            let receipt = self.server.take(&report);
            if answered {
                assert!(self.ledger.answered(receipt.sequence));
            }
        }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Count(account, counts) => {
                self.ledger.count(account, counts);
                add(&mut self.counted, self.hour_ms, account, counts);
            }
            Event::Tick(step_ms) => self.tick(step_ms),
            Event::Send { arrives, answered } => self.send(arrives, answered),
            Event::Repeat(which) if !self.sent.is_empty() => {
                let report = which.get::<Report>(&self.sent).clone();
                let receipt = self.server.take(&report);
                let is_current = self.ledger.report.as_ref() == Some(&report);
                assert_eq!(self.ledger.answered(receipt.sequence), is_current);
            }
            Event::Repeat(_) => {}
        }
        let rows = self.ledger.closed.iter().chain([&self.ledger.current]).map(|segment| segment.rows.len());
        assert_eq!(rows.sum::<usize>(), self.ledger.rows);
        assert!(self.ledger.closed.iter().all(|segment| !segment.rows.is_empty()));
    }

    /// The network has become good: everything is handed over.
    fn hand_over(&mut self) {
        while self.ledger.report().is_some() {
            self.send(true, true);
        }
        assert_eq!(self.ledger.unreported_rows(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_counted_once_in_its_hour_whatever_is_lost(events in events(5), rows_of_report in 1_usize..6) {
        let mut house = House::new(Bounds { rows_of_report, rows_waiting: 10_000 });
        for event in events {
            house.play(event);
        }
        house.hand_over();
        prop_assert_eq!(house.server.sums, house.counted);
    }

    #[test]
    fn without_room_it_is_lost_who_it_was_and_not_how_much(
        events in events(30), rows_of_report in 1_usize..6, rows_waiting in 0_usize..12,
    ) {
        let mut house = House::new(Bounds { rows_of_report, rows_waiting });
        for event in events {
            house.play(event);
            let keyed = |segment: &Segment| segment.rows.keys().filter(|account| account.key.is_some()).count();
            let segments = || house.ledger.closed.iter().chain([&house.ledger.current]);
            prop_assert!(segments().map(keyed).sum::<usize>() <= rows_waiting);
            prop_assert!(segments().all(|segment| segment.rows.len() <= rows_waiting + KEYLESS_MAX));
        }
        house.hand_over();
        prop_assert_eq!(totals(&house.server.sums), totals(&house.counted));
    }

    #[test]
    fn accounts_fall_into_all_places_alike(numbers in prop::array::uniform2(any::<u64>())) {
        use std::hash::BuildHasher;
        // Keys that were issued one after another, at APIs that were.
        let mut places = [0_u32; 64];
        for number in 0..64 * 64_u64 {
            let account = Account {
                key: Some(KeyId::from_number(numbers[0].wrapping_add(number / 4))),
                api: ApiId::from_number(numbers[1].wrapping_add(number % 4)),
                price_version: 1,
                outcome: OUTCOMES[0],
            };
            places[(BuildMixer::default().hash_one(account) % 64) as usize] += 1;
        }
        prop_assert!(places.iter().all(|place| *place < 3 * 64), "{places:?}");
    }
}

#[test]
fn half_full_the_hour_no_longer_turns_until_there_is_room_again() {
    let mut ledger = Ledger::with_bounds(Bounds { rows_of_report: 10, rows_waiting: 4 });
    let account = |key| Account {
        key: Some(KeyId::from_number(key)),
        api: ApiId::from_number(1),
        price_version: 1,
        outcome: Outcome::Unanswered,
    };
    let one = Counts { requests: 1, ..Counts::default() };
    let hour = |hour: u64| hour * HOUR_MS;
    ledger.tick(hour(100));
    ledger.count(account(1), one);
    ledger.tick(hour(101) + 7);
    ledger.count(account(1), one);
    // Two of four places are taken.
    ledger.tick(hour(102));
    ledger.count(account(1), one);
    let report = ledger.report().unwrap().clone();
    assert_eq!((report.hour_ms, report.until_ms, report.rows.len()), (hour(100), hour(100), 1));
    assert!(ledger.answered(1) && !ledger.answered(1));
    // What was counted after the hour had turned without a segment is the last segment's.
    let report = ledger.report().unwrap().clone();
    assert_eq!((report.sequence, report.hour_ms, report.until_ms), (2, hour(101), hour(102)));
    assert_eq!(report.rows[0].counts.requests, 2);
    ledger.tick(hour(103));
    ledger.count(account(1), one);
    assert!(ledger.answered(2));
    assert_eq!(ledger.report().unwrap().hour_ms, hour(103));
}

#[test]
fn the_longest_report_is_short_enough() {
    let mut ledger = Ledger::default();
    ledger.tick(u64::MAX);
    for key in 0..ROWS_MAX as u64 + 1 {
        let account = Account {
            key: Some(KeyId::from_number(u64::MAX - key)),
            api: ApiId::from_number(u64::MAX),
            price_version: u32::MAX,
            outcome: Outcome::Refused(Refusal::WrongOrganization),
        };
        assert_eq!(ledger.is_urgent(), key >= ROWS_MAX as u64);
        ledger.count(account, Counts::default().each(|_| u64::MAX));
    }
    let report = ledger.report().unwrap();
    assert_eq!(report.rows.len(), ROWS_MAX);
    assert!(serde_json::to_vec(report).unwrap().len() <= REPORT_BYTES_MAX);
    assert_eq!(ledger.unreported_rows(), 2 * ROWS_MAX + 1);
}

#[test]
fn a_row_takes_as_much_as_the_documentation_says() {
    assert_eq!(size_of::<(Account, Counts)>(), 88);
}
