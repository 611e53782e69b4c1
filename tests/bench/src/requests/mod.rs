//! `requests`: what a request costs in a real Envoy, with Portcullis and with what a user could pick instead.
//!
//! | module | what it is |
//! |---|---|
//! | [`variants`], [`rivals`] | what is measured: all variants, and the filters of those that are not Portcullis |
//! | [`beside`] | other builds of the filter, measured beside the released one |
//! | [`variant`], [`answer`] | what a variant is, and the answer that must come |
//! | [`houses`], [`apis`] | control planes with few keys and with many, and their APIs |
//! | [`gate`], [`service`] | an Envoy, and the authorization service that some ask |
//! | [`load`], [`pace`] | requests, as fast as they are answered and at a fixed rate |
//! | [`texts`], [`connection`] | the texts of requests, and how they are sent |
//! | [`cores`] | who runs on which core |
//! | [`measured`] | rounds of variants |
//! | [`figures`], [`goals`], [`surroundings`], [`chart`] | those in tables and in a picture |
//! | [`loading`] | a million keys, loaded |
//!
//! All Envoys run all the time. The variants are measured one after the other for a short while, again and again: what
//! slows a machine down for some seconds slows all of them. Each round has another order, as a variant feels which one
//! was before it. Figures are medians over the rounds, and differences and ratios are those of the same round. A request's
//! cost is the processor time of all threads of its Envoy, with the kernel's for it, divided by the number of requests; an
//! Envoy that waits costs nothing. Where Envoy asks a service, that one's processor time counts as well.
//!
//! In each round, a while at full load tells the cost, and a while at a fixed rate the times: those at full load say no
//! more than how many callers there are.

mod answer;
mod apis;
mod beside;
mod chart;
mod connection;
mod cores;
mod figures;
mod gate;
mod goals;
mod houses;
mod load;
mod loading;
mod measured;
mod pace;
mod rivals;
mod service;
mod surroundings;
mod texts;
mod variant;
mod variants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_tests::random::Random;

pub use beside::Build;
pub use chart::Chart;
use connection::Connection;
use cores::Cores;
use gate::Gate;
use houses::Furnished;
use load::Load;
use loading::Loading;
use measured::{Measured, Round, Rounds};
use pace::Pace;
use surroundings::Surroundings;
use texts::Texts;
use variant::Variant;
use variants::{ALL, BASE, LEASED_1M, MILLION, ONE};

use crate::process::Process;
use crate::report::Section;

/// How large it all is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often each variant is measured.
    pub rounds: usize,
    /// How long each time, at full load.
    pub duration: Duration,
    /// How many connections there are to each variant.
    pub connections: usize,
    /// How many requests there are in a second at a fixed rate.
    pub rate: u32,
    /// Which variants there are besides the bare Envoy; all if empty.
    pub only: Vec<String>,
    /// Other builds of the filter, with everything on.
    pub beside: Vec<Build>,
}

/// How long a variant is used before a round of it, as the caches are full of others.
const LEAD_IN: Duration = Duration::from_millis(60);
/// How long there are requests at a fixed rate in each round.
const PACED: Duration = Duration::from_millis(200);
/// How long Envoy has after an answer until its threads wait.
const SETTLE: Duration = Duration::from_millis(3);
/// Chooses the orders of the rounds, the same in each run.
const SEED: u64 = 1;

/// A variant with its Envoy and connections to it.
struct Runner {
    variant: &'static Variant,
    envoy: Process,
    service: Option<Process>,
    load: Load,
}

/// Control planes, and Envoys at them.
struct Site {
    houses: Vec<Furnished>,
    gates: Vec<Gate>,
}

/// Measures.
pub async fn run(settings: Settings) -> (Vec<Section>, Chart) {
    let mut variants = chosen(&settings.only);
    variants.extend(settings.beside.iter().map(Build::variant));
    let Site { houses, gates } = Site::build(&variants).await;
    let connect = |variant: &'static Variant| Runner::connect(&settings, variant, &houses, &gates);
    let mut runners = variants.into_iter().map(connect).collect::<Vec<_>>();
    let cores = Arc::new(Cores::usable());
    let (pinned, measuring) = (Arc::clone(&cores), settings.clone());
    // It has a thread of its own, as it waits for sockets, and chooses that thread's core.
    let measuring = tokio::task::spawn_blocking(move || {
        runners.iter_mut().for_each(|runner| runner.load.wait_until_expected());
        let idle = surroundings::idle(&gates);
        for gate in &gates {
            pinned.pin(gate.process(), gate.workers);
            gate.service().into_iter().for_each(|service| pinned.pin_service(service, gate.workers));
        }
        let (start, before) = (Instant::now(), surroundings::used_by_others(&gates));
        let measured = measure(&measuring, &mut runners, &pinned);
        let others = surroundings::used_by_others(&gates).saturating_sub(before);
        let others = others.as_secs_f64() / start.elapsed().as_secs_f64();
        (gates, measured, Surroundings { idle, others, cores: pinned })
    });
    let (gates, measured, surroundings) = measuring.await.expect("figures");
    let mut sections = vec![figures::costs(&settings, &measured), figures::usage(&measured), goals::section(&measured)];
    sections.extend(beside::section(&settings.beside, &measured));
    if let Some(loading) = load_million(&settings, &houses, &gates, cores).await {
        sections.push(loading.section());
    }
    sections.push(surroundings.section());
    (sections, Chart::of(&measured))
}

