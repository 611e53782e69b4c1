//! Deltas, gathered once for all workers that ask from the same revision and whose gateways serve the same.
//!
//! When something is committed every waiting worker asks for the same delta at the same moment. The first one's
//! question goes to the database, the others share its answer.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::wire::Revision;
use tokio::sync::OnceCell;

use crate::domain::gateway::Serves;
use crate::storage::{Delta, StorageError, Store};

/// How many recent questions are remembered with their answers, of at most a page each.
const REMEMBERED: usize = 32;

/// Recent questions and their answers.
#[derive(Debug, Default)]
pub struct Deltas(Mutex<Vec<Asked>>);

#[derive(Debug, Clone)]
struct Asked {
    from: Revision,
    /// The newest revision when it was asked, and so the last that the answer covers.
    head: Revision,
    serves: Serves,
    answer: Arc<OnceCell<Delta>>,
}

impl Deltas {
    /// What changed after `from` up to `head`, for gateways that serve this.
    pub async fn after(
        &self,
        store: &Store,
        from: Revision,
        head: Revision,
        serves: &Serves,
    ) -> Result<Delta, StorageError> {
        let answer = self.place_of(from, head, serves);
        // Whoever goes away while it asks leaves the question to the next one.
        answer.get_or_try_init(|| store.delta(from, head, serves)).await.cloned()
    }

    fn place_of(&self, from: Revision, head: Revision, serves: &Serves) -> Arc<OnceCell<Delta>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = asked.iter().find(|asked| (asked.from, asked.head, &asked.serves) == (from, head, serves)) {
            return Arc::clone(&same.answer);
        }
        if asked.len() >= REMEMBERED {
            asked.remove(0);
        }
        let answer = Arc::default();
        asked.push(Asked { from, head, serves: serves.clone(), answer: Arc::clone(&answer) });
        answer
    }
}
