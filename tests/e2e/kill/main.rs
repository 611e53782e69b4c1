//! SIGKILL at any instant: what was acknowledged stays, and what is tried again is done once.
//!
//! Clients issue, reissue and delete keys, and ask again with the same `Idempotency-Key` until they are answered. Now and
//! then one gives up early and asks again while its first request may still be under way. Again and again the control plane is killed, sometimes in the midst of its start. After each restart the admin API and the
//! sync port are compared with what the clients were told ([`ledger`]).
//!
//! `PORTCULLIS_SOAK_KILLS` says how often it is killed, `PORTCULLIS_SOAK_SEED` repeats the clients' and the killer's
//! choices of a run; how they meet is up to the machine.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

mod client;
mod ledger;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use portcullis_core::id::KeyId;
use portcullis_tests::database::Database;
use portcullis_tests::house::House;
use portcullis_tests::measure::setting;
use portcullis_tests::random::Random;
use tokio::sync::RwLock;

use client::{Client, Shared};
use ledger::{Ledger, Observed};

/// How often it is killed in `make test`.
const KILLS: u64 = 20;
const CLIENTS: [char; 4] = ['a', 'b', 'c', 'd'];
/// The longest that it runs undisturbed.
const PEACE_MS_MAX: u64 = 300;
/// The longest that it gets for a start in which it is killed.
const START_MS_MAX: u64 = 60;
/// A sign of life is printed after so many kills.
const PROGRESS: u64 = 50;
/// How long one kill, restart and check may take on average.
const TIME_PER_KILL: Duration = Duration::from_secs(4);

fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time in this age");
    setting("PORTCULLIS_SOAK_SEED").unwrap_or_else(|| u64::from(now().subsec_nanos()))
}

async fn ids_by_name(house: &House, query: &str) -> HashMap<String, Vec<KeyId>> {
    let listed = house.admin().list(&format!("/v1/keys?limit=200{query}")).await;
    let mut ids: HashMap<String, Vec<KeyId>> = HashMap::new();
    for key in listed.unwrap_or_else(|error| panic!("{error}")) {
        let text = |field: &str| key[field].as_str().map(str::to_owned).unwrap_or_else(|| panic!("no {field}: {key}"));
        ids.entry(text("name")).or_default().push(text("id").parse().expect("an id"));
    }
    ids
}

/// What the control plane says, in both of its ways, at one revision. Nobody asks for anything meanwhile; but what was
/// asked for and given up may still be done.
async fn observe(house: &House) -> Observed {
    loop {
        let (before, live) = house.live_secrets().await;
        let listed = ids_by_name(house, "").await;
        if house.live_secrets().await.0 == before {
            return Observed { listed, live };
        }
    }
}

/// Compares what the control plane says with what the clients were told, while nothing moves.
async fn check(house: &House, shared: &Shared) {
    let _closed = shared.gate.write().await;
    let observed = observe(house).await;
    shared.ledger().assert_kept(&observed);
}

/// Kills the control plane as often as it is told, and checks after each restart.
async fn kill_again_and_again(house: &mut House, shared: &Shared, kills: u64, mut random: Random) -> u64 {
    let mut in_its_start = 0;
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.below(PEACE_MS_MAX))).await;
        house.kill_control_plane().await;
        while random.below(6) == 0 {
            let mut half = house.spawn_control_plane();
            tokio::time::sleep(Duration::from_millis(random.below(START_MS_MAX))).await;
            half.process.kill().await.expect("it is killed");
            in_its_start += 1;
        }
        house.start_control_plane().await;
        check(house, shared).await;
        if kill % PROGRESS == 0 {
            println!("{kill} kills, {} writes", shared.written.load(Ordering::SeqCst));
        }
    }
    shared.stopping.store(true, Ordering::SeqCst);
    in_its_start
}

/// What is only looked at once all is quiet: nothing is half done, and everything that was deleted is listed as revoked.
async fn check_the_end(house: &House, shared: &Shared) {
    check(house, shared).await;
    let revoked = ids_by_name(house, "&status=revoked").await;
    let ledger = shared.ledger();
    assert_eq!(ledger.counts().1, 0, "something is still under way");
    let mut deleted = 0;
    for name in ledger.deleted() {
        assert_eq!(revoked.get(name).map(Vec::as_slice), Some(&[ledger.key(name).id][..]), "{name}");
        deleted += 1;
    }
    assert_eq!(revoked.len(), deleted, "a key is revoked that nobody deleted");
}

async fn soak(database: Database) {
    let (kills, seed) = (setting("PORTCULLIS_SOAK_KILLS").unwrap_or(KILLS), seed());
    println!("{kills} kills with PORTCULLIS_SOAK_SEED={seed}");
    let mut random = Random::new(seed);
    let mut house = House::without_envoy_on(database).await;
    let shared = Shared {
        http: house.http.clone(),
        admin_url: house.admin_url(),
        organization: house.organization.clone(),
        ledger: Mutex::new(Ledger::default()),
        gate: RwLock::new(()),
        stopping: AtomicBool::new(false),
        written: AtomicU64::new(0),
        retried: AtomicU64::new(0),
        replayed: AtomicU64::new(0),
    };
    let start = Instant::now();
    let [a, b, c, d] = CLIENTS.map(|name| Client::new(&shared, name, random.branch()).run());
    let killing = kill_again_and_again(&mut house, &shared, kills, random.branch());
    let all = async { tokio::join!(killing, a, b, c, d).0 };
    let time_max = TIME_PER_KILL * u32::try_from(kills + 10).expect("a small number");
    let in_its_start = tokio::time::timeout(time_max, all).await.expect("it ends in time");
    check_the_end(&house, &shared).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{kills} kills and {in_its_start} more in the midst of a start, {} writes, {} retries of which {} were of \
         something done, {} keys live at the end, {:.0} s",
        count(&shared.written),
        count(&shared.retried),
        count(&shared.replayed),
        shared.ledger().counts().0,
        start.elapsed().as_secs_f64(),
    );
    assert!(count(&shared.written) > kills, "hardly anything was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_what_was_acknowledged_survives_and_what_is_retried_is_done_once() {
    soak(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_what_was_acknowledged_survives_and_what_is_retried_is_done_once() {
    soak(Database::postgres().await).await;
}
