//! One worker's view of the counters: the shared values, and the leases that it has taken from them.

use std::collections::HashMap;
use std::sync::Arc;

use super::counters::{Counter, Crowded, slot};
use super::lease::Lease;
use super::limits::Limits;
use super::policy::{Counted, Mode, Unit};
use super::standing::{Standing, bit};
use crate::mix::BuildMixer;

/// How often a worker begins again when others write the same value at the same time. Of those who try, one succeeds
/// each time, so it takes more busy workers than that to be this unlucky.
const ATTEMPTS_MAX: usize = 100;
/// How many workers there may be as long as nothing is known of them.
const WORKERS_ASSUMED: u64 = 64;

/// Values that all workers see, numbered from 0 to [`super::SLOTS`], and their versions.
pub trait Shared {
    /// A value and its version; `None` if there is none yet.
    fn read(&self, slot: u32) -> Option<(Vec<u8>, u32)>;
    /// Sets a value if it still has this version. False if it was not set.
    fn write(&self, slot: u32, value: &[u8], version: Option<u32>) -> bool;
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The policy lets it pass, and has taken a unit from each rule.
    Passes(Standing),
    /// It does not, and nothing has been taken.
    Refused(Standing),
    /// The counters could not be written, so nobody knows.
    Unknown,
}

/// The limits as one worker applies them.
#[derive(Debug)]
pub struct Limiter {
    leases: HashMap<Counted, Held, BuildMixer>,
    workers: u64,
}

/// A lease, and what the worker knew when it took it.
#[derive(Debug)]
struct Held {
    limits: Arc<Limits>,
    lease: Lease,
    standing: Standing,
    /// Whether it has been used since the worker last looked for idle ones.
    is_in_use: bool,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { leases: HashMap::default(), workers: WORKERS_ASSUMED }
    }
}

impl Limiter {
    /// Says how many workers there are.
    pub const fn set_workers(&mut self, workers: u64) {
        self.workers = workers;
    }

    /// Judges a request that comes now, and counts it if it passes.
    ///
    /// The clock is read after the shared value: a worker that waits between the two must not judge what others have
    /// done meanwhile by an instant before that.
    pub fn admit(
        &mut self,
        shared: &impl Shared,
        limits: &Arc<Limits>,
        counted: Counted,
        clock_ns: impl Fn() -> u64,
    ) -> Answer {
        if let Some(standing) = self.spend(limits, counted, &clock_ns) {
            return Answer::Passes(standing);
        }
        let units = limits.lease_units(self.workers);
        let taken = update(shared, counted, |value| {
            let now_ns = clock_ns();
            let mut counter = Counter::find(value, counted, limits.rules(), now_ns);
            let (lease, standing) = take(&mut counter, limits, now_ns, units);
            let has_news = lease.is_some() || counter.is_carried();
            let written = has_news.then(|| counter.write(counted, value, now_ns));
            ((lease, standing), written)
        });
        match taken {
            Some((Some(mut lease), standing)) => {
                lease.spend(limits.rules());
                let standing = Standing { leased: lease.units, ..standing };
                if lease.units > 0 {
                    let held = Held { limits: Arc::clone(limits), lease, standing, is_in_use: true };
                    self.leases.insert(counted, held);
                }
                Answer::Passes(standing)
            }
            Some((None, standing)) => Answer::Refused(standing),
            None => Answer::Unknown,
        }
    }

    /// Spends a unit that this worker has taken before.
    fn spend(&mut self, limits: &Arc<Limits>, counted: Counted, clock_ns: &impl Fn() -> u64) -> Option<Standing> {
        if self.leases.is_empty() {
            return None;
        }
        let held = self.leases.get_mut(&counted)?;
        // What was taken under another policy is lost: at most a lease in each worker.
        if Arc::ptr_eq(&held.limits, limits) || held.limits == *limits {
            let now_ns = clock_ns();
            held.lease.settle(limits.rules(), now_ns);
            if held.lease.spend(limits.rules()) {
                held.is_in_use = true;
                return Some(Standing { now_ns, leased: held.lease.units, ..held.standing });
            }
        }
        self.leases.remove(&counted);
        None
    }

