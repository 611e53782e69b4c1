//! Advice on keys: which of them could do with less, and what to do about it.
//!
//! Keys that nobody uses are to be deleted, none is to live for ever, and none is to open more than it is used for. What
//! a key was used for are the APIs that it has called; requests that were refused do not count.

use std::time::Duration;

use portcullis_core::id::ApiId;

use super::key::Key;
use super::period::Period;
use super::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// By how much it is advised to let a key live on.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why there is advice on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has not been used for long.
    Unused,
    /// It is about to end.
    Expiring,
    /// It never ends.
    NeverExpires,
    /// It names APIs that it is not used for.
    UnusedScopes,
    /// It opens every API of its kind, and is not used for all of them.
    Unscoped,
}

/// What would be better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// To delete it.
    Delete,
    /// To let it end then.
    EndAt(Timestamp),
    /// To confine it to these APIs.
    Confine(Vec<ApiId>),
}

/// A piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Why.
    pub reason: Reason,
    /// The same in a sentence about this key.
    pub detail: String,
    /// What to do.
    pub mend: Mend,
}

/// What counts as long, and what as soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When it is.
    pub now: Timestamp,
    /// For how many days nobody has used what is unused.
    pub unused_days: u32,
    /// In how many days what ends soon has ended.
    pub expiring_days: u32,
}

impl Terms {
    /// Since when what a key has called counts: the beginning of a day, as calls are counted by the day.
    pub fn used_since(&self) -> Timestamp {
        Period::Day.floor(self.unused_before())
    }

    fn unused_before(&self) -> Timestamp {
        self.now.before(DAY * self.unused_days)
    }

    /// All advice on an active key which has called the APIs `called` of late, and of which there are the APIs `open` of
    /// its kind and organization. Both are sorted.
    pub fn advise(&self, key: &Key, called: &[ApiId], open: &[ApiId]) -> Vec<Advice> {
        let advice = [self.on_disuse(key), self.on_end(key), self.on_scopes(key, called, open)];
        advice.into_iter().flatten().collect()
    }

    fn on_disuse(&self, key: &Key) -> Option<Advice> {
        let before = self.unused_before();
        let is_unused = key.issued_at < before && key.last_used_at.is_none_or(|last| last < before);
        is_unused.then(|| Advice {
            reason: Reason::Unused,
            detail: match key.last_used_at {
                Some(last) => format!("It was last used at {last}."),
                None => format!("It has never been used since it was issued at {}.", key.issued_at),
            },
            mend: Mend::Delete,
        })
    }

    fn on_end(&self, key: &Key) -> Option<Advice> {
        match key.expires_at {
            None => Some(Advice {
                reason: Reason::NeverExpires,
                detail: "It never ends.".to_owned(),
                mend: Mend::EndAt(whole_second(self.now.after(YEAR))),
            }),
            Some(end) if end <= self.now.after(DAY * self.expiring_days) => Some(Advice {
                reason: Reason::Expiring,
                detail: format!("It ends at {end}."),
                mend: Mend::EndAt(whole_second(end.after(YEAR))),
            }),
            Some(_) => None,
        }
    }

    fn on_scopes(&self, key: &Key, called: &[ApiId], open: &[ApiId]) -> Option<Advice> {
        let days = self.unused_days;
        let opens = |api: &ApiId| key.apis.as_ref().is_none_or(|scopes| scopes.contains(api));
        let used: Vec<ApiId> = called.iter().filter(|api| open.contains(api) && opens(api)).copied().collect();
        let (reason, count, which) = match &key.apis {
            Some(scopes) => (Reason::UnusedScopes, scopes.len(), "It is confined to"),
            None => (Reason::Unscoped, open.len(), "It opens all"),
        };
        let has_too_many = !used.is_empty() && used.len() < count;
        let detail = format!("{which} {count} APIs, and has called {} of them in {days} days.", used.len());
        has_too_many.then_some(Advice { reason, detail, mend: Mend::Confine(used) })
    }
}

/// Keys end at whole seconds.
fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_unix_ms(instant.unix_ms() - instant.unix_ms() % 1_000)
}
