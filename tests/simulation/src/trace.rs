//! What happened in a run: a hash of all of it, and if it is to be shown, the last of it in words.

use std::collections::VecDeque;

use crate::clock::Instant;

/// How many events are kept in words.
const SHOWN: usize = 400;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    shown: Option<VecDeque<String>>,
}

impl Trace {
    /// An empty trace, which keeps words if they are to be shown.
    pub fn new(is_shown: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, shown: is_shown.then(VecDeque::new) }
    }

    /// Notes an event: `what` has a `{}` for each of `numbers`.
    pub fn note(&mut self, now: Instant, what: &str, numbers: &[u64]) {
        // FNV-1a, eight bytes at a time.
        let mut mix =
            |number: u64| self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        mix(now);
        what.bytes().for_each(|byte| mix(byte.into()));
        numbers.iter().copied().for_each(mix);
        if let Some(shown) = &mut self.shown {
            if shown.len() >= SHOWN {
                shown.pop_front();
            }
            let text = numbers.iter().fold(what.to_owned(), |text, number| text.replacen("{}", &number.to_string(), 1));
            shown.push_back(format!("{:>13.6} s  {text}", now as f64 / 1e6));
        }
    }

    /// The hash of everything that was noted.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last events, in words.
    pub fn shown(self) -> Vec<String> {
        self.shown.into_iter().flatten().collect()
    }
}
