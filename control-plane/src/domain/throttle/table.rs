//! The failures of many, in bounded memory.
//!
//! Of each it is known when all will be forgiven, which is their number and their age in one, and until when nothing
//! is let through. When the table is full, the one to be forgiven first makes room. So whoever floods it with names
//! displaces others that failed once, not the one that has been guessed at for an hour.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::{Counted, LOCK_MAX, Policy};
use crate::domain::timestamp::Timestamp;

/// The failures of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    forgiven_at_ms: u64,
    locked_until_ms: u64,
}

/// The failures of all.
#[derive(Debug)]
pub struct Table<K> {
    policy: Policy,
    entries_max: usize,
    entries: HashMap<K, State>,
}

impl<K: Copy + Eq + Hash> Table<K> {
    /// An empty table for at most so many, and for one at least.
    pub fn new(policy: Policy, entries_max: usize) -> Self {
        Self { policy, entries_max: entries_max.max(1), entries: HashMap::new() }
    }

    /// How long `key` has to wait at `now`; zero if it has not.
    pub fn wait(&self, key: &K, now: Timestamp) -> Duration {
        let locked_until_ms = self.entries.get(key).map_or(0, |state| state.locked_until_ms);
        let wait = Duration::from_millis(locked_until_ms.saturating_sub(now.unix_ms()));
        // No lock was ever longer: the clock has been set back since.
        if wait > LOCK_MAX { Duration::ZERO } else { wait }
    }

    /// Counts a failure of `key`.
    pub fn fail(&mut self, key: K, now: Timestamp) -> Counted {
        let before = self.entries.get(&key).copied();
        if before.is_none() {
            self.make_room(now);
        }
        let after = self.policy.after_failure(before, now);
        self.entries.insert(key, after);
        Counted { before, after }
    }

    /// Undoes a failure.
    pub fn take_back(&mut self, key: K, counted: Counted) {
        let Some(state) = self.entries.get_mut(&key) else { return };
        if *state != counted.after {
            // Others have failed since, and their lock stays.
            state.forgiven_at_ms = state.forgiven_at_ms.saturating_sub(ms(self.policy.forgiven_every));
            return;
        }
        match counted.before {
            Some(before) => *state = before,
            None => self.clear(&key),
        }
    }

    /// Forgets the failures of `key`.
    pub fn clear(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.entries.len() < self.entries_max {
            return;
        }
        self.entries.retain(|_, state| state.forgiven_at_ms.max(state.locked_until_ms) > now.unix_ms());
        if self.entries.len() < self.entries_max {
            return;
        }
        let first = self.entries.iter().min_by_key(|(_, state)| state.forgiven_at_ms).map(|(key, _)| *key);
        if let Some(first) = first {
            self.clear(&first);
        }
    }
}

impl Policy {
    /// The state that a failure at `now` leads to.
    fn after_failure(self, before: Option<State>, now: Timestamp) -> State {
        let (now_ms, every_ms) = (now.unix_ms(), ms(self.forgiven_every));
        let debt_ms = before.map_or(0, |state| state.forgiven_at_ms.saturating_sub(now_ms));
        let debt_ms = debt_ms.saturating_add(every_ms).min(every_ms * u64::from(self.failures_max()));
        let failures = u32::try_from(debt_ms.div_ceil(every_ms)).unwrap_or(u32::MAX);
        State { forgiven_at_ms: now_ms + debt_ms, locked_until_ms: now_ms + ms(self.lock(failures)) }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
