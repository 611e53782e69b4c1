//! Gateways by their tokens, remembered for as long as no gateway changes.
//!
//! Every poll presents a token, and a thousand polls come back at once when something is committed. A gateway that was
//! read from the database when the count of changes was `n` or later is what it was for as long as the feed says `n`,
//! or it is newer still; so it is read again only when the feed says more. Tokens that are nobody's are never
//! remembered: each costs a look at the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::digest::{DIGEST_BYTES, Digest};

use crate::domain::gateway::Gateway;
use crate::storage::{StorageError, Store};

/// What is remembered.
#[derive(Debug, Default)]
pub struct Gateways(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the feed said before these were read.
    gateway_changes: u64,
    by_token: HashMap<[u8; DIGEST_BYTES], Arc<Gateway>>,
}

impl Gateways {
    /// The gateway with this token, no older than when the feed said `gateway_changes`.
    pub async fn of_token(
        &self,
        store: &Store,
        token: Digest,
        gateway_changes: u64,
    ) -> Result<Option<Arc<Gateway>>, StorageError> {
        if let Some(known) = self.known(token, gateway_changes) {
            return Ok(Some(known));
        }
        let found = store.read().await?.view().gateway_of_token(token).await?.map(Arc::new);
        if let Some(gateway) = &found {
            self.remember(token, gateway_changes, Arc::clone(gateway));
        }
        Ok(found)
    }

    fn known(&self, token: Digest, gateway_changes: u64) -> Option<Arc<Gateway>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.gateway_changes < gateway_changes {
            return None;
        }
        known.by_token.get(token.as_bytes()).cloned()
    }

    fn remember(&self, token: Digest, gateway_changes: u64, gateway: Arc<Gateway>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.gateway_changes < gateway_changes {
            *known = Known { gateway_changes, by_token: HashMap::new() };
        }
        // What was read for an older count is newer than that count, but perhaps not new enough for this one.
        if known.gateway_changes == gateway_changes {
            known.by_token.insert(*token.as_bytes(), gateway);
        }
    }
}
