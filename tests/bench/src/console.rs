//! `console`: how long the list of keys takes in the console, with few keys and with many.
//!
//! Each number of keys has a control plane of its own. The same page is asked of one after the other, in rounds, so that
//! what slows the machine down slows all of them. A page shows 40 keys, so the one with 10 has less to write: the ratio to 40
//! says what many keys cost, the ratio to 10 what a person notices. Times are those of a client on the same machine; CPU time
//! is that of the whole process of the control plane.

use std::time::{Duration, Instant};

use portcullis_tests::database::Database;
use portcullis_tests::house::OPERATOR_TOKEN;
use portcullis_tests::measure::Distribution;
use serde_json::json;

use crate::estate::Estate;
use crate::process::Process;
use crate::report::Section;

/// How many keys there are.
const FEW: u32 = 10;
const PAGE: u32 = 40;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many keys are many.
    pub keys: u32,
    /// How often each page is asked for.
    pub rounds: usize,
}

/// A control plane, and what its pages took.
struct Side {
    estate: Estate,
    process: Process,
    /// For each page, the times that it took.
    wall: Vec<Vec<Duration>>,
    cpu: Vec<Vec<Duration>>,
}

/// Measures.
pub async fn run(settings: Settings) -> Vec<Section> {
    let mut sides = Vec::new();
    for keys in [FEW, PAGE, settings.keys] {
        sides.push(Side::build(keys).await);
    }
    for round in 0..=settings.rounds {
        for index in 0..pages("").len() {
            for side in &mut sides {
                side.ask(index, round > 0).await;
            }
        }
    }
    let name = |what: &str| format!("Console: {what} of the list of keys");
    vec![
        section("console_wall", &name("time"), settings, &sides, |side| &side.wall),
        section("console_cpu", &name("CPU time"), settings, &sides, |side| &side.cpu),
    ]
}

/// What is asked for, in words and as an address. `next` is where a second page begins.
fn pages(next: &str) -> Vec<(&'static str, String)> {
    vec![
        ("newest first", "/keys".to_owned()),
        ("by name", "/keys?sort=name".to_owned()),
        ("by expiry", "/keys?sort=expires_at".to_owned()),
        ("by last use", "/keys?sort=-last_used_at".to_owned()),
        ("a search", "/keys?q=key".to_owned()),
        ("the other tab", "/keys?kind=dedicated".to_owned()),
        ("the second page", format!("/keys?cursor={next}")),
    ]
}

impl Side {
    async fn build(keys: u32) -> Self {
        // One of them is the pattern of the others.
        let mut estate = Estate::build(Database::Sqlite, keys - 1).await;
        // A start looks at the tables anew, which were filled behind the back of the control plane.
        estate.house.stop_control_plane().await;
        estate.house.start_control_plane().await;
        let process = Process::new(estate.house.control_plane().process.id().expect("a control plane that runs"));
        let count = pages("").len();
        Self { estate, process, wall: vec![Vec::new(); count], cpu: vec![Vec::new(); count] }
    }

    async fn ask(&mut self, index: usize, counts: bool) {
        let house = &self.estate.house;
        let newest = house.admin().get("/v1/keys?limit=40").await.expect("a page");
        let next = newest["next_cursor"].as_str().unwrap_or_default();
        let url = format!("{}{}", house.admin_url(), pages(next)[index].1);
        // Any access token is a session.
        let request = house.http.get(url).header("cookie", format!("portcullis-session={OPERATOR_TOKEN}"));
        let (cpu, start) = (self.process.cpu_of_threads(), Instant::now());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", answer.url());
        let text = answer.text().await.expect("a page");
        let wall = start.elapsed();
        assert!(text.contains("API Key Management"), "{text}");
        if counts {
            self.wall[index].push(wall);
            self.cpu[index].push(self.process.cpu_of_threads().saturating_sub(cpu));
        }
    }
}

fn section(
    key: &str,
    title: &str,
    settings: Settings,
    sides: &[Side],
    times: impl Fn(&Side) -> &Vec<Vec<Duration>>,
) -> Section {
    let title =
        format!("{title}, medians and minima of {} rounds in ms, many = {} keys", settings.rounds, settings.keys);
    let columns = ["page", "10 keys", "40 keys", "many keys", "many : 10", "many : 40"];
    let mut section = Section::with_columns(key, title, columns);
    for (index, (label, _)) in pages("").into_iter().enumerate() {
        let of: Vec<Distribution> =
            sides.iter().map(|side| Distribution::of(times(side)[index].iter().copied())).collect();
        let (medians, minima): (Vec<f64>, Vec<f64>) =
            of.iter().map(|times| (times.quantile_ms(500), times.quantile_ms(0))).unzip();
        let [few, page, many] = [0, 1, 2].map(|side| format!("{:.2}, {:.2}", medians[side], minima[side]));
        let ratios = [0, 1].map(|side| medians[2] / medians[side]);
        let cells = [label.to_owned(), few, page, many, format!("{:.2}", ratios[0]), format!("{:.2}", ratios[1])];
        section.cells(label, cells, json!({"medians_ms": medians, "minima_ms": minima, "ratios": ratios}));
    }
    section
}
