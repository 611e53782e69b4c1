//! The key table of a worker: digest to key, 32 bytes a key, without slack.
//!
//! Digests are uniform, so no hash function is needed: the leading bits of a digest choose a shard, and within
//! the shard, which is sorted, the following bits say where the digest should stand. From that guess the table
//! walks to the exact place (interpolation search, Peterson 1957). A shard holds about a hundred keys, so the
//! walk is some five steps of 16 bytes: one or two cache lines. Being sorted arrays, shards need no empty slots.
//!
//! An insertion moves the rest of one shard, a few kilobytes at most. A shard that is being filled grows by
//! doubling, and is cut to its exact size as soon as another one is touched: a key set that arrives in the order
//! of digests, as snapshots do, is packed as it arrives. When shards get long, their number is doubled.
//!
//! The table compares 128 bits of the digest. Two of a million keys agree in them with a probability of about
//! 10⁻²⁷; the last comparison takes the same time wherever two digests differ.

use subtle::ConstantTimeEq;

use crate::digest::Digest;
use crate::id::{ApiId, KeyId, OrganizationId, UserId};
use crate::intern::{Full, Interner};
use crate::key::ApiKind;
use crate::wire::KeyRecord;

/// The number of keys in a shard that the table is laid out for.
const KEYS_PER_SHARD: usize = 128;
/// The mean number of keys in a shard at which the number of shards is doubled.
const KEYS_PER_SHARD_MAX: usize = 4 * KEYS_PER_SHARD;
/// The most leading bits that may choose a shard: 2²⁴ shards hold two thousand million keys.
const SHARD_BITS_MAX: u32 = 24;

/// A set of keys, found by their digests.
#[derive(Debug, Clone)]
pub struct KeyTable {
    shards: Vec<Shard>,
    shard_bits: u32,
    keys: usize,
    /// The shard that was changed last and may still have room to spare.
    touched: usize,
    holders: Interner<Holder>,
}

/// Who holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Whose key it is.
    pub organization: OrganizationId,
    /// Who issued it.
    pub user: UserId,
}

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rights {
    /// The kind of API.
    pub kind: ApiKind,
    /// The APIs to which it is confined; `None` if it is confined to none in particular.
    pub apis: Option<Box<[ApiId]>>,
    /// Whether a dedicated key is held to rate limits.
    pub rate_limited: bool,
    /// Whether it opens nothing, because the key has used up its budget.
    pub over_budget: bool,
}

impl Rights {
    /// Whether the key may call this API, as far as its scopes go.
    pub fn include(&self, api: ApiId) -> bool {
        self.apis.as_ref().is_none_or(|apis| apis.contains(&api))
    }
}

/// What many keys have in common: who holds them, and what they open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Holder {
    owner: Owner,
    rights: Rights,
}

/// A key as the table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundKey<'a> {
    /// The key's id.
    pub id: KeyId,
    /// Who holds it.
    pub owner: Owner,
    /// What it opens.
    pub rights: &'a Rights,
    /// The first second since the Unix epoch at which it is no longer valid.
    pub expires_at_seconds: Option<u32>,
}

/// One run of the digest space: digests in order, and at the same places what they stand for.
#[derive(Debug, Clone, Default)]
struct Shard {
    prefixes: Vec<u128>,
    entries: Vec<Entry>,
}

/// Sixteen bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: KeyId,
    holder: u32,
    expires_at_seconds: u32,
}

/// The expiry of a key that has none.
const NEVER: u32 = u32::MAX;

/// The latest expiry that a table can hold, in seconds since the Unix epoch: 2106-02-07T06:28:14Z.
pub const EXPIRY_SECONDS_MAX: u32 = NEVER - 1;

impl KeyTable {
    /// An empty table laid out for this many keys.
    pub fn with_capacity(keys: usize) -> Self {
        let shards = (keys / KEYS_PER_SHARD).max(1);
        let shard_bits = shards.ilog2().min(SHARD_BITS_MAX);
        Self {
            shards: vec![Shard::default(); 1 << shard_bits],
            shard_bits,
            keys: 0,
            touched: 0,
            holders: Interner::default(),
        }
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.keys
    }

