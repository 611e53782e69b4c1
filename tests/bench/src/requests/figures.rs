//! Rounds in a table: medians and least figures, and differences and ratios within a round.

use std::time::Duration;

use portcullis_tests::measure::Distribution;
use serde_json::{Value, json};

use super::Settings;
use super::cores::Cores;
use super::load::Served;
use super::variant::{ANSWER_KIB, BASE, COUNTING, READING, Variant};
use crate::report::{Section, to_f64};

/// What one variant was in one round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Processor time of all threads of its Envoy for one request, in microseconds.
    cost_us: f64,
    /// Requests in a second.
    per_second: f64,
    /// How long half of the requests took at most, in microseconds.
    p50_us: f64,
    /// How long 99 % of them took at most, in microseconds.
    p99_us: f64,
}

impl Round {
    /// This processor time for these requests.
    pub fn new(cpu: Duration, served: Served) -> Self {
        let requests = to_f64(u64::try_from(served.times.len()).unwrap_or(u64::MAX));
        let times = Distribution::of(served.times);
        Self {
            cost_us: cpu.as_secs_f64() * 1e6 / requests,
            per_second: requests / served.wall.as_secs_f64(),
            p50_us: times.quantile_ms(500) * 1000.0,
            p99_us: times.quantile_ms(990) * 1000.0,
        }
    }
}

/// What else there is to say of a run.
#[derive(Debug)]
pub struct Surroundings {
    /// The processor time of each Envoy, by its name, in one second without requests.
    pub idle: Vec<(String, Duration)>,
    /// How many cores processes other than the Envoys and the generator have used.
    pub others: f64,
    /// The cores.
    pub cores: Cores,
}

/// The table of all variants; `rounds` has those of each.
pub fn costs(settings: &Settings, variants: &[&Variant], rounds: &[Vec<Round>]) -> Section {
    let title = format!(
        "Requests: CPU time of the whole Envoy for each, {} connections, {} rounds of {} ms, interleaved",
        settings.connections,
        settings.rounds,
        settings.duration.as_millis()
    );
    let columns = [
        "variant",
        "workers",
        "µs: median",
        "least",
        "over bare Envoy, µs",
        "ratio to it",
        "what the limit costs, µs",
        "requests in a second",
        "p50, µs",
        "p99, µs",
    ];
    let mut section = Section::with_columns("requests", title, columns);
    for (variant, own) in variants.iter().zip(rounds) {
        let of = |key: &str| {
            let place = variants.iter().position(|other| other.key == key && other.workers == variant.workers);
            place.and_then(|place| rounds.get(place))
        };
        let figures = Figures::of(own, of(BASE), variant.unlimited.and_then(of));
        let key = format!("{}/{}", variant.key, variant.workers);
        section.cells(&key, figures.cells(variant), figures.json());
    }
    section
}

/// What counting costs, and what reading tokens does, as far as the variants were measured that tell.
pub fn usage(variants: &[&Variant], rounds: &[Vec<Round>]) -> Section {
    let mut section = Section::new("usage", "Usage: what counting costs");
    let of = |key: &str| rounds.get(variants.iter().position(|variant| variant.key == key && variant.workers == 1)?);
    let between = |with: &str, without: &str| {
        let pairs = of(with)?.iter().zip(of(without)?);
        Some(median(pairs.map(|(with, without)| with.cost_us - without.cost_us)))
    };
    if let Some(us) = between(COUNTING.0, COUNTING.1) {
        section.row("counting", "counting a request, over a filter that does not", format!("{us:+.2} µs"), json!(us));
    }
    for (what, read, unread) in READING {
        if let Some(us) = between(read, unread) {
            let per_kib = us / to_f64(ANSWER_KIB as u64);
            let text = format!("{per_kib:+.2} µs per KiB, {us:+.1} µs for {ANSWER_KIB} KiB");
            section.row(read, format!("reading the tokens of {what}"), text, json!({"us": us, "us_per_kib": per_kib}));
        }
    }
    section
}

