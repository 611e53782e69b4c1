//! Times in words, and settings of long runs.

use std::time::Duration;

/// The median and the maximum, in milliseconds.
pub fn summary(times: &[Duration]) -> String {
    let of = Distribution::of(times.iter().copied());
    format!("median {:.1} ms, maximum {:.1} ms", of.quantile_ms(500), of.quantile_ms(1000))
}

/// The median, the time that 99 % do not exceed, and the maximum, in milliseconds.
pub fn quantiles(times: &[Duration]) -> String {
    let of = Distribution::of(times.iter().copied());
    let [p50, p99, max] = [500, 990, 1000].map(|thousandths| of.quantile_ms(thousandths));
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms, maximum {max:.1} ms")
}

/// The number in a variable of the environment, if it is set.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Many times, in their order.
#[derive(Debug, Clone, Default)]
pub struct Distribution(Vec<Duration>);

impl Distribution {
    /// The distribution of these times.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times = times.into_iter().collect::<Vec<_>>();
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of all times, in thousandths, does not exceed (nearest rank), in milliseconds. Zero if
    /// there is none.
    pub fn quantile_ms(&self, thousandths: usize) -> f64 {
        let rank = (self.0.len() * thousandths).div_ceil(1000).max(1);
        self.0.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}
