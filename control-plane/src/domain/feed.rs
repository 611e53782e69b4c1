//! What long polls wait for: the newest revision, and gateways being changed.
//!
//! Whoever commits a write publishes here afterwards, and everyone who waits wakes up. The feed only says that
//! there is something; what it is comes from storage. Both counters only ever grow here, so that two commits
//! which publish in the wrong order do no harm, nor does one that is published twice.

use portcullis_core::wire::Revision;
use tokio::sync::watch;

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
pub struct Feed(watch::Sender<News>);

impl Feed {
    /// A feed that starts with `news`.
    pub fn new(news: News) -> Self {
        Self(watch::Sender::new(news))
    }

    /// Says that this much is committed.
    pub fn publish(&self, latest: News) {
        self.0.send_if_modified(|news| {
            let before = *news;
            news.revision = news.revision.max(latest.revision);
            news.gateway_changes = news.gateway_changes.max(latest.gateway_changes);
            *news != before
        });
    }

    /// What has last been published.
    pub fn news(&self) -> News {
        *self.0.borrow()
    }

    /// The waiting end.
    pub fn subscribe(&self) -> watch::Receiver<News> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_that_are_published_out_of_order_never_go_back() {
        let news = |revision, gateway_changes| News { revision, gateway_changes };
        let feed = Feed::new(news(5, 0));
        let mut waiting = feed.subscribe();
        feed.publish(news(7, 0));
        assert!(waiting.has_changed().unwrap());
        waiting.mark_unchanged();
        feed.publish(news(6, 0));
        assert!(!waiting.has_changed().unwrap());
        feed.publish(news(6, 1));
        assert!(waiting.has_changed().unwrap());
        assert_eq!(feed.news(), news(7, 1));
    }
}