    /// Takes the tokens that an admitted request has used, as far as there are rules that count them. `short` is what
    /// its standing said: a rule that would have refused it has nothing to take.
    ///
    /// False if the counters could not be written.
    pub fn charge(
        &self,
        shared: &impl Shared,
        limits: &Limits,
        counted: Counted,
        now_ns: u64,
        (tokens, short): (u64, u8),
    ) -> bool {
        let charged = update(shared, counted, |value| {
            let mut counter = Counter::find(value, counted, limits.rules(), now_ns);
            counter.take(Unit::Tokens, tokens, short, now_ns);
            ((), Some(counter.write(counted, value, now_ns)))
        });
        charged.is_some()
    }

    /// Gives back leases that have not been used since the last time, so that other workers can have them; at most so
    /// many. What cannot be written is tried again the next time.
    pub fn give_back(&mut self, shared: &impl Shared, now_ns: u64, leases_max: usize) {
        let idle = self.leases.iter_mut().filter_map(|(counted, held)| {
            let is_idle = !std::mem::take(&mut held.is_in_use);
            is_idle.then_some(*counted)
        });
        for counted in idle.take(leases_max).collect::<Vec<_>>() {
            let Some(held) = self.leases.get(&counted) else { continue };
            let (rules, mut lease) = (held.limits.rules(), held.lease);
            lease.settle(rules, now_ns);
            let given = lease.units == 0
                || update(shared, counted, |value| {
                    let counter = Counter::give_back(value, counted, rules, lease);
                    ((), counter.map(|counter| counter.write(counted, value, now_ns)))
                })
                .is_some();
            if given {
                self.leases.remove(&counted);
            }
        }
    }
}

/// Changes the shared value of a counter as `change` says, again and again until nobody came between. `change` gives a
/// result and whether there is something to write. `None` if it could not be written.
fn update<T>(
    shared: &impl Shared,
    counted: Counted,
    mut change: impl FnMut(&mut Vec<u8>) -> (T, Option<Result<(), Crowded>>),
) -> Option<T> {
    let slot = slot(counted);
    for _ in 0..ATTEMPTS_MAX {
        let (mut value, version) = shared.read(slot).unzip();
        let value = value.get_or_insert_default();
        match change(value) {
            (result, None) => return Some(result),
            (_, Some(Err(Crowded))) => return None,
            (result, Some(Ok(()))) => {
                if shared.write(slot, value, version) {
                    return Some(result);
                }
            }
        }
    }
    None
}

/// Takes up to `units` from each rule that has to give some, or from none.
fn take(counter: &mut Counter, limits: &Limits, now_ns: u64, units: u32) -> (Option<Lease>, Standing) {
    let rules = limits.rules();
    let mut standing = Standing { now_ns, tats: counter.tats(), leased: 0, short: 0 };
    if units > 1
        && let Some(lease) = counter.take_lease(rules, now_ns)
    {
        return (Some(lease), standing);
    }
    let mut units = u64::from(units);
    for (place, (rule, tat)) in rules.iter().zip(&standing.tats).enumerate() {
        let available = rule.available(*tat, now_ns);
        if available == 0 {
            standing.short |= bit(place);
        }
        if rule.mode == Mode::Enforce {
            units = units.min(available);
        }
    }
    if units == 0 {
        return (None, standing);
    }
    let starts = std::array::from_fn(|place| {
        let tat = standing.tats.get(place).copied().unwrap_or_default();
        rules.get(place).map_or(tat, |rule| rule.take(tat, now_ns, 0))
    });
    // A rule that would have refused the request has nothing to take.
    counter.take(Unit::Requests, units, standing.short, now_ns);
    standing.tats = counter.tats();
    (Some(Lease { units: u32::try_from(units).unwrap_or(u32::MAX), starts }), standing)
}
