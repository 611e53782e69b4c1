//! What was announced holds, whatever the wall clock says and whatever breaks.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_tests::house::{House, program};
use portcullis_tests::limits::{requests, requests_a_day};
use portcullis_tests::machine::among_others;
use portcullis_tests::raw::{self, Answer};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::{call, passed};

/// How long things may take that take a moment.
const PATIENCE: Duration = Duration::from_secs(10);

fn retry_after(answer: &Answer) -> Duration {
    assert_eq!(answer.status, Some(429), "{answer:?}");
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or_else(|| panic!("no seconds in {answer:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_at_the_announced_instant_passes_and_one_before_it_does_not() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    let api = house.limited_api("slow", requests(1, 3)).await;
    let sent = Instant::now();
    let first = call(&house, &api.path, &key.secret).await;
    let came = Instant::now();
    assert_eq!((first.status, first.header("ratelimit")), (Some(200), Some("\"requests-3s\";r=0;t=3")));
    let mut refused = 0;
    loop {
        let asked = Instant::now();
        let answer = call(&house, &api.path, &key.secret).await;
        let answered = Instant::now();
        if answer.status == Some(200) {
            let (earliest, latest) = (asked.saturating_duration_since(came), answered - sent);
            println!("passed again after {:.3} to {:.3} s", earliest.as_secs_f64(), latest.as_secs_f64());
            assert!(latest >= Duration::from_secs(3), "too early: {latest:?}");
            break;
        }
        // Whole seconds, rounded up: the instant that was announced is not before that of the rule, and less than a second
        // after it.
        let wait = retry_after(&answer);
        let [rest_least, rest_most] = [answered - sent, asked.saturating_duration_since(came)]
            .map(|elapsed| Duration::from_secs(3).saturating_sub(elapsed));
        assert!(wait >= rest_least && wait < rest_most + Duration::from_secs(1), "{wait:?} for {rest_most:?}");
        assert!(asked.duration_since(came) < Duration::from_secs(3), "still refused: {answer:?}");
        refused += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(refused > 30, "refused {refused} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_as_long_as_was_announced_passes() {
    let _among_others = among_others().await;
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    // Units come back every 0.7 s, so that announcements are rounded.
    let api = house.limited_api("uneven", requests(10, 7)).await;
    assert_eq!(passed(&house, &api.path, &key.secret, 10).await, 10);
    for _ in 0..3 {
        // What has come back meanwhile is used up first.
        let mut answer = call(&house, &api.path, &key.secret).await;
        for _ in 0..10 {
            if answer.status == Some(200) {
                answer = call(&house, &api.path, &key.secret).await;
            }
        }
        tokio::time::sleep(retry_after(&answer)).await;
        assert_eq!(call(&house, &api.path, &key.secret).await.status, Some(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_filter_was_loaded_anew_goes_on_counting() {
    let _among_others = among_others().await;
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let few = house.limited_api("few", requests_a_day(10)).await;
    // Workers lease from this one.
    let many = house.limited_api("many", requests_a_day(10_000)).await;
    house.start_envoy_with(program("PORTCULLIS_TRAPPING_WASM"), 1).await;
    assert_eq!(passed(&house, &few.path, &key.secret, 4).await, 4);
    assert_eq!(passed(&house, &many.path, &key.secret, 100).await, 100);

    trap(&house, &key.secret).await;
    assert_eq!(passed(&house, &few.path, &key.secret, 4).await, 4);
    trap(&house, &key.secret).await;
    assert_eq!(passed(&house, &few.path, &key.secret, 4).await, 2);
    // What the worker had leased when it broke may be lost, and nothing is given twice.
    let answer = call(&house, &many.path, &key.secret).await;
    let left = answer.header("ratelimit").and_then(|field| field.strip_prefix("\"requests-86400s\";r="));
    let left = left.and_then(|rest| rest.split(';').next()?.parse::<u64>().ok());
    let left = left.unwrap_or_else(|| panic!("{answer:?}"));
    println!("of 10,000, 101 used and two leases lost: {left} left");
    assert!((10_000 - 101 - 128..=10_000 - 101).contains(&left), "{left}");
}

/// Breaks the worker's filter, and waits until it serves again.
async fn trap(house: &House, secret: &str) {
    let request = format!(
        "GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\nx-portcullis-trap: 1\r\n\
         connection: close\r\n\r\n"
    );
    // A reload is tried once a second at most.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let broken = raw::send(house.listener(), request.as_bytes()).await;
    assert_eq!(broken.status, Some(503), "{broken:?}");
    let start = Instant::now();
    while call(house, "/v1/models", secret).await.status != Some(200) {
        assert!(start.elapsed() < PATIENCE, "it does not serve again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A wall clock for Envoy that can be stepped: stepped_clock.c beside this file.
struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    fn new(folder: &Path) -> Self {
        let clock = Self { library: folder.join("stepped_clock.so"), offset: folder.join("clock_offset") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/limits/stepped_clock.c");
        // Rust's own linker.
        let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&clock.library).arg(source).status();
        assert!(built.expect("the C compiler that Rust links with").success());
        clock.step_to(0);
        clock
    }

    fn environment(&self) -> Vec<(String, OsString)> {
        vec![
            ("LD_PRELOAD".to_owned(), self.library.clone().into()),
            ("STEPPED_CLOCK".to_owned(), self.offset.clone().into()),
        ]
    }

    /// Sets it so many seconds before or after the machine's.
    fn step_to(&self, seconds: i64) {
        // In place: the file must never be shorter than what Envoy has mapped of it.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.offset);
        file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0)).expect("the clock's file");
    }
}

/// Steps Envoy's clock, and waits until its answers say so.
async fn step(house: &House, clock: &WallClock, seconds: i64) {
    clock.step_to(seconds);
    let start = Instant::now();
    loop {
        let answer = call(house, "/healthz", "").await;
        let date = answer.header("date").map(|date| date.replace("GMT", "+0000"));
        let date = OffsetDateTime::parse(&date.expect("a date"), &Rfc2822).expect("a date");
        let ahead = (date - OffsetDateTime::now_utc()).whole_seconds();
        if (ahead - seconds).abs() <= 3 {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "Envoy's clock is {ahead} s ahead rather than {seconds}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_the_wall_clock_neither_frees_nor_blocks() {
    const TWO_DAYS: i64 = 2 * 86_400;
    let _among_others = among_others().await;
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    let day = house.limited_api("day", requests_a_day(5)).await;
    let second = house.limited_api("second", requests(4, 2)).await;
    let clock = WallClock::new(house.folder());
    house.start_envoy_in(clock.environment(), 2).await;

    assert_eq!(passed(&house, &day.path, &key.secret, 7).await, 5);
    for seconds in [TWO_DAYS, -TWO_DAYS, TWO_DAYS, 0] {
        step(&house, &clock, seconds).await;
        // Two days give nothing back of a day's limit.
        assert_eq!(passed(&house, &day.path, &key.secret, 3).await, 0, "after a step to {seconds} s");
        // And what comes back by itself comes back: this is called for the first time, or was left alone for long enough.
        assert_eq!(passed(&house, &second.path, &key.secret, 4).await, 4, "after a step to {seconds} s");
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
}
