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
    /// How often a control plane asks for what others have stored of workers, in half seconds.
    pub fetch_ticks: u64,
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
    /// What is changed above all, if anything is.
    pub focus: Option<Focus>,
}

/// What some runs are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// A few keys come into a confined gateway's reach and leave it.
    Reach,
    /// Gateways get longer and shorter bounds, and workers hear of them from one control plane or another.
    Bounds,
    /// The database is restored early, and what it does not know of the workers matters until the end.
    Restore,
}

impl Plan {
    /// The plan of a run.
    pub fn draw(random: &mut Random) -> Self {
        let focus = random.one_of(&[None, None, None, Some(Focus::Reach), Some(Focus::Bounds)]).flatten();
        let focus = if random.chance(30) { Some(Focus::Restore) } else { focus };
        let (is_about_reach, is_about_bounds) = (focus == Some(Focus::Reach), focus == Some(Focus::Bounds));
        let is_about_restore = focus == Some(Focus::Restore);
        let is_long = random.chance(100) || is_about_restore;
        let is_wild = random.chance(500);
        let rate = |random: &mut Random, most: u64| if random.chance(500) { random.below(most + 1) } else { 0 };
        let duration = if is_long { random.between(14, 24) * MINUTE } else { random.between(20, 120) * SECOND };
        Self {
            control_planes: if is_about_bounds { 2 } else { random.between(1, 2) as usize },
            workers: random.between(1, 6) as usize,
            duration,
            writes_every: match (is_long, is_about_reach) {
                (true, _) => duration / 60,
                (false, true) => random.between(100, 500) * MS,
                (false, false) => random.between(150, 2_500) * MS,
            },
            faults_every: (is_about_restore || random.chance(850))
                .then(|| duration / random.between(1, if is_wild { 24 } else { 6 })),
            lost: rate(random, 120),
            doubled: rate(random, 120),
            late: rate(random, 120),
            damaged: rate(random, 80),
            gaps: rate(random, 30),
            stalls: rate(random, if is_about_bounds { 150 } else { 25 }),
            moves: if is_about_bounds { random.between(100, 500) } else { rate(random, 300) },
            unheard: rate(random, 500),
            fetch_ticks: random.one_of(&[2, 2, 20]).unwrap_or(2),
            delta_bytes: if is_about_reach { 300 } else { random.one_of(&[300, 900, 3_000, 65_536]).unwrap_or(0) },
            far: random.one_of(&[12, 40, 10_000]).unwrap_or(0),
            part_records: random.one_of(&[1, 3, 8, 50]).unwrap_or(1),
            slice: Slice {
                bytes: random.one_of(&[100, 1_000, 65_536]).unwrap_or(1),
                records: random.one_of(&[1, 3, 1_024]).unwrap_or(1),
            },
            is_long,
            is_bounded: is_about_bounds || random.chance(700),
            focus,
        }
    }
}
