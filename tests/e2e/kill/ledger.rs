//! What the clients were told, and what must therefore be true.
//!
//! Each key belongs to one client, which does one thing after another with it. A thing that has been begun and not
//! acknowledged may have been done or not, but not by half and not twice: the ledger allows the state before it and
//! the state after it. The law for all else is equality.

use std::collections::HashMap;

use portcullis_core::digest::Digest;
use portcullis_core::id::KeyId;
use serde_json::Value;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Issue,
    Reissue,
    /// A reissue that lets the old secret work on for longer than the test runs.
    Overlap,
    Delete,
}

/// A key as its client knows it.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: KeyId,
    current: Digest,
    former: Option<Digest>,
    /// Secrets that once were this key's.
    dead: Vec<Digest>,
    deleted: bool,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    /// What was acknowledged last; nothing while its issue was not.
    known: Option<Key>,
    under_way: Option<Change>,
}

/// Every key that was ever asked for, by its name, which is used once.
#[derive(Debug, Clone, Default)]
pub struct Ledger(HashMap<String, Entry>);

/// What the control plane says, in both of its ways.
#[derive(Debug)]
pub struct Observed {
    /// The keys that the admin API lists as not revoked: their ids, by name.
    pub listed: HashMap<String, Vec<KeyId>>,
    /// The live secrets of each key, as filters are told.
    pub live: HashMap<KeyId, Vec<Digest>>,
}

impl Ledger {
    /// Notes that `change` is about to be asked for.
    pub fn begin(&mut self, name: &str, change: Change) {
        let entry = self.0.entry(name.to_owned()).or_default();
        assert_eq!(entry.under_way, None, "one thing after another");
        entry.under_way = Some(change);
    }

    /// Notes that what was under way was answered like this.
    pub fn acknowledge(&mut self, name: &str, answer: &Value) {
        let entry = self.0.get_mut(name).expect("a key that was asked for");
        let change = entry.under_way.take().expect("something under way");
        if change == Change::Delete {
            entry.known.as_mut().expect("an issued key").deleted = true;
            return;
        }
        let current = Digest::of(answer["key"].as_str().expect("a secret").as_bytes());
        match (&mut entry.known, change) {
            (Some(key), Change::Reissue | Change::Overlap) => {
                let before = std::mem::replace(&mut key.current, current);
                key.dead.extend(key.former.take());
                if change == Change::Overlap {
                    key.former = Some(before);
                } else {
                    key.dead.push(before);
                }
            }
            (known @ None, Change::Issue) => {
                let id = answer["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
                *known = Some(Key { id, current, former: None, dead: Vec::new(), deleted: false });
            }
            (known, change) => panic!("{change:?} of {known:?}"),
        }
    }

    /// The key with this name.
    pub fn key(&self, name: &str) -> &Key {
        self.0[name].known.as_ref().expect("a key that was issued")
    }

    /// The names of the keys that were deleted.
    pub fn deleted(&self) -> impl Iterator<Item = &str> {
        let deleted = |entry: &Entry| entry.known.as_ref().is_some_and(|key| key.deleted);
        self.0.iter().filter(move |(_, entry)| deleted(entry)).map(|(name, _)| name.as_str())
    }

    /// How many keys are live, and how many changes are under way.
    pub fn counts(&self) -> (usize, usize) {
        let live = |entry: &&Entry| entry.known.as_ref().is_some_and(|key| !key.deleted);
        let under_way = |entry: &&Entry| entry.under_way.is_some();
        (self.0.values().filter(live).count(), self.0.values().filter(under_way).count())
    }

    /// Checks everything that the control plane says against what was acknowledged.
    pub fn assert_kept(&self, observed: &Observed) {
        for (name, entry) in &self.0 {
            let listed = observed.listed.get(name).map_or(&[][..], Vec::as_slice);
            assert!(listed.len() <= 1, "{name} was issued {} times: {listed:?}", listed.len());
            let id = listed.first().copied();
            let live = |id| observed.live.get(&id).map_or(&[][..], Vec::as_slice);
            match &entry.known {
                None => assert!(id.is_none_or(|id| live(id).len() == 1), "{name}: {:?}", id.map(live)),
                Some(key) => entry.assert_kept(name, key, id, live(key.id)),
            }
        }
        for (name, ids) in &observed.listed {
            assert!(self.0.contains_key(name), "{name} is listed, and nobody asked for it");
            assert!(ids.iter().all(|id| observed.live.contains_key(id)), "{name} is listed, and filters know nothing");
        }
        let listed = observed.listed.values().flatten().collect::<Vec<_>>();
        for id in observed.live.keys() {
            assert!(listed.contains(&id), "filters know {id}, which is not listed");
        }
    }
}

impl Entry {
    fn assert_kept(&self, name: &str, key: &Key, listed: Option<KeyId>, live: &[Digest]) {
        let says = format!("{name}, {:?} under way, {key:?}: listed as {listed:?}, live {live:?}", self.under_way);
        let before = key.secrets();
        let is_before = same(live, &before);
        let is_new = |digest: &Digest| !before.contains(digest) && !key.dead.contains(digest);
        let kept = match self.under_way {
            None if key.deleted => live.is_empty() && listed.is_none(),
            None => is_before && listed == Some(key.id),
            Some(Change::Reissue) => is_before || matches!(live, [new] if is_new(new)),
            Some(Change::Overlap) => {
                let others = live.iter().filter(|digest| **digest != key.current).collect::<Vec<_>>();
                is_before || (live.len() == 2 && matches!(others[..], [new] if is_new(new)))
            }
            Some(Change::Delete) => (is_before && listed == Some(key.id)) || (live.is_empty() && listed.is_none()),
            Some(Change::Issue) => panic!("issued twice: {says}"),
        };
        assert!(kept, "{says}");
        let changes_only_secrets = matches!(self.under_way, Some(Change::Reissue | Change::Overlap));
        assert!(!changes_only_secrets || listed == Some(key.id), "{says}");
    }
}

impl Key {
    /// The secrets that work: one, or two in an overlap.
    fn secrets(&self) -> Vec<Digest> {
        self.former.iter().copied().chain([self.current]).collect()
    }
}

fn same(these: &[Digest], those: &[Digest]) -> bool {
    these.len() == those.len() && these.iter().all(|digest| those.contains(digest))
}
