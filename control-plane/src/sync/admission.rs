//! Who may load a snapshot now: a few workers at a time, in the order in which they came.
//!
//! When a thousand Envoys start together, sending to all of them at once would let all of them wait for the last byte.
//! So a worker that needs a snapshot enters here, holds its place until it asks for something else, and whoever
//! comes after waits. A place whose holder has been silent for some seconds is given to the next. Deltas wait for
//! nobody: workers that serve already hear of deletions as fast as ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::id::GatewayId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How many workers load at once.
const PLACES: usize = 64;
/// How long a place is kept for a worker that does not ask for its next part.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long a worker waits for a place before it is told to come again: less than its poll may take.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// The name of a worker, with its gateway.
pub type WorkerName = (GatewayId, String);

/// The places.
#[derive(Debug)]
pub struct Admission {
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<WorkerName, Place>>,
}

#[derive(Debug)]
struct Place {
    heard_at: Instant,
    _permit: OwnedSemaphorePermit,
}

/// No place came free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Too many workers load their key sets now; ask again.")]
pub struct Crowded;

impl Default for Admission {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(PLACES)), taken: Mutex::default() }
    }
}

impl Admission {
    /// Takes a place for a worker, or keeps the one that it has.
    pub async fn enter(&self, worker: &WorkerName) -> Result<(), Crowded> {
        if self.stays(worker) {
            return Ok(());
        }
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            self.clear_silent();
            // Woken now and then to see whether somebody has fallen silent.
            let look = deadline.min(Instant::now() + SILENCE_MAX);
            match tokio::time::timeout_at(look, Arc::clone(&self.free).acquire_owned()).await {
                Ok(Ok(permit)) => {
                    let place = Place { heard_at: Instant::now(), _permit: permit };
                    self.taken().insert(worker.clone(), place);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Crowded),
                Err(_) if Instant::now() >= deadline => return Err(Crowded),
                Err(_) => {}
            }
        }
    }

    /// Keeps the place of a worker that has asked for its next part. False if it has none.
    pub fn stays(&self, worker: &WorkerName) -> bool {
        self.taken().get_mut(worker).is_some_and(|place| {
            place.heard_at = Instant::now();
            true
        })
    }

    /// Gives up the place of a worker that has everything, if it has one.
    pub fn leave(&self, worker: &WorkerName) {
        self.taken().remove(worker);
    }

    fn clear_silent(&self) {
        self.taken().retain(|_, place| place.heard_at.elapsed() < SILENCE_MAX);
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<WorkerName, Place>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(number: usize) -> WorkerName {
        (GatewayId::from_number(1), number.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_taken_given_up_and_taken_from_the_silent() {
        let admission = Admission::default();
        for number in 0..PLACES {
            admission.enter(&worker(number)).await.unwrap();
        }
        // Whoever is in stays in, at once.
        let start = Instant::now();
        admission.enter(&worker(0)).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        let next = worker(PLACES);
        let (entered, ()) = tokio::join!(admission.enter(&next), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            admission.leave(&worker(3));
        });
        assert_eq!((entered, start.elapsed()), (Ok(()), Duration::from_secs(1)));
        // Nobody leaves, and the silent lose their places to whoever waits.
        admission.enter(&worker(PLACES + 1)).await.unwrap();
        assert!(start.elapsed() >= SILENCE_MAX && start.elapsed() < WAIT_MAX);
        assert!(!admission.stays(&worker(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_too_long_is_told_to_come_again() {
        let admission = Arc::new(Admission::default());
        for number in 0..PLACES {
            admission.enter(&worker(number)).await.unwrap();
        }
        let start = Instant::now();
        let kept = Arc::clone(&admission);
        let keeping = tokio::spawn(async move {
            loop {
                (0..PLACES).for_each(|number| assert!(kept.stays(&worker(number))));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(admission.enter(&worker(PLACES)).await, Err(Crowded));
        assert_eq!(start.elapsed(), WAIT_MAX);
        keeping.abort();
    }
}
