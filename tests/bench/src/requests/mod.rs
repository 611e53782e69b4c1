//! `requests`: what a request costs in a real Envoy, with Portcullis and with what Envoy has itself.
//!
//! | module | what it is |
//! |---|---|
//! | [`variant`] | what is measured: filters, paths, and the answers that must come |
//! | [`gate`] | an Envoy with them |
//! | [`load`] | requests, as fast as they are answered, and each answer checked |
//! | [`cores`] | who runs on which core |
//! | [`figures`] | rounds in a table |
//!
//! All Envoys run all the time. The variants are measured one after the other for a short while, again and again: what
//! slows a machine down for some seconds slows all of them. Each round has another order, as a variant feels which one
//! was before it. Figures are medians over the rounds, and differences and ratios are those of the same round. A request's
//! cost is the processor time of all threads of its Envoy, with the kernel's for it, divided by the number of requests; an
//! Envoy that waits costs nothing.

mod cores;
mod figures;
mod gate;
mod load;
mod variant;

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::random::Random;
use serde_json::json;

use cores::Cores;
use figures::{Round, Surroundings};
use gate::Gate;
use load::Load;
use variant::{ALL, BASE, Variant, apis};

use crate::process::{Process, cpu_of_all};
use crate::report::Section;

/// How large it all is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often each variant is measured.
    pub rounds: usize,
    /// How long each time.
    pub duration: Duration,
    /// How many connections there are to each variant.
    pub connections: usize,
    /// Which variants there are besides the bare Envoy; all if empty.
    pub only: Vec<String>,
}

/// How long a variant is used before a round of it, as the caches are full of others.
const LEAD_IN: Duration = Duration::from_millis(60);
/// How long Envoy has after an answer until its threads wait.
const SETTLE: Duration = Duration::from_millis(3);
/// Chooses the orders of the rounds, the same in each run.
const SEED: u64 = 1;
/// How long an idle Envoy is looked at.
const IDLE_SECONDS: u32 = 2;

/// A variant with its Envoy and connections to it.
struct Runner {
    variant: &'static Variant,
    envoy: Process,
    load: Load,
}

/// Measures.
pub async fn run(settings: Settings) -> [Section; 3] {
    let is_chosen = |variant: &&Variant| {
        variant.key == BASE || settings.only.is_empty() || settings.only.iter().any(|key| key == variant.key)
    };
    for key in &settings.only {
        assert!(ALL.iter().any(|variant| variant.key == key), "there is no variant `{key}`");
    }
    let variants = ALL.iter().filter(is_chosen).collect::<Vec<_>>();
    let house = House::without_envoy().await;
    for api in apis() {
        house.admin().create("/v1/apis", &api).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let key = house.issue("serverless", json!({})).await;
    let mut gates = Vec::<Gate>::new();
    for variant in &variants {
        if !gates.iter().any(|gate| gate.serves(variant)) {
            gates.push(Gate::start(&house, variant.chain, variant.workers).await);
        }
    }
    let connect = |variant: &&'static Variant| {
        let gate = gates.iter().find(|gate| gate.serves(variant)).expect("an Envoy for each variant");
        let load = Load::connect(gate.address, settings.connections, variant, &key.secret);
        Runner { variant, envoy: gate.process(), load }
    };
    let mut runners = variants.iter().map(connect).collect::<Vec<_>>();
    // It has a thread of its own, as it waits for sockets, and chooses that thread's core.
    let measuring = tokio::task::spawn_blocking(move || {
        runners.iter_mut().for_each(|runner| runner.load.wait_until_expected());
        let idle = idle(&gates);
        let cores = Cores::usable();
        gates.iter().for_each(|gate| cores.pin(gate.process(), gate.workers));
        let (start, before) = (Instant::now(), used_by_others(&gates));
        let rounds = measure(&settings, &mut runners, &cores);
        let others = used_by_others(&gates).saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64();
        let surroundings = Surroundings { idle, others, cores };
        [figures::costs(&settings, &variants, &rounds), figures::usage(&variants, &rounds), surroundings.section()]
    });
    measuring.await.expect("figures")
}

/// The rounds of each variant.
fn measure(settings: &Settings, runners: &mut [Runner], cores: &Cores) -> Vec<Vec<Round>> {
    let mut rounds = runners.iter().map(|_| Vec::new()).collect::<Vec<_>>();
    let mut order = (0..runners.len()).collect::<Vec<_>>();
    let mut random = Random::new(SEED);
    for _ in 0..settings.rounds {
        shuffle(&mut order, &mut random);
        for &place in &order {
            let runner = &mut runners[place];
            cores.keep_off(runner.variant.workers);
            rounds[place].push(runner.round(settings.duration));
        }
    }
    rounds
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        let chosen = random.below(u64::try_from(last + 1).expect("a count"));
        order.swap(last, usize::try_from(chosen).expect("a place"));
    }
}

impl Runner {
    fn round(&mut self, duration: Duration) -> Round {
        self.load.run(LEAD_IN);
        std::thread::sleep(SETTLE);
        let before = self.envoy.cpu_of_threads();
        let served = self.load.run(duration);
        std::thread::sleep(SETTLE);
        Round::new(self.envoy.cpu_of_threads().saturating_sub(before), served)
    }
}

/// The processor time of each Envoy, in one second without requests.
fn idle(gates: &[Gate]) -> Vec<(String, Duration)> {
    let used = || gates.iter().map(|gate| gate.process().cpu_of_threads());
    let before = used().collect::<Vec<_>>();
    std::thread::sleep(Duration::from_secs(IDLE_SECONDS.into()));
    let names = gates.iter().map(|gate| format!("{} {}", gate.chain.name, gate.workers));
    let idle = used().zip(before).map(|(after, before)| after.saturating_sub(before) / IDLE_SECONDS);
    names.zip(idle).collect()
}

/// What has been used by neither an Envoy nor the generator.
fn used_by_others(gates: &[Gate]) -> Duration {
    let ours = gates.iter().map(Gate::process).chain([Process::own()]).map(Process::cpu).sum();
    cpu_of_all().saturating_sub(ours)
}
