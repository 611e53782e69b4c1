//! Many seeds keep every law, and between them come to everything that a run can come to.

use std::time::Instant;

use portcullis_simulation::coverage::Thing;
use portcullis_simulation::{run, run_all, run_shown};

/// Without optimization a seed takes twenty times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 300 } else { 10_000 };

#[test]
fn every_seed_keeps_every_law_and_together_they_come_to_everything() {
    let start = Instant::now();
    let coverage = run_all(0, SEEDS - 1).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{SEEDS} seeds keep every law, in {:.1} s", start.elapsed().as_secs_f64());
    for thing in Thing::ALL {
        println!("{:>12} {}", coverage[thing], thing.text());
    }
    let missing = coverage.missing();
    assert!(missing.is_empty() || cfg!(debug_assertions), "never happened: {missing:?}");
}

#[test]
fn a_seed_is_all_that_a_run_depends_on() {
    let mut hashes = Vec::new();
    for seed in 0..100 {
        let (once, again) = (run(seed), run_shown(seed));
        assert_eq!(once.hash, again.hash, "seed {seed}");
        hashes.push(once.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 100, "no two runs are the same");
}
