//! The numbers by which the workers of one Envoy are told apart in its statistics.
//!
//! Statistics belong to the Envoy process, and a virtual machine is not told which worker it runs in. So the workers
//! share a table of slots, in which each takes the first free one and then says every second that it lives. A slot
//! whose worker has been silent for ten seconds is free again: virtual machines come and go with reloads, and numbers
//! must not run out.
//!
//! [`beat`] is a function from one table to the next. The caller keeps the table where all workers see it, and writes it
//! only if nobody has written it since it was read; otherwise it begins again. When all slots are taken a worker has
//! none, and what is no table counts as an empty one.

/// How many workers can have a number.
pub const SLOTS_MAX: usize = 64;
/// How long a worker may be silent and keep its number.
pub const SILENCE_MS_MAX: u64 = 10_000;

/// The owner of a slot that nobody has.
const NOBODY: u64 = 0;

/// Who has a slot, and when they last said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    owner: u64,
    beat_ms: u64,
}

/// What a sign of life comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The next table.
    pub table: Vec<u8>,
    /// The worker's number, if there is one left.
    pub slot: Option<usize>,
    /// Numbers that had a worker until now and have none any more.
    pub vacated: Vec<usize>,
    /// How many workers have a number now.
    pub workers: usize,
}

/// Says that `owner`, a random number, lives when a clock that all workers share shows `now_ms`.
pub fn beat(table: &[u8], owner: u64, now_ms: u64) -> Beat {
    let owner = owner.max(NOBODY.saturating_add(1));
    let mut slots = read(table);
    let mut vacated = Vec::new();
    for (number, slot) in slots.iter_mut().enumerate() {
        let is_silent = slot.beat_ms.abs_diff(now_ms) > SILENCE_MS_MAX;
        if slot.owner != NOBODY && slot.owner != owner && is_silent {
            *slot = Slot::default();
            vacated.push(number);
        }
    }
    let own = slots.iter().position(|slot| slot.owner == owner);
    let slot = own.or_else(|| slots.iter().position(|slot| slot.owner == NOBODY));
    if let Some(taken) = slot.and_then(|number| slots.get_mut(number)) {
        *taken = Slot { owner, beat_ms: now_ms };
    }
    vacated.retain(|number| Some(*number) != slot);
    let workers = slots.iter().filter(|slot| slot.owner != NOBODY).count();
    let bytes = slots.iter().flat_map(|slot| [slot.owner.to_le_bytes(), slot.beat_ms.to_le_bytes()]);
    Beat { table: bytes.flatten().collect(), slot, vacated, workers }
}

fn read(table: &[u8]) -> [Slot; SLOTS_MAX] {
    let mut slots = [Slot::default(); SLOTS_MAX];
    let numbers = table.as_chunks::<8>().0.as_chunks::<2>().0;
    if numbers.len() == SLOTS_MAX {
        for (slot, [owner, beat_ms]) in slots.iter_mut().zip(numbers) {
            *slot = Slot { owner: u64::from_le_bytes(*owner), beat_ms: u64::from_le_bytes(*beat_ms) };
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn no_two_workers_that_live_have_one_number_and_each_keeps_its_own(
            beats in prop::collection::vec((1_u64..100, 0_u64..4_000), 0..300),
        ) {
            let (mut table, mut now_ms) = (Vec::new(), 0);
            // By worker: its number and when it was last heard.
            let mut living: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
            for (owner, pause_ms) in beats {
                now_ms += pause_ms;
                let silent = |heard_ms: u64| now_ms - heard_ms > SILENCE_MS_MAX;
                let own = living.get(&owner).copied();
                let gone = living.extract_if(.., |other, (_, heard)| *other != owner && silent(*heard));
                let gone = gone.map(|(_, (slot, _))| slot).collect::<Vec<_>>();
                let beat = beat(&table, owner, now_ms);
                match beat.slot {
                    Some(slot) => {
                        prop_assert!(own.is_none_or(|(before, _)| before == slot));
                        prop_assert!(living.iter().all(|(other, (taken, _))| *other == owner || *taken != slot));
                        living.insert(owner, (slot, now_ms));
                    }
                    None => prop_assert_eq!(living.len(), SLOTS_MAX),
                }
                prop_assert_eq!(beat.workers, living.len());
                let mut vacated = gone;
                vacated.retain(|slot| Some(*slot) != beat.slot);
                vacated.sort_unstable();
                prop_assert_eq!(&beat.vacated, &vacated);
                table = beat.table;
            }
        }

        #[test]
        fn whatever_the_table_holds_a_worker_that_is_alone_has_a_number_in_the_end(
            table in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..2_000),
                prop::collection::vec(any::<u8>(), 16 * SLOTS_MAX),
            ],
            owner in any::<u64>(),
            now_ms in 0..u64::MAX / 2,
        ) {
            let first = beat(&table, owner, now_ms);
            prop_assert_eq!(first.table.len(), 16 * SLOTS_MAX);
            let later = beat(&first.table, owner, now_ms + 2 * SILENCE_MS_MAX);
            prop_assert!(later.slot.is_some());
        }
    }

    #[test]
    fn the_numbers_are_used_up_and_come_back() {
        let mut table = Vec::new();
        for owner in 1..=SLOTS_MAX as u64 {
            let beat = beat(&table, owner, 0);
            assert_eq!(beat.slot, Some(owner as usize - 1));
            table = beat.table;
        }
        assert_eq!(beat(&table, 1_000, SILENCE_MS_MAX).slot, None);
        let late = beat(&table, 1_000, SILENCE_MS_MAX + 1);
        assert_eq!(late.slot, Some(0));
        assert_eq!(late.vacated, (1..SLOTS_MAX).collect::<Vec<_>>());
    }
}
