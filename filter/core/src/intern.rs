//! Values that many keys share, kept once and named by a small number.
//!
//! A million keys belong to few owners and carry few sets of rights. Each key holds the number of its value
//! here instead of the value. Values are counted, so that one that no key holds any more is dropped and its
//! number used again: a worker that lives for months does not grow with the changes it has seen.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

/// A set of shared values.
#[derive(Debug, Clone)]
pub struct Interner<T> {
    slots: Vec<Option<Slot<T>>>,
    numbers: HashMap<Rc<T>, u32>,
    free: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Slot<T> {
    value: Rc<T>,
    holders: u32,
}

/// There are more different values than numbers, or more holders than can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many different values")]
pub struct Full;

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), numbers: HashMap::new(), free: Vec::new() }
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The number of `value`, which now has one holder more.
    pub fn hold(&mut self, value: T) -> Result<u32, Full> {
        if let Some(number) = self.numbers.get(&value).copied() {
            let slot = self.slot_mut(number).ok_or(Full)?;
            slot.holders = slot.holders.checked_add(1).ok_or(Full)?;
            return Ok(number);
        }
        let value = Rc::new(value);
        let slot = Some(Slot { value: Rc::clone(&value), holders: 1 });
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.slots.len()).map_err(|_| Full)?,
        };
        match self.slots.get_mut(position(number)) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.numbers.insert(value, number);
        Ok(number)
    }

    /// Gives up one hold on the value with this number.
    pub fn release(&mut self, number: u32) {
        let Some(slot) = self.slot_mut(number) else {
            return;
        };
        slot.holders = slot.holders.saturating_sub(1);
        if slot.holders > 0 {
            return;
        }
        let emptied = self.slots.get_mut(position(number)).and_then(Option::take);
        if let Some(slot) = emptied {
            self.numbers.remove(&slot.value);
            self.free.push(number);
        }
    }

    /// The value with this number.
    pub fn get(&self, number: u32) -> Option<&T> {
        let slot = self.slots.get(position(number))?.as_ref()?;
        Some(&slot.value)
    }

    /// How many different values are held.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether no value is held.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(position(number))?.as_mut()
    }
}

/// A number as a place in the slots; `usize` has 32 bits or more wherever this runs.
fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_live_exactly_as_long_as_they_are_held(
            steps in prop::collection::vec((any::<bool>(), 0_u8..5), 0..60),
        ) {
            let mut interner = Interner::default();
            let mut held: Vec<(u32, u8)> = Vec::new();
            for (hold, value) in steps {
                if hold {
                    held.push((interner.hold(value).unwrap(), value));
                } else if !held.is_empty() {
                    let (number, _) = held.swap_remove(usize::from(value) % held.len());
                    interner.release(number);
                }
                let mut different = held.iter().map(|(_, value)| *value).collect::<Vec<_>>();
                different.sort_unstable();
                different.dedup();
                prop_assert_eq!(interner.len(), different.len());
                prop_assert!(interner.slots.len() <= 5);
                for (number, value) in &held {
                    prop_assert_eq!(interner.get(*number), Some(value));
                }
            }
        }
    }
}
