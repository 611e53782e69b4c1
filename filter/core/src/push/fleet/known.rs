//! When revisions became known: a short memory of heads.

use std::collections::VecDeque;

use crate::wire::Revision;

/// How many heads are remembered.
const REMEMBERED: usize = 4_096;

/// Heads in the order in which they were noted, each with the instant, by a monotonic clock in microseconds. Both grow.
#[derive(Debug)]
pub(super) struct Known(VecDeque<(Revision, u64)>);

impl Known {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Notes that everything up to `revision` is committed. What is known already stays as it was.
    pub(super) fn note(&mut self, revision: Revision, monotonic_us: u64) {
        if self.0.back().is_some_and(|(newest, _)| *newest >= revision) {
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((revision, monotonic_us));
    }

    /// Since when `revision` has been known to be committed, at the latest: what is older than this memory was so from
    /// the oldest instant in it. `None` if it is not known.
    pub(super) fn since(&self, revision: Revision) -> Option<u64> {
        let place = self.0.partition_point(|(known, _)| *known < revision);
        self.0.get(place).map(|(_, noted_us)| *noted_us)
    }

    /// How long the heads took that a worker has acknowledged by going from `before` to `after`, in microseconds. What it
    /// got with its first snapshot was not pushed to it.
    pub(super) fn acknowledged(
        &self,
        before: Option<Revision>,
        after: Option<Revision>,
        monotonic_us: u64,
    ) -> Vec<u64> {
        let (Some(before), Some(after)) = (before, after) else {
            return Vec::new();
        };
        let start = self.0.partition_point(|(known, _)| *known <= before);
        let heads = self.0.iter().skip(start).take_while(|(known, _)| *known <= after);
        heads.map(|(_, noted_us)| monotonic_us.saturating_sub(*noted_us)).collect()
    }
}
