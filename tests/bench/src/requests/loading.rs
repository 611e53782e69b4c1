//! A million keys: how long a worker takes to have them, in how much memory, and what requests notice of it.
//!
//! The worker loads everything once more when it is told of other APIs for its gateway. Requests come at a fixed rate
//! meanwhile, and for as long again without it. A virtual machine has pauses of its own, which only ever add: so that
//! is done several times, and the least of the longest times says what loading itself does. The worker has a core to
//! itself. Whoever else is at work, which is the control plane and the filter in Envoy's main thread, has the
//! generator's, and comes last there: what is asked is what the worker does to its requests, not how two cores are
//! shared by four.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::measure::Distribution;
use portcullis_tests::ready::Ready;
use serde_json::json;
use tokio::task::JoinHandle;

use super::cores::Cores;
use super::gate::Gate;
use super::goals::{COLUMNS, Target, row};
use super::houses::Furnished;
use super::load::Load;
use super::measured::median;
use super::pace::Pace;
use crate::process::Process;
use crate::report::{Section, to_f64};

/// Requests in a second.
const RATE: u32 = 500;
/// How often all is loaded.
const TIMES: usize = 3;
/// How long requests go on after a worker has everything, as what it had before is given up then.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// Workers publish their figures once a second.
const PUBLISHED: Duration = Duration::from_millis(2_200);
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of it.
pub struct Loading {
    rendering: Duration,
    million: Vec<Ready>,
    one: Vec<Ready>,
    times: Vec<Times>,
    pauses_us: [u64; 2],
}

/// One time.
struct Times {
    reloading: Duration,
    meanwhile: Distribution,
    quiet: Distribution,
}

/// The requests of a time with loading, or of one without.
type Half = fn(&Times) -> &Distribution;

impl Loading {
    /// Has the one worker of an Envoy with a million keys load them again; `one` is an Envoy with one key.
    pub async fn measure(
        furnished: &Furnished,
        gate: &Gate,
        one: Option<&Gate>,
        mut load: Load,
        cores: Arc<Cores>,
    ) -> Self {
        let house = &furnished.house;
        load.wait_until_expected();
        let control_plane = Process::new(house.control_plane().process.id().expect("it runs"));
        cores.isolate_worker(gate.process(), control_plane);
        let mut times = Vec::new();
        for number in 0..TIMES {
            let start = Instant::now();
            let is_loaded = Arc::new(AtomicBool::new(false));
            let is_over = Arc::clone(&is_loaded);
            let requests = send(load, &cores, move |_| is_over.load(Ordering::SeqCst));
            load_again(house, number).await;
            let reloading = start.elapsed();
            tokio::time::sleep(AFTERWARDS).await;
            let duration = start.elapsed();
            is_loaded.store(true, Ordering::SeqCst);
            let (same, meanwhile) = requests.await.expect("requests");
            let (same, quiet) = send(same, &cores, move |elapsed| elapsed >= duration).await.expect("requests");
            load = same;
            times.push(Times { reloading, meanwhile, quiet });
        }
        let one = one.map_or_else(Vec::new, Gate::ready);
        let rendering = furnished.rendering;
        Self { rendering, million: gate.ready(), one, times, pauses_us: longest_pauses_us(house, gate).await }
    }

