//! Rounds in tables: medians and least figures, and differences and ratios within a round.

use serde_json::{Value, json};

use super::Settings;
use super::apis::ANSWER_KIB;
use super::measured::{Measured, Round, Rounds, median};
use super::variant::Variant;
use super::variants::{DIFFERENCES, READING};
use crate::report::{Section, to_f64};

/// The table of all variants.
pub fn costs(settings: &Settings, measured: &Measured) -> Section {
    let title = format!(
        "Requests: CPU time for each, {} connections, {} rounds of {} ms, interleaved; times at {} requests a second",
        settings.connections,
        settings.rounds,
        settings.duration.as_millis(),
        settings.rate
    );
    let columns = [
        "variant",
        "workers",
        "Envoy, µs",
        "service, µs",
        "both, µs: median",
        "least",
        "over bare Envoy, µs",
        "ratio to it",
        "what the limit costs, µs",
        "requests in a second",
        "p50, µs",
        "p99, µs",
        "memory of Envoy, MiB",
    ];
    let mut section = Section::with_columns("requests", title, columns);
    for own in &measured.0 {
        let variant = own.variant;
        let unlimited = variant.unlimited.and_then(|key| measured.of(key, variant.workers));
        let figures = Figures::of(own, measured.bare(variant.workers), unlimited);
        section.cells(&format!("{}/{}", variant.key, variant.workers), figures.cells(variant), figures.json());
    }
    section
}

/// What single things cost, as far as the variants were measured that tell.
pub fn usage(measured: &Measured) -> Section {
    let mut section = Section::new("usage", "Parts: what counting and telling the upstream cost");
    let difference = |with, without| measured.between([with, without], |[with, without]| with - without);
    for (what, with, without) in DIFFERENCES {
        if let Some(us) = difference(with, without) {
            section.row(without, what, format!("{us:+.2} µs"), json!(us));
        }
    }
    for (what, read, unread) in READING {
        if let Some(us) = difference(read, unread) {
            let per_kib = us / to_f64(ANSWER_KIB as u64);
            let text = format!("{per_kib:+.2} µs per KiB, {us:+.1} µs for {ANSWER_KIB} KiB");
            section.row(read, format!("reading the tokens of {what}"), text, json!({"us": us, "us_per_kib": per_kib}));
        }
    }
    section
}

/// The figures of one variant, in microseconds but for the ratio, the rate and the memory.
#[derive(Debug)]
struct Figures {
    envoy: f64,
    service: f64,
    median: f64,
    least: f64,
    over_bare: f64,
    ratio: f64,
    limit: Option<f64>,
    per_second: f64,
    p50: f64,
    p99: f64,
    resident_bytes: u64,
}

impl Figures {
    fn of(own: &Rounds, bare: Option<&[Round]>, unlimited: Option<&[Round]>) -> Self {
        let each = |figure: fn(&Round) -> f64| median(own.rounds.iter().map(figure));
        let paired = |with: Option<&[Round]>, figure: fn(f64, f64) -> f64| {
            let pairs = own.rounds.iter().zip(with.into_iter().flatten());
            median(pairs.map(|(own, other)| figure(own.cost_us(), other.cost_us())))
        };
        Self {
            envoy: each(|round| round.envoy_us),
            service: each(|round| round.service_us),
            median: each(Round::cost_us),
            least: own.rounds.iter().map(Round::cost_us).fold(f64::INFINITY, f64::min),
            over_bare: paired(bare, |own, bare| own - bare),
            ratio: paired(bare, |own, bare| own / bare),
            limit: unlimited.map(|unlimited| paired(Some(unlimited), |own, unlimited| own - unlimited)),
            per_second: each(|round| round.per_second),
            p50: each(|round| round.p50_us),
            p99: each(|round| round.p99_us),
            resident_bytes: own.resident_bytes,
        }
    }

    fn cells(&self, variant: &Variant) -> [String; 13] {
        [
            variant.label.to_owned(),
            variant.workers.to_string(),
            format!("{:.2}", self.envoy),
            variant.chain.service.map_or_else(String::new, |_| format!("{:.2}", self.service)),
            format!("{:.2}", self.median),
            format!("{:.2}", self.least),
            format!("{:+.2}", self.over_bare),
            format!("{:.3}", self.ratio),
            self.limit.map_or_else(String::new, |limit| format!("{limit:+.2}")),
            format!("{:.0}", self.per_second),
            format!("{:.0}", self.p50),
            format!("{:.0}", self.p99),
            format!("{:.0}", to_f64(self.resident_bytes) / f64::from(1 << 20)),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "envoy_cpu_us_median": self.envoy, "service_cpu_us_median": self.service,
            "cpu_us_median": self.median, "cpu_us_min": self.least, "over_bare_us": self.over_bare,
            "ratio_to_bare": self.ratio, "limit_us": self.limit, "requests_per_second": self.per_second,
            "paced_p50_us": self.p50, "paced_p99_us": self.p99, "envoy_resident_bytes": self.resident_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::measured::tests::measured;
    use crate::requests::variants::{BASE, LEASED, UNLIMITED};

    #[test]
    fn differences_are_those_within_a_round() {
        let mut measured = measured(&[(LEASED, &[29.0, 14.0, 53.0]), (BASE, &[25.0, 10.0, 50.0]), (UNLIMITED, &[7.0])]);
        measured.0[0].rounds.iter_mut().for_each(|round| round.service_us = 1.0);
        let figures = Figures::of(&measured.0[0], measured.bare(1), None);
        assert_eq!((figures.envoy, figures.median, figures.least), (29.0, 30.0, 15.0));
        assert_eq!((figures.over_bare, figures.ratio, figures.limit), (5.0, 1.2, None));
        assert_eq!(Figures::of(&measured.0[0], measured.bare(1), measured.of(UNLIMITED, 1)).limit, Some(23.0));
    }
}
