//! Many times in a few figures, for people and for programs.

use portcullis_tests::measure::Distribution;
use serde_json::{Value, json};

/// For people.
pub fn text(times: &Distribution) -> String {
    let words = figures(times).map(|ms| if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") });
    let [min, p50, p99, max] = words;
    format!("min {min}, p50 {p50}, p99 {p99}, max {max} ms")
}

/// For programs.
pub fn json(times: &Distribution) -> Value {
    let [min, p50, p99, max] = figures(times);
    json!({"count": times.count(), "min_ms": min, "p50_ms": p50, "p99_ms": p99, "max_ms": max})
}

fn figures(times: &Distribution) -> [f64; 4] {
    [0, 500, 990, 1000].map(|thousandths| times.quantile_ms(thousandths))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_quantile_is_the_least_time_that_so_many_do_not_exceed() {
        let of = |count| Distribution::of((1..=count).rev().map(Duration::from_millis));
        assert_eq!(text(&of(1000)), "min 1.0, p50 500, p99 990, max 1000 ms");
        assert_eq!(text(&of(100)), "min 1.0, p50 50.0, p99 99.0, max 100 ms");
        assert_eq!(text(&of(3)), "min 1.0, p50 2.0, p99 3.0, max 3.0 ms");
        assert_eq!(text(&of(1)), "min 1.0, p50 1.0, p99 1.0, max 1.0 ms");
        assert_eq!(json(&of(0)), json!({"count": 0, "min_ms": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}));
    }
}
