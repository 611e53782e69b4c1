//! The process that started the runner, which is make: when it stops, so does the runner.
//!
//! Whoever starts `make run` from a program sends signals to make alone. SIGTERM make passes on. SIGINT it takes for a
//! Ctrl-C, of which everyone in the terminal has got one, so it only waits: inside its signal handler, with SIGINT
//! blocked, which Linux shows in `/proc`. And make may be killed. All this is looked at several times a second. Where
//! there is no `/proc`, only make's end is noticed.

use std::fs;
use std::time::Duration;

use crate::guard;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// SIGINT in the signal masks of `/proc/PID/status`: signal 2 is the second bit.
const INTERRUPT_BIT: u64 = 1 << 1;

/// The parent process as it was at the start. `None` if it is outside this process namespace.
#[derive(Clone, Copy, Debug)]
pub struct Parent(Option<u32>);

impl Parent {
    /// The parent at this moment.
    pub fn now() -> Self {
        Self(guard::parent_id())
    }

    /// Waits until it has ended or has been interrupted.
    pub async fn stops(self) {
        while guard::parent_id() == self.0 && !self.0.is_some_and(is_interrupted) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether a process is inside its handler of SIGINT, as far as the system tells.
fn is_interrupted(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    blocked_signals(&status).is_some_and(|blocked| blocked & INTERRUPT_BIT != 0)
}

fn blocked_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_blocked_signals_is_read_as_linux_writes_it() {
        let status = "Name:\tmake\nSigPnd:\t0000000000000000\nSigBlk:\t0000000000010002\nSigIgn:\t0000000000000006\n";
        assert_eq!(blocked_signals(status), Some(0x10002));
        assert_eq!(blocked_signals("Name:\tmake\n"), None);
    }
}
