//! The laws have teeth: each of many bugs, planted one at a time into a copy of the sources, breaks one of them.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use table::{BUGS, Bug};

/// The seeds that are tried until a bug is found. Where no bug is planted, so many must keep every law.
const SEEDS: u64 = 6_000;
const SEEDS_UNTOUCHED: u64 = 500;
/// What is copied: the folders, and the files beside them that a workspace has.
const FOLDERS: [&str; 2] = ["filter/core", "tests/simulation"];
const MEMBERS: &str = "members = [\"filter/core\", \"tests/simulation\"]";
/// Fast to build rather than fast to run.
const PROFILE: &str = "
[profile.planted]
inherits = \"dev\"
opt-level = 1
debug = false
incremental = true
codegen-units = 16
";

/// A copy of the sources, and a folder to build them in.
struct Copy {
    sources: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let folder = target.join("planted");
        let copy = Self { sources: folder.join("sources"), target: folder.join("target") };
        drop(fs::remove_dir_all(&copy.sources));
        for part in FOLDERS {
            copy_folder(&root.join(part), &copy.sources.join(part));
        }
        fs::copy(root.join("Cargo.lock"), copy.sources.join("Cargo.lock")).unwrap();
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let is_members = |line: &&str| line.starts_with("members = ");
        assert_eq!(manifest.lines().filter(is_members).count(), 1);
        let lines = manifest.lines().map(|line| if is_members(&line) { MEMBERS } else { line });
        fs::write(copy.sources.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n") + PROFILE).unwrap();
        copy
    }

    /// Builds the simulation and sets the program aside under a name.
    fn build(&self, name: &str) -> PathBuf {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--offline", "--quiet", "--profile", "planted", "-p", "portcullis-simulation", "--bins"]);
        let output = build.current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target).output().unwrap();
        assert!(output.status.success(), "{name} does not build: {}", String::from_utf8_lossy(&output.stderr));
        let program = self.target.join(name);
        fs::copy(self.target.join("planted/portcullis-simulation"), &program).unwrap();
        program
    }

    /// Builds the simulation with a bug in it. The sources are whole again afterwards.
    fn build_with(&self, name: &str, bug: &Bug) -> PathBuf {
        let path = self.sources.join(bug.file);
        let whole = fs::read_to_string(&path).unwrap();
        assert_eq!(whole.matches(bug.old).count(), 1, "{:?} must stand once in {}", bug.old, bug.file);
        fs::write(&path, whole.replace(bug.old, bug.new)).unwrap();
        let program = self.build(name);
        fs::write(&path, whole).unwrap();
        program
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

fn start(program: &Path, seeds: u64) -> Child {
    let mut run = Command::new(program);
    run.args(["0", &seeds.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The seed that broke a law and the law, if one did.
fn found(output: &Output) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (seed, rest) = text.lines().find_map(|line| line.strip_prefix("seed ")?.split_once(" breaks "))?;
    let law = rest.split(':').next().unwrap_or_default();
    Some((seed.to_owned(), law.to_owned()))
}

/// While the simulation of one bug runs, the next is built.
#[test]
fn every_planted_bug_is_found_and_without_one_there_is_nothing_to_find() {
    let begin = Instant::now();
    let copy = Copy::make();
    let untouched = start(&copy.build("untouched"), SEEDS_UNTOUCHED);
    let mut running = Vec::new();
    let mut missed = Vec::new();
    for (number, bug) in BUGS.iter().enumerate() {
        let program = copy.build_with(&format!("bug-{number}"), bug);
        running.push((bug, start(&program, SEEDS)));
        if running.len() > 1 {
            report(running.remove(0), &mut missed);
        }
    }
    running.into_iter().for_each(|last| report(last, &mut missed));
    let output = untouched.wait_with_output().unwrap();
    assert!(output.status.success(), "without a bug: {}", String::from_utf8_lossy(&output.stdout));
    println!("{} planted bugs in {:.0} s", BUGS.len(), begin.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

fn report((bug, child): (&'static Bug, Child), missed: &mut Vec<&'static str>) {
    let output = child.wait_with_output().unwrap();
    match found(&output) {
        Some((seed, law)) => println!("{:>6} {law:24} {}", seed, bug.name),
        None => {
            println!("{:>6} {:24} {}", "-", "NOT FOUND", bug.name);
            missed.push(bug.name);
        }
    }
}
