//! What long polls wait for: the newest revision, and gateways being changed.
//!
//! Whoever commits a write publishes here afterwards, and everyone who waits wakes up. The feed only says that
//! there is something; what it is comes from storage. Both counters only ever grow here, so that two commits
//! which publish in the wrong order do no harm, nor does one that is published twice.
//!
//! It also says since when the database has shown it: whoever is cut off from the database must not vouch for more.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::wire::Revision;
use tokio::sync::watch;
use tokio::time::Instant;

/// What has last been published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The newest revision.
    pub revision: Revision,
    /// How often a gateway was deleted, or given other APIs or another token: whoever sees it grow asks whether
    /// it was theirs.
    pub gateway_changes: u64,
}

/// The publishing end. Clones share one feed.
#[derive(Debug, Clone)]
pub struct Feed {
    news: watch::Sender<News>,
    /// When somebody last began to look at the database and then published what was there.
    looked_at: Arc<Mutex<Instant>>,
}

impl Feed {
    /// A feed that starts with `news`, which the database showed at `looked_at` or later.
    pub fn new(news: News, looked_at: Instant) -> Self {
        Self { news: watch::Sender::new(news), looked_at: Arc::new(Mutex::new(looked_at)) }
    }

    /// Says that this much is committed, as the database showed at `looked_at` or later.
    pub fn publish(&self, latest: News, looked_at: Instant) {
        self.news.send_if_modified(|news| {
            let before = *news;
            news.revision = news.revision.max(latest.revision);
            news.gateway_changes = news.gateway_changes.max(latest.gateway_changes);
            *news != before
        });
        // After the news: whoever reads this first reads news next that are no older.
        let mut last = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(looked_at);
    }

    /// What has last been published, and an instant from which on the database showed it.
    pub fn latest(&self) -> (News, Instant) {
        // In this order: the news that are read second are no older than the look.
        let looked_at = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        (self.news(), looked_at)
    }

    /// What has last been published.
    pub fn news(&self) -> News {
        *self.news.borrow()
    }

    /// The waiting end.
    pub fn subscribe(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn revisions_that_are_published_out_of_order_never_go_back() {
        let news = |revision, gateway_changes| News { revision, gateway_changes };
        let start = Instant::now();
        let feed = Feed::new(news(5, 0), start);
        let mut waiting = feed.subscribe();
        feed.publish(news(7, 0), start);
        assert!(waiting.has_changed().unwrap());
        waiting.mark_unchanged();
        feed.publish(news(6, 0), start);
        assert!(!waiting.has_changed().unwrap());
        feed.publish(news(6, 1), start);
        assert!(waiting.has_changed().unwrap());
        assert_eq!(feed.news(), news(7, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_look_counts_whoever_publishes_last() {
        let news = News { revision: 5, gateway_changes: 0 };
        let start = Instant::now();
        let feed = Feed::new(news, start);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(feed.latest(), (news, start));
        feed.publish(news, Instant::now());
        feed.publish(news, start);
        assert_eq!(feed.latest(), (news, start + Duration::from_secs(3)));
    }
}
