//! What kind of run a seed is: how long, how large, and which faults how often. Some seeds are calm, so that long
//! waits come to their end; some are wild.

use portcullis_core::sync::Slice;

use crate::clock::{Instant, MINUTE, MS, SECOND};
use crate::random::Random;

/// The kind of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many control planes share the database.
    pub control_planes: usize,
    /// How many workers there are at a time.
    pub workers: usize,
    /// How long faults go on.
    pub duration: Instant,
    /// The mean time between writes, and between faults.
    pub writes_every: Instant,
    /// The mean time between faults; `None` if there are none but those of messages.
    pub faults_every: Option<Instant>,
    /// Of a thousand messages, how many are lost, sent twice, late by seconds, damaged, or made to leave a gap.
    pub lost: u64,
    /// See [`Plan::lost`].
    pub doubled: u64,
    /// See [`Plan::lost`].
    pub late: u64,
    /// See [`Plan::lost`].
    pub damaged: u64,
    /// See [`Plan::lost`].
    pub gaps: u64,
    /// Of a thousand steps of a control plane, how many take seconds.
    pub stalls: u64,
    /// Of a thousand polls, how many go to another control plane than the one before.
    pub moves: u64,
    /// Of a thousand notifications between control planes, how many are lost.
    pub unheard: u64,
    /// How many bytes a delta's records take.
    pub delta_bytes: usize,
    /// How many changes a worker may be behind.
    pub far: usize,
    /// How many records a part of a snapshot has.
    pub part_records: usize,
    /// How workers take pages in.
    pub slice: Slice,
    /// Whether partitions and outages last for longer than a silent worker is remembered.
    pub is_long: bool,
    /// Whether gateways get bounds on staleness.
    pub is_bounded: bool,
}

impl Plan {
    /// The plan of a run.
    pub fn draw(random: &mut Random) -> Self {
        let is_long = random.chance(120);
        let is_wild = random.chance(500);
        let rate = |random: &mut Random, most: u64| if random.chance(500) { random.below(most + 1) } else { 0 };
        let duration = if is_long { random.between(14, 24) * MINUTE } else { random.between(20, 120) * SECOND };
        Self {
            control_planes: random.between(1, 2) as usize,
            workers: random.between(1, 6) as usize,
            duration,
            writes_every: if is_long { duration / 60 } else { random.between(150, 2_500) * MS },
            faults_every: random.chance(850).then(|| duration / random.between(1, if is_wild { 24 } else { 6 })),
            lost: rate(random, 120),
            doubled: rate(random, 120),
            late: rate(random, 120),
            damaged: rate(random, 80),
            gaps: rate(random, 30),
            stalls: rate(random, 25),
            moves: rate(random, 300),
            unheard: rate(random, 500),
            delta_bytes: random.one_of(&[300, 900, 3_000, 65_536]).unwrap_or(0),
            far: random.one_of(&[12, 40, 10_000]).unwrap_or(0),
            part_records: random.one_of(&[1, 3, 8, 50]).unwrap_or(1),
            slice: Slice {
                bytes: random.one_of(&[100, 1_000, 65_536]).unwrap_or(1),
                records: random.one_of(&[1, 3, 1_024]).unwrap_or(1),
            },
            is_long,
            is_bounded: random.chance(700),
        }
    }
}
