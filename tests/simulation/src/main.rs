//! `make simulate`: many seeds, or one with its trace.

#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::process::ExitCode;
use std::time::Instant;

use portcullis_simulation::coverage::{Coverage, Thing};
use portcullis_simulation::{run_all, run_shown};

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect::<Vec<u64>>();
    match arguments.as_slice() {
        [seed] => show(*seed),
        [first, count] => run_many(*first, *count),
        _ => {
            println!("usage: portcullis-simulation SEED | FIRST COUNT");
            ExitCode::from(64)
        }
    }
}

fn show(seed: u64) -> ExitCode {
    let run = run_shown(seed);
    run.shown.iter().for_each(|event| println!("{event}"));
    let Some(broken) = run.broken else {
        print_coverage(&run.coverage);
        println!("seed {seed} keeps every law; its hash is {:016x}", run.hash);
        return ExitCode::SUCCESS;
    };
    println!("seed {seed} breaks {:?}: {}", broken.law, broken.how);
    ExitCode::FAILURE
}

fn run_many(first: u64, count: u64) -> ExitCode {
    let start = Instant::now();
    match run_all(first, first + count.saturating_sub(1)) {
        Ok(coverage) => {
            print_coverage(&coverage);
            println!("{count} seeds from {first} keep every law, in {:.1} s", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn print_coverage(coverage: &Coverage) {
    for thing in Thing::ALL {
        println!("{:>12} {}", coverage[thing], thing.text());
    }
}
