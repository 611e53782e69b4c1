//! What was measured: rounds of each variant.

use std::time::Duration;

use portcullis_tests::measure::Distribution;

use super::load::Served;
use super::variant::Variant;
use super::variants::BASE;
use crate::report::to_f64;

/// What one variant was in one round.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Round {
    /// Processor time of all threads of its Envoy for one request, in microseconds.
    pub envoy_us: f64,
    /// The same of the service that it asks; zero if it asks none.
    pub service_us: f64,
    /// Requests in a second, as fast as they were answered.
    pub per_second: f64,
    /// How long half of the requests took at most at a fixed rate, in microseconds.
    pub p50_us: f64,
    /// How long 99 % of them took at most, in microseconds.
    pub p99_us: f64,
}

impl Round {
    /// This processor time of an Envoy and of its service for these requests, and these times of others.
    pub fn new([envoy, service]: [Duration; 2], served: Served, times: Vec<Duration>) -> Self {
        let requests = to_f64(served.requests);
        let times = Distribution::of(times);
        Self {
            envoy_us: envoy.as_secs_f64() * 1e6 / requests,
            service_us: service.as_secs_f64() * 1e6 / requests,
            per_second: requests / served.wall.as_secs_f64(),
            p50_us: times.quantile_ms(500) * 1000.0,
            p99_us: times.quantile_ms(990) * 1000.0,
        }
    }

    /// Processor time for one request, wherever it was spent.
    pub fn cost_us(&self) -> f64 {
        self.envoy_us + self.service_us
    }
}

/// All that was measured.
#[derive(Debug)]
pub struct Measured(pub Vec<Rounds>);

/// A variant with its rounds.
#[derive(Debug)]
pub struct Rounds {
    /// The variant.
    pub variant: &'static Variant,
    /// Its rounds, as many as each other's.
    pub rounds: Vec<Round>,
    /// The resident memory of its Envoy at the end, in bytes.
    pub resident_bytes: u64,
}

impl Measured {
    /// The rounds of the variant with this name and so many workers, if it was measured.
    pub fn of(&self, key: &str, workers: u32) -> Option<&[Round]> {
        let is = |rounds: &&Rounds| rounds.variant.key == key && rounds.variant.workers == workers;
        self.0.iter().find(is).map(|rounds| rounds.rounds.as_slice())
    }

    /// The rounds of bare Envoy with so many workers.
    pub fn bare(&self, workers: u32) -> Option<&[Round]> {
        self.of(BASE, workers)
    }

    /// The median over the rounds of a figure of these variants with one worker, each by its processor time; none if one
    /// of them was not measured.
    pub fn between<const COUNT: usize>(&self, keys: [&str; COUNT], figure: fn([f64; COUNT]) -> f64) -> Option<f64> {
        self.between_workers(keys.map(|key| (key, 1)), figure)
    }

    /// The same, with so many workers each.
    pub fn between_workers<const COUNT: usize>(
        &self,
        variants: [(&str, u32); COUNT],
        figure: fn([f64; COUNT]) -> f64,
    ) -> Option<f64> {
        let found = variants.map(|(key, workers)| self.of(key, workers));
        let count = found.iter().map(|rounds| rounds.map_or(0, <[Round]>::len)).min().filter(|count| *count > 0)?;
        let of_round = |round: usize| figure(found.map(|rounds| rounds.map_or(0.0, |rounds| rounds[round].cost_us())));
        Some(median((0..count).map(of_round)))
    }
}

/// The middle one, or the mean of the two in the middle; zero if there is none.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures = figures.collect::<Vec<_>>();
    figures.sort_unstable_by(f64::total_cmp);
    let (upper, lower) = (figures.len() / 2, figures.len().saturating_sub(1) / 2);
    figures.get(lower).zip(figures.get(upper)).map_or(0.0, |(lower, upper)| f64::midpoint(*lower, *upper))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::requests::variants::{ALL, LEASED};

    /// Each of these variants with one worker, with rounds of these costs.
    pub fn measured(costs: &[(&str, &[f64])]) -> Measured {
        let rounds = costs.iter().map(|(key, costs)| {
            let variant = ALL.iter().find(|variant| variant.key == *key && variant.workers == 1).unwrap();
            let rounds = costs.iter().map(|cost_us| Round { envoy_us: *cost_us, ..Round::default() }).collect();
            Rounds { variant, rounds, resident_bytes: 0 }
        });
        Measured(rounds.collect())
    }

    #[test]
    fn a_median_is_in_the_middle() {
        let of = |figures: &[f64]| median(figures.iter().copied());
        assert_eq!([of(&[]), of(&[3.0]), of(&[9.0, 1.0, 2.0]), of(&[4.0, 1.0, 3.0, 9.0])], [0.0, 3.0, 2.0, 3.5]);
    }

    #[test]
    fn figures_are_those_within_a_round() {
        // The medians are 30 and 25; in each round the difference is 4 or 5.
        let measured = measured(&[(LEASED, &[30.0, 15.0, 54.0]), (BASE, &[25.0, 10.0, 50.0])]);
        assert_eq!(measured.between([LEASED, BASE], |[own, bare]| own - bare), Some(5.0));
        assert_eq!(measured.between([LEASED, "shared"], |[own, other]| own - other), None);
    }
}