    /// Whether there is no key.
    pub const fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The key with this digest.
    pub fn find(&self, digest: &Digest) -> Option<FoundKey<'_>> {
        let prefix = digest.prefix();
        let shard = self.shards.get(self.shard_of(prefix))?;
        let place = shard.place_of(prefix, self.shard_bits);
        let stored = shard.prefixes.get(place)?;
        if !bool::from(stored.to_ne_bytes().ct_eq(&prefix.to_ne_bytes())) {
            return None;
        }
        let entry = shard.entries.get(place)?;
        let holder = self.holders.get(entry.holder)?;
        Some(FoundKey {
            id: entry.id,
            owner: holder.owner,
            rights: &holder.rights,
            expires_at_seconds: (entry.expires_at_seconds != NEVER).then_some(entry.expires_at_seconds),
        })
    }

    /// Adds a key or replaces the one with its digest.
    pub fn put(&mut self, record: &KeyRecord) -> Result<(), Full> {
        let entry = self.entry_of(record)?;
        let prefix = record.digest.prefix();
        self.touch(prefix);
        let shard_bits = self.shard_bits;
        let Some(shard) = self.shards.get_mut(self.touched) else {
            return Ok(());
        };
        let place = shard.place_of(prefix, shard_bits);
        if shard.prefixes.get(place) == Some(&prefix) {
            if let Some(stored) = shard.entries.get_mut(place) {
                let replaced = std::mem::replace(stored, entry);
                self.release(replaced);
            }
            return Ok(());
        }
        shard.prefixes.insert(place, prefix);
        shard.entries.insert(place, entry);
        self.keys = self.keys.saturating_add(1);
        if self.keys >> self.shard_bits > KEYS_PER_SHARD_MAX && self.shard_bits < SHARD_BITS_MAX {
            self.double_shards();
        }
        Ok(())
    }

    /// Takes the key with this digest away, if there is one.
    pub fn delete(&mut self, digest: &Digest) {
        let prefix = digest.prefix();
        self.touch(prefix);
        let shard_bits = self.shard_bits;
        let Some(shard) = self.shards.get_mut(self.touched) else {
            return;
        };
        let place = shard.place_of(prefix, shard_bits);
        if shard.prefixes.get(place) != Some(&prefix) {
            return;
        }
        shard.prefixes.remove(place);
        let entry = shard.entries.remove(place);
        self.keys = self.keys.saturating_sub(1);
        self.release(entry);
    }

    fn entry_of(&mut self, record: &KeyRecord) -> Result<Entry, Full> {
        let holder = self.holders.hold(Holder {
            owner: Owner { organization: record.organization, user: record.user },
            rights: Rights {
                kind: record.kind,
                apis: record.apis.as_deref().map(Box::from),
                rate_limited: record.rate_limited,
                over_budget: record.over_budget,
            },
        })?;
        Ok(Entry { id: record.id, holder, expires_at_seconds: expiry_seconds(record.expires_at_ms) })
    }

    fn release(&mut self, entry: Entry) {
        self.holders.release(entry.holder);
    }

    /// Makes the shard of `prefix` the one that may have room to spare, and packs the one before it.
    fn touch(&mut self, prefix: u128) {
        let shard = self.shard_of(prefix);
        if shard != self.touched {
            if let Some(left) = self.shards.get_mut(self.touched) {
                left.prefixes.shrink_to_fit();
                left.entries.shrink_to_fit();
            }
            self.touched = shard;
        }
    }

    /// The leading bits of `prefix`.
    fn shard_of(&self, prefix: u128) -> usize {
        let bits = prefix.checked_shr(128_u32.saturating_sub(self.shard_bits)).unwrap_or(0);
        usize::try_from(bits).unwrap_or(0)
    }

    /// Splits every shard by its next bit.
    fn double_shards(&mut self) {
        self.shard_bits = self.shard_bits.saturating_add(1);
        let next_bit = 1_u128.checked_shl(128_u32.saturating_sub(self.shard_bits)).unwrap_or(0);
        let shards = std::mem::take(&mut self.shards);
        self.shards.reserve_exact(shards.len().saturating_mul(2));
        for mut lower in shards {
            let middle = lower.prefixes.partition_point(|prefix| prefix & next_bit == 0);
            let upper = Shard { prefixes: lower.prefixes.split_off(middle), entries: lower.entries.split_off(middle) };
            lower.prefixes.shrink_to_fit();
            lower.entries.shrink_to_fit();
            self.shards.push(lower);
            self.shards.push(upper);
        }
        self.touched = 0;
    }
}

impl Shard {
    /// The first place whose digest is not below `prefix`: where it stands, or where it would.
    fn place_of(&self, prefix: u128, shard_bits: u32) -> usize {
        let mut place = self.guess(prefix, shard_bits);
        while self.prefixes.get(place).is_some_and(|at| *at < prefix) {
            place = place.saturating_add(1);
        }
        while let Some(before) = place.checked_sub(1) {
            if self.prefixes.get(before).is_some_and(|at| *at < prefix) {
                break;
            }
            place = before;
        }
        place
    }

    /// Where `prefix` stands if the shard's digests are spread evenly.
    fn guess(&self, prefix: u128, shard_bits: u32) -> usize {
        // The 32 bits after those that chose the shard, as a fraction of the shard's range.
        let following = prefix.checked_shl(shard_bits).unwrap_or(0) >> 96;
        let fraction = u64::try_from(following).unwrap_or(0);
        let keys = u64::try_from(self.prefixes.len()).unwrap_or(0);
        usize::try_from(fraction.saturating_mul(keys) >> 32).unwrap_or(0)
    }
}

