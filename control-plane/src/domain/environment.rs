//! The two things that no computation can produce: what time it is, and something unpredictable.
//!
//! Both are handed in from `main`, so that a test can stand still or step through an expiry. The lints of this
//! crate refuse every other way to the system's clock and generator.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_core::id::Id;
use portcullis_core::key::{Brand, Kind, PlainKey};

use super::timestamp::Timestamp;

/// The clock by which expiries and records are dated.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The operating system's wall clock.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            Timestamp::from_unix_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
        })
    }

    /// A clock that shows what `now` says.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The generator has nothing to give. Nothing secret can be made until it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random number generator failed")]
pub struct EntropyError;

type Fill = dyn Fn(&mut [u8]) -> Result<(), EntropyError> + Send + Sync;

/// The generator from which secrets and ids are drawn.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

impl Entropy {
    /// The operating system's generator.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]
    pub fn system() -> Self {
        Self::from_fn(|bytes| getrandom::fill(bytes).map_err(|_| EntropyError))
    }

    /// A generator that fills buffers as `fill` does.
    pub fn from_fn(fill: impl Fn(&mut [u8]) -> Result<(), EntropyError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// A new id of the millisecond `now`. Two of one millisecond can collide, see [`portcullis_core::id`]:
    /// whoever stores it draws again.
    pub fn id<K>(&self, now: Timestamp) -> Result<Id<K>, EntropyError> {
        Ok(Id::new(now.unix_ms(), u32::from_ne_bytes(self.bytes()?)))
    }

    /// `N` bytes that nobody can predict.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut random = [0; N];
        (self.0)(&mut random)?;
        Ok(random)
    }

    /// A new secret.
    pub fn key(&self, brand: &Brand, kind: Kind) -> Result<PlainKey, EntropyError> {
        PlainKey::generate(brand, kind, |random| (self.0)(random))
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}
