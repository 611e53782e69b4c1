//! One generator for everything that happens by chance: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
//! number generators, OOPSLA 2014). A seed is all its state, so a seed is all that a run depends on.

/// The generator.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0 if that is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        let number = self.next();
        if end == 0 { 0 } else { number % end }
    }

    /// A number from `first` to `last`.
    pub const fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True so many times in a thousand.
    pub const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A place in a list of this length, if there is any.
    pub fn place(&mut self, length: usize) -> Option<usize> {
        let place = self.below(length as u64) as usize;
        (length > 0).then_some(place)
    }

    /// One of these.
    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        let place = self.place(choices.len())?;
        choices.get(place).cloned()
    }

    /// A time around `mean`: mostly shorter, now and then much longer. Whole numbers only, so that it is the same
    /// everywhere.
    pub const fn around(&mut self, mean: u64) -> u64 {
        let usual = self.below(2 * mean + 1);
        if self.chance(60) { usual * 6 } else { usual * 4 / 5 }
    }
}