impl Surroundings {
    /// As a table.
    pub fn section(&self) -> Section {
        let mut section = Section::new("surroundings", "Surroundings");
        for (name, idle) in &self.idle {
            let us = idle.as_secs_f64() * 1e6;
            let label = format!("idle Envoy ({name}), processor time in a second");
            section.row(&format!("idle/{name}"), label, format!("{us:.0} µs"), json!({"us": us}));
        }
        let text = format!("{:.2} cores", self.others);
        section.row("others", "everything but the Envoys and the generator", text, json!({"cores": self.others}));
        for workers in [1, 2] {
            let pinned = self.cores.suffice(workers);
            let text = if pinned { "on cores of its own" } else { "shares all cores with the generator" };
            section.row(&format!("pinned/{workers}"), format!("Envoy with {workers} workers"), text, json!(pinned));
        }
        section
    }
}

/// The figures of one variant, in microseconds but for the ratio and the rate.
#[derive(Debug, PartialEq)]
struct Figures {
    median: f64,
    least: f64,
    over_bare: f64,
    ratio: f64,
    limit: Option<f64>,
    per_second: f64,
    p50: f64,
    p99: f64,
}

impl Figures {
    fn of(own: &[Round], bare: Option<&Vec<Round>>, unlimited: Option<&Vec<Round>>) -> Self {
        let each = |figure: fn(&Round) -> f64| median(own.iter().map(figure));
        let paired = |with: Option<&Vec<Round>>, figure: fn(f64, f64) -> f64| {
            let pairs = own.iter().zip(with.into_iter().flatten());
            median(pairs.map(|(own, other)| figure(own.cost_us, other.cost_us)))
        };
        Self {
            median: each(|round| round.cost_us),
            least: own.iter().map(|round| round.cost_us).fold(f64::INFINITY, f64::min),
            over_bare: paired(bare, |own, bare| own - bare),
            ratio: paired(bare, |own, bare| own / bare),
            limit: unlimited.map(|unlimited| paired(Some(unlimited), |own, unlimited| own - unlimited)),
            per_second: each(|round| round.per_second),
            p50: each(|round| round.p50_us),
            p99: each(|round| round.p99_us),
        }
    }

    fn cells(&self, variant: &Variant) -> [String; 10] {
        [
            variant.label.to_owned(),
            variant.workers.to_string(),
            format!("{:.2}", self.median),
            format!("{:.2}", self.least),
            format!("{:+.2}", self.over_bare),
            format!("{:.3}", self.ratio),
            self.limit.map_or_else(String::new, |limit| format!("{limit:+.2}")),
            format!("{:.0}", self.per_second),
            format!("{:.0}", self.p50),
            format!("{:.0}", self.p99),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "cpu_us_median": self.median, "cpu_us_min": self.least, "over_bare_us": self.over_bare,
            "ratio_to_bare": self.ratio, "limit_us": self.limit, "requests_per_second": self.per_second,
            "p50_us": self.p50, "p99_us": self.p99,
        })
    }
}

/// The middle one, or the mean of the two in the middle; zero if there is none.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures = figures.collect::<Vec<_>>();
    figures.sort_unstable_by(f64::total_cmp);
    let (upper, lower) = (figures.len() / 2, figures.len().saturating_sub(1) / 2);
    figures.get(lower).zip(figures.get(upper)).map_or(0.0, |(lower, upper)| f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(costs: &[f64]) -> Vec<Round> {
        costs.iter().map(|cost_us| Round { cost_us: *cost_us, per_second: 0.0, p50_us: 0.0, p99_us: 0.0 }).collect()
    }

    #[test]
    fn a_median_is_in_the_middle() {
        let of = |figures: &[f64]| median(figures.iter().copied());
        assert_eq!([of(&[]), of(&[3.0]), of(&[9.0, 1.0, 2.0]), of(&[4.0, 1.0, 3.0, 9.0])], [0.0, 3.0, 2.0, 3.5]);
    }

    #[test]
    fn differences_are_those_within_a_round() {
        // The medians are 30 and 10; in each round the difference is 4 or 5.
        let (own, bare) = (rounds(&[30.0, 15.0, 54.0]), rounds(&[25.0, 10.0, 50.0]));
        let figures = Figures::of(&own, Some(&bare), None);
        assert_eq!((figures.median, figures.least, figures.over_bare, figures.ratio), (30.0, 15.0, 5.0, 1.2));
        assert_eq!(figures.limit, None);
        assert_eq!(Figures::of(&own, Some(&bare), Some(&own)).limit, Some(0.0));
    }
}
