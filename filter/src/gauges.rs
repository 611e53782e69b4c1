//! What each worker shows of itself in Envoy's statistics, `portcullis_worker_…`
//! and `portcullis_unreported_rows`.
//!
//! All workers of an Envoy share its statistics, so each has a number of its own (`portcullis_core::slots`) as a label.
//! Whoever finds that another worker is gone sets that one's gauges to zero: Envoy forgets no gauge. Whatever fails here
//! fails for a second, and costs nothing but a figure.

use portcullis_core::slots::{self, Beat};

use crate::host;

/// Where the workers of this Envoy keep the table of their numbers.
const TABLE: &str = "portcullis.workers";
/// How often a worker begins again when others write the table at the same time.
const ATTEMPTS_MAX: usize = 8;

/// The figures that a worker shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// The revision that it serves.
    pub revision: u64,
    /// How many keys it knows.
    pub keys: u64,
    /// How long it may be since it was up to date, or since it began if it never was.
    pub contact_age_ms: u64,
    /// The longest time for which it kept its own requests waiting.
    pub longest_pause_us: u64,
    /// How many rows of usage the control plane has not taken in.
    pub unreported_rows: u64,
}

/// What they are called, in the same order.
const NAMES: [&str; 5] = [
    "portcullis_worker_revision",
    "portcullis_worker_keys",
    "portcullis_worker_contact_age_milliseconds",
    "portcullis_worker_longest_pause_microseconds",
    "portcullis_unreported_rows",
];

/// The gauges of one worker.
#[derive(Debug)]
pub struct Gauges {
    /// This start of the virtual machine, told apart from every other.
    owner: u64,
    defined: Option<Defined>,
}

/// Gauges with the number that they have for a label, and Envoy's numbers for them.
#[derive(Debug, Clone, Copy)]
struct Defined {
    slot: usize,
    ids: [Option<u32>; NAMES.len()],
}

impl Gauges {
    /// None yet.
    pub const fn new(owner: u64) -> Self {
        Self { owner, defined: None }
    }

    /// Shows what is so now, and says how many workers this Envoy has, as far as that can be told.
    pub fn publish(&mut self, figures: Figures) -> Option<usize> {
        let Beat { slot, vacated, workers, .. } = self.beat()?;
        for gone in vacated {
            Defined::new(gone).set(Figures::default());
        }
        self.defined = slot.map(|slot| match self.defined {
            Some(defined) if defined.slot == slot => defined,
            Some(_) | None => Defined::new(slot),
        });
        if let Some(defined) = self.defined {
            defined.set(figures);
        }
        Some(workers)
    }

    fn beat(&self) -> Option<Beat> {
        let now_ms = host::monotonic_ms();
        for _ in 0..ATTEMPTS_MAX {
            let (table, version) = host::shared_data(TABLE).unzip();
            let beat = slots::beat(&table.unwrap_or_default(), self.owner, now_ms);
            if host::set_shared_data(TABLE, &beat.table, version) {
                return Some(beat);
            }
        }
        None
    }
}

impl Defined {
    fn new(slot: usize) -> Self {
        Self { slot, ids: NAMES.map(|name| host::define_gauge(&format!("{name}.worker.{slot}"))) }
    }

    fn set(self, figures: Figures) {
        let Figures { revision, keys, contact_age_ms, longest_pause_us, unreported_rows } = figures;
        let values = [revision, keys, contact_age_ms, longest_pause_us, unreported_rows];
        for (id, value) in self.ids.into_iter().zip(values) {
            if let Some(id) = id {
                host::set_gauge(id, value);
            }
        }
    }
}