    /// As a table.
    pub fn section(&self) -> Section {
        let mut section = Section::with_columns("loading", "Loading 1,000,000 keys", COLUMNS);
        let label = "until the control plane had rendered them, once for all workers";
        row(&mut section, "rendering", label, self.rendering.as_secs_f64(), "s", Target::None);
        let seconds = self.million.iter().map(|ready| to_f64(ready.took_ms) / 1000.0).fold(0.0, f64::max);
        let label = "then, until a worker and the main thread had all, the slower of both";
        row(&mut section, "first", label, seconds, "s", Target::AtMost(10.0));
        let most = |ready: &[Ready]| to_f64(ready.iter().map(|ready| ready.memory_bytes).max().unwrap_or(0)) / 1e6;
        let (million, one) = (most(&self.million), most(&self.one));
        row(&mut section, "memory", "memory of a worker", million, "MB", Target::None);
        if one > 0.0 {
            row(&mut section, "memory-one", "memory of a worker with one key", one, "MB", Target::None);
            let label = "memory of a worker, over one with one key";
            row(&mut section, "memory-more", label, million - one, "MB", Target::AtMost(40.0));
        }
        let seconds = median(self.times.iter().map(|times| times.reloading.as_secs_f64()));
        let label = "until both had all once more, rendering included (median)";
        row(&mut section, "again", label, seconds, "s", Target::None);
        let [shorter, longer] = self.pauses_us.map(|pause_us| to_f64(pause_us) / 1000.0);
        let label = "longest pause since the start, of worker and main thread: the shorter";
        row(&mut section, "pause", label, shorter, "ms", Target::None);
        row(&mut section, "pause-other", "the longer; the main thread shares its core", longer, "ms", Target::None);
        self.add_requests(&mut section);
        section
    }

    fn add_requests(&self, section: &mut Section) {
        let mut least = [0.0; 2];
        let figures: [(_, _, Half); 2] = [
            ("meanwhile", "while all was loaded", |times| &times.meanwhile),
            ("quiet", "for as long without", |times| &times.quiet),
        ];
        for ((key, when, half), least) in figures.into_iter().zip(&mut least) {
            let each = |thousandths| self.times.iter().map(move |times| half(times).quantile_ms(thousandths));
            *least = each(1000).fold(f64::INFINITY, f64::min);
            let figures = [
                ("p99", "99 % of requests took at most", median(each(990))),
                ("longest", "the longest of them", median(each(1000))),
                ("least", "the same, least instead of median", *least),
            ];
            for (name, what, ms) in figures {
                row(section, &format!("{key}-{name}"), &format!("{when}: {what}"), ms, "ms", Target::None);
            }
        }
        let label = "what loading adds to the longest, by what was least";
        row(section, "delay", label, least[0] - least[1], "ms", Target::AtMost(5.0));
    }
}

/// Sends requests until it is over, on a thread of its own.
fn send(
    mut load: Load,
    cores: &Arc<Cores>,
    is_over: impl FnMut(Duration) -> bool + Send + 'static,
) -> JoinHandle<(Load, Distribution)> {
    let cores = Arc::clone(cores);
    tokio::task::spawn_blocking(move || {
        cores.keep_off(1);
        let times = load.run_at(Pace::sleeping(RATE), is_over);
        (load, Distribution::of(times))
    })
}

/// Gives the house's gateway a list of APIs that differs by one that nobody asks for from the one before, and waits until
/// its workers have all of it.
async fn load_again(house: &House, number: usize) {
    let admin = house.admin();
    let apis = admin.list("/v1/apis").await.unwrap_or_else(|error| panic!("{error}"));
    let listed = apis.iter().filter(|api| number.is_multiple_of(2) || api["id"] != house.serverless_api);
    let ids = listed.map(|api| api["id"].clone()).collect::<Vec<_>>();
    let gateway = format!("/v1/gateways/{}", house.gateway);
    admin.change(&gateway, &json!({"apis": ids})).await.unwrap_or_else(|error| panic!("{error}"));
    // The worker, and the main thread.
    house.caught_up(2, PATIENCE).await;
}

/// The longest times for which the worker and the main thread kept their own requests waiting, since their start, the
/// shorter first. Which is whose is not to be seen.
async fn longest_pauses_us(house: &House, gate: &Gate) -> [u64; 2] {
    tokio::time::sleep(PUBLISHED).await;
    let url = format!("http://{}/stats?filter=longest_pause_microseconds", gate.admin);
    let text = house.http.get(url).send().await.expect("Envoy's statistics").text().await.expect("text");
    let mut figures = text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse().ok()).collect::<Vec<_>>();
    figures.sort_unstable();
    figures.try_into().unwrap_or_else(|_| panic!("no two pauses in {text}"))
}
