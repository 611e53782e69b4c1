//! A hash function for ids.
//!
//! A worker hashes several times for each request: whose usage it is, whose lease, which context. What it hashes
//! are ids that a control plane has drawn, numbers that Envoy counts up and a few small ones; no caller chooses
//! them, so nobody can make them collide, and the standard library's keyed hash would cost ten times as much for
//! nothing. Each word is mixed in by a rotation and a multiplication, as in Firefox and rustc ("FxHash"). The
//! product's high bits depend on all of the word, its low ones do not, so they are folded together in the end: a
//! table looks at both.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes hashers.
pub type BuildMixer = BuildHasherDefault<Mixer>;

/// 2⁶⁴ divided by the golden ratio, odd.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of what has been written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(FACTOR);
    }

    /// Which of an enum's variants.
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}