/// Whole seconds: an expiry within a second counts from its beginning, since a key must not outlive it.
fn expiry_seconds(expires_at_ms: Option<u64>) -> u32 {
    expires_at_ms.map_or(NEVER, |ms| u32::try_from(ms / 1000).unwrap_or(NEVER).min(EXPIRY_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashSet};

    fn record(digest: Digest, id: u64, owner: u64, apis: Option<Vec<u64>>) -> KeyRecord {
        KeyRecord {
            id: KeyId::from_number(id),
            digest,
            kind: ApiKind::Serverless,
            organization: OrganizationId::from_number(owner),
            user: UserId::from_number(owner + 1),
            expires_at_ms: (!id.is_multiple_of(3)).then_some(id * 1000),
            apis: apis.map(|apis| apis.into_iter().map(ApiId::from_number).collect()),
            rate_limited: id.is_multiple_of(2),
            over_budget: id.is_multiple_of(5),
        }
    }

    fn assert_equal(table: &KeyTable, model: &BTreeMap<[u8; 32], KeyRecord>, unknown: &Digest) {
        assert_eq!(table.len(), model.len());
        for record in model.values() {
            let found = table.find(&record.digest).unwrap();
            assert_eq!(found.id, record.id);
            assert_eq!(found.owner.organization, record.organization);
            assert_eq!(found.owner.user, record.user);
            assert_eq!(found.rights.apis.as_deref(), record.apis.as_deref());
            assert_eq!(found.rights.rate_limited, record.rate_limited);
            assert_eq!(found.rights.over_budget, record.over_budget);
            assert_eq!(found.expires_at_seconds.map(|seconds| u64::from(seconds) * 1000), record.expires_at_ms);
        }
        if !model.contains_key(unknown.as_bytes()) {
            assert_eq!(table.find(unknown), None);
        }
    }

    proptest! {
        #[test]
        fn the_table_equals_a_map_under_any_changes(
            capacity in 0_usize..3000,
            changes in prop::collection::vec(
                (any::<bool>(), 0_u16..400, any::<u32>(), prop::option::of(prop::collection::vec(0_u64..3, 0..2))),
                0..1500,
            ),
        ) {
            let mut table = KeyTable::with_capacity(capacity);
            let mut model = BTreeMap::new();
            for (put, key, id, apis) in changes {
                let digest = Digest::of(&key.to_be_bytes());
                if put {
                    let record = record(digest, u64::from(id), u64::from(id % 5), apis);
                    table.put(&record).unwrap();
                    model.insert(*digest.as_bytes(), record);
                } else {
                    table.delete(&digest);
                    model.remove(digest.as_bytes());
                }
            }
            assert_equal(&table, &model, &Digest::of(&0_u16.to_be_bytes()));
            let holders = model.values().map(|record| {
                (record.organization, record.apis.as_ref(), record.rate_limited, record.over_budget)
            });
            prop_assert_eq!(table.holders.len(), holders.collect::<HashSet<_>>().len());
            for record in model.values() {
                table.delete(&record.digest);
            }
            prop_assert!(table.is_empty() && table.holders.is_empty());
        }

        /// Digests that differ in few bits put every guess far off, and the table must still be right.
        #[test]
        fn the_table_is_right_for_digests_that_are_not_uniform(
            digests in prop::collection::vec((any::<bool>(), prop::sample::select(vec![0_u8, 1, 127, 128, 255]), 0_u8..40), 0..300),
        ) {
            let mut table = KeyTable::with_capacity(1000);
            let mut model = BTreeMap::new();
            for (put, first, last) in digests {
                let mut bytes = [first; 32];
                bytes[15] = last;
                let digest = Digest::from_bytes(bytes);
                if put {
                    let record = record(digest, u64::from(last), 1, None);
                    table.put(&record).unwrap();
                    model.insert(bytes, record);
                } else {
                    table.delete(&digest);
                    model.remove(&bytes);
                }
            }
            assert_equal(&table, &model, &Digest::from_bytes([9; 32]));
        }
    }

    #[test]
    fn a_table_that_grows_from_nothing_splits_its_shards() {
        let mut table = KeyTable::with_capacity(0);
        let mut model = BTreeMap::new();
        for number in 0..5_000_u64 {
            let digest = Digest::of(&number.to_be_bytes());
            let record = record(digest, number, number % 3, None);
            table.put(&record).unwrap();
            model.insert(*digest.as_bytes(), record);
        }
        assert!(table.shards.len() > 4);
        assert_equal(&table, &model, &Digest::of(b"unknown"));
    }

    #[test]
    fn a_table_filled_in_order_has_no_slack() {
        let mut digests = (0..20_000_u32).map(|n| Digest::of(&n.to_be_bytes())).collect::<Vec<_>>();
        digests.sort_unstable_by_key(Digest::prefix);
        let mut table = KeyTable::with_capacity(digests.len());
        for (id, digest) in (0..).zip(digests) {
            table.put(&record(digest, id, 1, None)).unwrap();
        }
        let spare = table.shards.iter().map(|shard| shard.entries.capacity() - shard.entries.len());
        assert!(spare.sum::<usize>() <= KEYS_PER_SHARD_MAX);
        assert_eq!(size_of::<u128>() + size_of::<Entry>(), 32);
    }
}