/// The bare Envoy, and those with these names.
fn chosen(only: &[String]) -> Vec<&'static Variant> {
    for key in only {
        assert!(ALL.iter().any(|variant| variant.key == key), "there is no variant `{key}`");
    }
    let is_chosen =
        |variant: &&Variant| variant.key == BASE || only.is_empty() || only.iter().any(|key| key == variant.key);
    ALL.iter().filter(is_chosen).collect()
}

impl Site {
    /// Starts all that these variants need.
    async fn build(variants: &[&'static Variant]) -> Self {
        let (mut houses, mut gates) = (Vec::<Furnished>::new(), Vec::<Gate>::new());
        for variant in variants {
            if gates.iter().any(|gate| gate.serves(variant)) {
                continue;
            }
            if !houses.iter().any(|house| house.keys == variant.chain.keys) {
                houses.push(Furnished::build(variant.chain.keys).await);
            }
            gates.push(Gate::start(house_of(&houses, variant), variant.chain, variant.workers).await);
        }
        Self { houses, gates }
    }
}

fn house_of<'a>(houses: &'a [Furnished], variant: &Variant) -> &'a Furnished {
    houses.iter().find(|house| house.keys == variant.chain.keys).expect("a control plane for each variant")
}

/// The rounds of each variant.
fn measure(settings: &Settings, runners: &mut [Runner], cores: &Cores) -> Measured {
    let mut rounds = runners.iter().map(|_| Vec::new()).collect::<Vec<_>>();
    let mut order = (0..runners.len()).collect::<Vec<_>>();
    let mut random = Random::new(SEED);
    for _ in 0..settings.rounds {
        shuffle(&mut order, &mut random);
        for &place in &order {
            let runner = &mut runners[place];
            cores.keep_off(runner.variant.workers);
            rounds[place].push(runner.round(settings));
        }
    }
    let measured = runners.iter().zip(rounds).map(|(runner, rounds)| Rounds {
        variant: runner.variant,
        rounds,
        resident_bytes: runner.envoy.resident(),
    });
    Measured(measured.collect())
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        let chosen = random.below(u64::try_from(last + 1).expect("a count"));
        order.swap(last, usize::try_from(chosen).expect("a place"));
    }
}

impl Runner {
    fn connect(settings: &Settings, variant: &'static Variant, houses: &[Furnished], gates: &[Gate]) -> Self {
        let gate = gates.iter().find(|gate| gate.serves(variant)).expect("an Envoy for each variant");
        let connections = (0..settings.connections).map(|_| Connection::open(gate.address)).collect();
        let texts = Texts::of(variant, gate.address, &house_of(houses, variant).secrets);
        let mut load = Load::new(connections, texts, variant.answer);
        // A chain that lets everybody in would be measured for nothing.
        if variant.chain.asks_for_key() {
            load.expect_refusal(&texts::unknown(variant, gate.address));
        }
        Self { variant, envoy: gate.process(), service: gate.service(), load }
    }

    fn round(&mut self, settings: &Settings) -> Round {
        self.load.run_through(LEAD_IN);
        std::thread::sleep(SETTLE);
        let before = self.cpu();
        let served = self.load.run(settings.duration);
        std::thread::sleep(SETTLE);
        let after = self.cpu();
        let times = self.load.run_at(Pace::awake(settings.rate), |elapsed| elapsed >= PACED);
        let [envoy, service] = [0, 1].map(|place| after[place].saturating_sub(before[place]));
        Round::new([envoy, service], served, times)
    }

    /// Processor time of the Envoy, and of the service that it asks.
    fn cpu(&self) -> [Duration; 2] {
        [self.envoy.cpu_of_threads(), self.service.map_or(Duration::ZERO, Process::cpu_of_threads)]
    }
}

/// Loads a million keys once more, if there is an Envoy that has them.
async fn load_million(settings: &Settings, houses: &[Furnished], gates: &[Gate], cores: Arc<Cores>) -> Option<Loading> {
    let gate = gates.iter().find(|gate| gate.chain.name == MILLION.name)?;
    let one = gates.iter().find(|gate| gate.chain.name == ONE.name);
    let variant = ALL.iter().find(|variant| variant.key == LEASED_1M)?;
    let load = Runner::connect(settings, variant, houses, gates).load;
    Some(Loading::measure(house_of(houses, variant), gate, one, load, cores).await)
}
