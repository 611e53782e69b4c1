//! Many times in a few figures.

use std::time::Duration;

use serde_json::{Value, json};

/// Times, in their order.
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

    /// The time that this share of all times, in thousandths, does not exceed (nearest rank). Zero if there is none.
    fn quantile(&self, thousandths: usize) -> Duration {
        let rank = (self.0.len() * thousandths).div_ceil(1000).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// For people.
    pub fn text(&self) -> String {
        let [min, p50, p99, max] =
            self.figures().map(|ms| if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") });
        format!("min {min}, p50 {p50}, p99 {p99}, max {max} ms")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let [min, p50, p99, max] = self.figures();
        json!({"count": self.count(), "min_ms": min, "p50_ms": p50, "p99_ms": p99, "max_ms": max})
    }

    fn figures(&self) -> [f64; 4] {
        [0, 500, 990, 1000].map(|thousandths| self.quantile(thousandths).as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_least_time_that_so_many_do_not_exceed() {
        let of = |count| Distribution::of((1..=count).rev().map(Duration::from_millis));
        assert_eq!(of(1000).quantile(990), Duration::from_millis(990));
        assert_eq!(of(100).quantile(500), Duration::from_millis(50));
        assert_eq!(of(3).quantile(500), Duration::from_millis(2));
        assert_eq!(of(3).quantile(0), Duration::from_millis(1));
        assert_eq!(of(1).quantile(1000), Duration::from_millis(1));
        assert_eq!(of(0).quantile(1000), Duration::ZERO);
    }
}
