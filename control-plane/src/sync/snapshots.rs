//! Snapshots, rendered once and shared between workers.
//!
//! A thousand workers that start together get one snapshot: the first has it built, the others wait for it. It
//! is served for as long as a delta from it to now is cheap, and let go when nobody has asked for a minute. The
//! one before it is kept as long, so that a worker in the middle of its parts can go on.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::push::answer::Wanted;
use portcullis_core::wire::Cursor;
use tokio::sync::Mutex;

use crate::domain::gateway::Serves;
use crate::domain::timestamp::Timestamp;
use crate::storage::{Snapshot, StorageError, Store};

/// How long an unused snapshot is kept.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// How many snapshots are held for gateways that serve the same: the newest, and the one before it.
const HELD_PER_SCOPE_MAX: usize = 2;
/// How many snapshots are held at all. The one that was not used for longest goes first.
const HELD_MAX: usize = 32;

/// The snapshots that are held, oldest first.
#[derive(Debug)]
pub struct Snapshots {
    store: Store,
    held: Arc<Mutex<Vec<Held>>>,
}

#[derive(Debug, Clone)]
struct Held {
    snapshot: Arc<Snapshot>,
    serves: Serves,
    used_at: Timestamp,
}

impl Snapshots {
    /// None yet.
    pub fn new(store: Store) -> Self {
        Self { store, held: Arc::default() }
    }

    /// A snapshot for gateways that serve this, which will do for the worker that wants it. It is built if there is none.
    pub async fn recent(&self, wanted: Wanted, serves: &Serves) -> Result<Arc<Snapshot>, StorageError> {
        let mut held = Arc::clone(&self.held).lock_owned().await;
        let now = self.store.clock().now();
        let head = self.store.feed().news().revision;
        let newest = held.iter_mut().rfind(|held| held.serves == *serves);
        if let Some(newest) = newest
            && wanted.is_met_by(newest.snapshot.at.revision, head)
        {
            newest.used_at = now;
            return Ok(Arc::clone(&newest.snapshot));
        }
        let (store, serves) = (self.store.clone(), serves.clone());
        // A task of its own, which holds the lock: whoever asked first may go away, the others still get it.
        let built = tokio::spawn(async move {
            let snapshot = Arc::new(store.snapshot(&serves).await?);
            tracing::info!(
                revision = snapshot.at.revision,
                keys = snapshot.keys,
                pages = snapshot.pages.len(),
                "snapshot built"
            );
            make_room(&mut held, &serves);
            held.push(Held { snapshot: Arc::clone(&snapshot), serves, used_at: now });
            Ok(snapshot)
        });
        built.await.unwrap_or(Err(StorageError::Cut))
    }

    /// The snapshot at exactly this point for gateways that serve this, if it is still held.
    pub async fn at(&self, at: Cursor, serves: &Serves) -> Option<Arc<Snapshot>> {
        let mut held = self.held.lock().await;
        let found = held.iter_mut().find(|held| held.snapshot.at == at && held.serves == *serves)?;
        found.used_at = self.store.clock().now();
        Some(Arc::clone(&found.snapshot))
    }

    /// Lets go of what nobody has asked for lately.
    pub async fn release_unused(&self, now: Timestamp) {
        let oldest = now.before(UNUSED_MAX);
        self.held.lock().await.retain(|held| held.used_at >= oldest);
    }

    /// How many snapshots are held.
    #[cfg(test)]
    pub async fn held(&self) -> usize {
        self.held.lock().await.len()
    }
}

/// Lets go of one snapshot, if there would be too many of this scope or at all.
fn make_room(held: &mut Vec<Held>, serves: &Serves) {
    let of_scope = held.iter().filter(|held| held.serves == *serves).count();
    let goes = if of_scope >= HELD_PER_SCOPE_MAX {
        held.iter().position(|held| held.serves == *serves)
    } else if held.len() >= HELD_MAX {
        let longest_unused = held.iter().enumerate().min_by_key(|(_, held)| held.used_at);
        longest_unused.map(|(place, _)| place)
    } else {
        None
    };
    if let Some(place) = goes {
        held.remove(place);
    }
}
