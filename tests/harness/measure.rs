//! Times in words.

use std::time::Duration;

/// The median and the maximum, in milliseconds.
pub fn summary(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let (median, maximum) = (ms(times.get(times.len() / 2)), ms(times.last()));
    format!("median {median:.1} ms, maximum {maximum:.1} ms")
}
