//! The workers that have been in touch lately, gateway by gateway.
//!
//! Each poll of a worker tells what it has applied, and that is remembered here for ten minutes. The list lives
//! in memory and is bounded: when it is full, the worker that was silent longest makes room.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::id::GatewayId;
use portcullis_core::wire::Cursor;

use super::timestamp::Timestamp;

/// How long a silent worker is remembered.
pub const MEMORY: Duration = Duration::from_secs(10 * 60);
/// The most workers that are remembered.
const WORKERS_MAX: usize = 10_000;

/// A worker, as it last described itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The name that it drew at its start.
    pub id: String,
    /// The node id of its Envoy, if it said one.
    pub node: Option<String>,
    /// When its last poll came.
    pub last_seen_at: Timestamp,
    /// What it has applied; `None` before its first snapshot is in.
    pub applied: Option<Cursor>,
    /// The size of its memory, if it said so.
    pub memory_bytes: Option<u64>,
}

/// What a poll changed in what is known of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// It had not been seen before, or not for ten minutes.
    New,
    /// It has applied its first snapshot.
    Loaded,
    /// Nothing that is worth a line.
    Known,
}

/// All workers. Clones are not needed: it is shared by reference.
#[derive(Debug, Default)]
pub struct Fleet(Mutex<HashMap<(GatewayId, String), Worker>>);

impl Fleet {
    /// Records a poll of a worker of `gateway`. Once a worker has applied something it stays so, whatever it
    /// asks for next, until it is forgotten.
    pub fn saw(&self, gateway: GatewayId, worker: Worker) -> Sighting {
        let mut workers = self.workers();
        let place = (gateway, worker.id.clone());
        if let Some(known) = workers.get_mut(&place) {
            let loaded = known.applied.is_none() && worker.applied.is_some();
            let applied = worker.applied.or(known.applied);
            *known = Worker { applied, ..worker };
            return if loaded { Sighting::Loaded } else { Sighting::Known };
        }
        if workers.len() >= WORKERS_MAX {
            let silent_longest = workers.iter().min_by_key(|(_, worker)| worker.last_seen_at);
            if let Some(place) = silent_longest.map(|(place, _)| place.clone()) {
                workers.remove(&place);
            }
        }
        workers.insert(place, worker);
        Sighting::New
    }

    /// The workers of `gateway` that have been seen in the ten minutes before `now`, in the order of their ids.
    pub fn of(&self, gateway: GatewayId, now: Timestamp) -> Vec<Worker> {
        let oldest = now.before(MEMORY);
        let mut of_gateway = self
            .workers()
            .iter()
            .filter(|((owner, _), worker)| *owner == gateway && worker.last_seen_at >= oldest)
            .map(|(_, worker)| worker.clone())
            .collect::<Vec<_>>();
        of_gateway.sort_by(|a, b| a.id.cmp(&b.id));
        of_gateway
    }

    /// Forgets everyone who has been silent for ten minutes.
    pub fn forget_silent(&self, now: Timestamp) {
        let oldest = now.before(MEMORY);
        self.workers().retain(|_, worker| worker.last_seen_at >= oldest);
    }

    /// Forgets the workers of a gateway that is no more.
    pub fn forget_gateway(&self, gateway: GatewayId) {
        self.workers().retain(|(owner, _), _| *owner != gateway);
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<(GatewayId, String), Worker>> {
        // Nothing panics while it holds the lock, and a list of sightings is never half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::wire::Epoch;

    fn worker(id: &str, at_ms: u64, revision: Option<u64>) -> Worker {
        Worker {
            id: id.to_owned(),
            node: None,
            last_seen_at: Timestamp::from_unix_ms(at_ms),
            applied: revision.map(|revision| Cursor { epoch: Epoch::from_number(1), revision }),
            memory_bytes: None,
        }
    }

    #[test]
    fn a_worker_appears_loads_and_is_forgotten_after_ten_minutes() {
        let (fleet, gateway) = (Fleet::default(), GatewayId::from_number(1));
        assert_eq!(fleet.saw(gateway, worker("a", 1, None)), Sighting::New);
        assert_eq!(fleet.saw(gateway, worker("a", 2, Some(7))), Sighting::Loaded);
        assert_eq!(fleet.saw(gateway, worker("a", 3, None)), Sighting::Known);
        let now = Timestamp::from_unix_ms(600_003);
        assert_eq!(fleet.of(gateway, now), [worker("a", 3, Some(7))]);
        assert!(fleet.of(GatewayId::from_number(2), now).is_empty());
        assert!(fleet.of(gateway, Timestamp::from_unix_ms(600_004)).is_empty());
        fleet.forget_silent(Timestamp::from_unix_ms(600_004));
        assert_eq!(fleet.saw(gateway, worker("a", 700_000, None)), Sighting::New);
    }

    #[test]
    fn the_list_is_bounded_and_the_longest_silent_goes_first() {
        let (fleet, gateway) = (Fleet::default(), GatewayId::from_number(1));
        for number in 0..=WORKERS_MAX {
            fleet.saw(gateway, worker(&format!("{number:05}"), number as u64, None));
        }
        let known = fleet.of(gateway, Timestamp::from_unix_ms(1));
        assert_eq!(known.len(), WORKERS_MAX);
        assert_eq!(known[0].id, "00001");
    }
}
