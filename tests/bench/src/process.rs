//! What a process has used: processor time and memory, as `/proc` tells it (proc(5)).
//!
//! It panics for a process that is gone: then there is nothing to measure.

use std::fs;
use std::time::Duration;

/// A process.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// The process with this id.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// This process.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// Processor time since its start, in its own code and in the kernel.
    pub fn cpu(self) -> Duration {
        let stat = self.read("stat");
        // The second field is the name in parentheses, which may hold anything; utime and stime are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        time_of(fields.split_whitespace().skip(11).take(2))
    }

    /// The same to the nanosecond, while its threads wait: what a running one has used since its last tick is missing.
    /// Threads that have ended are not counted.
    pub fn cpu_of_threads(self) -> Duration {
        let of_thread = |thread: i32| {
            // It may have ended since it was listed.
            let schedstat = fs::read_to_string(self.path(&format!("task/{thread}/schedstat"))).ok()?;
            Some(schedstat.split_whitespace().next()?.parse::<u64>().expect("a time"))
        };
        Duration::from_nanos(self.threads().into_iter().filter_map(of_thread).sum())
    }

    /// The ids of its threads.
    pub fn threads(self) -> Vec<i32> {
        let threads = fs::read_dir(self.path("task")).expect("its threads");
        let names = threads.map(|thread| thread.expect("a thread").file_name());
        names.map(|name| name.to_str().and_then(|name| name.parse().ok()).expect("an id")).collect()
    }

    /// The name of one of its threads.
    pub fn name_of(self, thread: i32) -> String {
        self.read(&format!("task/{thread}/comm")).trim_end().to_owned()
    }

    /// Its resident memory, in bytes.
    pub fn resident(self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most resident memory that it had since its start or since [`Process::reset_peak`], in bytes.
    pub fn peak(self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Has the peak start from what there is now.
    pub fn reset_peak(self) {
        fs::write(self.path("clear_refs"), "5").expect("the peak is forgotten");
    }

    fn status_bytes(self, field: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of the status");
        let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
        kibibytes * 1024
    }

    fn read(self, file: &str) -> String {
        let path = self.path(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0)
    }
}

/// Processor time that all processes and the kernel have used since the machine started.
pub fn cpu_of_all() -> Duration {
    let stat = fs::read_to_string("/proc/stat").expect("what the machine has done");
    let all = stat.lines().next().expect("a first line");
    // user, nice, system, then idle and iowait, then irq and softirq.
    let fields = all.split_whitespace().skip(1).take(7).enumerate();
    time_of(fields.filter(|(place, _)| ![3, 4].contains(place)).map(|(_, ticks)| ticks))
}

/// The sum of these counts of clock ticks.
fn time_of<'a>(ticks: impl Iterator<Item = &'a str>) -> Duration {
    let ticks = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_this_process_uses_is_seen() {
        let own = Process::own();
        let (cpu, all, resident) = (own.cpu(), cpu_of_all(), own.resident());
        let mut held = Vec::new();
        while own.cpu() < cpu + Duration::from_millis(30) {
            held.push(vec![1_u8; 65_536]);
        }
        assert!(cpu_of_all() > all);
        let now = own.resident();
        assert!(now >= resident, "{} blocks", held.len());
        // Asked in this order, as other tests may take memory in between.
        assert!(own.peak() >= now);
    }

    #[test]
    fn processor_time_of_threads_is_that_of_the_process() {
        let own = Process::own();
        let before = own.cpu_of_threads();
        let used = || own.cpu_of_threads().saturating_sub(before);
        let start = Instant::now();
        while used() < Duration::from_millis(30) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?} were seen", used());
        }
        // Threads of other tests have ended meanwhile, so that it may well be less; and `stat` counts in ticks.
        let threads = own.cpu_of_threads();
        assert!(threads < own.cpu() + Duration::from_millis(20));
    }
}
