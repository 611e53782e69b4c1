//! What long polls wait for: the newest revision, and gateways being closed.
//!
//! Whoever commits a write publishes here afterwards, and everyone who waits wakes up. The feed only says that
//! there is something; what it is comes from storage. Revisions only ever grow here, so that two commits which
//! publish in the wrong order do no harm.

use portcullis_core::wire::Revision;
use tokio::sync::watch;

/// What has last been published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The newest revision.
    pub revision: Revision,
    /// How many gateways have been closed since the start: whoever sees it grow asks whether it was theirs.
    pub closings: u64,
}

/// The publishing end. Clones share one feed.
#[derive(Debug, Clone)]
pub struct Feed(watch::Sender<News>);

impl Feed {
    /// A feed that starts at `revision`.
    pub fn new(revision: Revision) -> Self {
        Self(watch::Sender::new(News { revision, closings: 0 }))
    }

    /// Says that `revision` is committed.
    pub fn publish(&self, revision: Revision) {
        self.0.send_if_modified(|news| {
            let newer = revision > news.revision;
            news.revision = news.revision.max(revision);
            newer
        });
    }

    /// Says that a gateway is no more.
    pub fn publish_closing(&self) {
        self.0.send_modify(|news| news.closings = news.closings.wrapping_add(1));
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
        let feed = Feed::new(5);
        let mut waiting = feed.subscribe();
        feed.publish(7);
        assert!(waiting.has_changed().unwrap());
        waiting.mark_unchanged();
        feed.publish(6);
        assert!(!waiting.has_changed().unwrap());
        assert_eq!(feed.news().revision, 7);
    }
}
