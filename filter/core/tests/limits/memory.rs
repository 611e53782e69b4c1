//! What stands for Envoy's shared data.

use std::cell::RefCell;
use std::collections::HashMap;

use portcullis_core::limit::{SLOTS, Shared};

/// Values under compare-and-swap.
#[derive(Debug, Default)]
pub struct Memory(RefCell<HashMap<u32, (Vec<u8>, u32)>>);

impl Memory {
    /// Puts something into every value that there is.
    pub fn spoil(&self, bytes: &[u8]) {
        for (value, version) in self.0.borrow_mut().values_mut() {
            *value = bytes.to_vec();
            *version += 1;
        }
    }

    /// How many values there are, and how many bytes in all of them.
    pub fn size(&self) -> (usize, usize) {
        let values = self.0.borrow();
        (values.len(), values.values().map(|(value, _)| value.len()).sum())
    }
}

impl Shared for Memory {
    fn read(&self, slot: u32) -> Option<(Vec<u8>, u32)> {
        assert!(slot < SLOTS);
        self.0.borrow().get(&slot).cloned()
    }

    fn write(&self, slot: u32, value: &[u8], version: Option<u32>) -> bool {
        let mut values = self.0.borrow_mut();
        if values.get(&slot).map(|(_, version)| *version) != version {
            return false;
        }
        values.insert(slot, (value.to_vec(), version.unwrap_or(0) + 1));
        true
    }
}

/// The same memory, in which something else happens right after the first read.
pub struct Interrupted<'a> {
    pub memory: &'a Memory,
    pub between: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Shared for Interrupted<'_> {
    fn read(&self, slot: u32) -> Option<(Vec<u8>, u32)> {
        let value = self.memory.read(slot);
        if let Some(between) = self.between.take() {
            between();
        }
        value
    }

    fn write(&self, slot: u32, value: &[u8], version: Option<u32>) -> bool {
        self.memory.write(slot, value, version)
    }
}

/// Memory that cannot be written.
pub struct Stuck;

impl Shared for Stuck {
    fn read(&self, _slot: u32) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn write(&self, _slot: u32, _value: &[u8], _version: Option<u32>) -> bool {
        false
    }
}
