//! What the workers of one Envoy share of the counters: values that each hold those of some subjects, as bytes.
//!
//! Envoy's shared data can be written under compare-and-swap, and forgets nothing. So there is a fixed number of values,
//! and a counter lives in the one that its API and subject choose. A counter whose units have all come back says no
//! more than none at all, so it is dropped when another needs a place: a value is as long as the counters in it that
//! are in use.
//!
//! ```text
//! value    = counter*
//! counter  = length:u16 (of what follows)  kind:u8  api:u64  subject:u64  policy:u8  meters:u8  leases:u8  meter*  lease*
//! meter    = unit:u8  window_seconds:u32  limit:u64  burst:u64  tat:u128  whole:u128
//! lease    = units:u32  (start:u128)*policy
//! ```
//!
//! The first `policy` meters are those of the rules of the policy by which the counter was last written, in its order;
//! the rest belong to rules that the policy no longer has, or does not have yet in this worker, and count on. Leases are those that
//! workers have given back. Numbers are little-endian. From where a value is not of this form on, it counts as empty.

use super::Counted;
use super::carry::carry;
use super::gcra::{Tat, taken, ticks, unit_ticks};
use super::lease::Lease;
use super::policy::{RULES_MAX, Rule, Subject, Unit};
use super::standing::bit;

/// How many shared values there are.
pub const SLOTS: u32 = 16_384;
/// The longest value, so that all together take 256 MiB at most. It has room for 218 counters with one rule each: all
/// together for those of more than a million subjects, however they are spread.
const VALUE_BYTES_MAX: usize = 1 << 14;
/// The most meters of one counter.
pub const METERS_MAX: usize = 2 * RULES_MAX;
/// The most leases that are kept for others to take.
const LEASES_MAX: usize = 64;

/// There is no room for one counter more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

/// The counter of one subject at one API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// What the first meters belong to: how many rules the policy had.
    policy_rules: usize,
    meters: Vec<Meter>,
    leases: Vec<Lease>,
    /// Whether a policy has just taken it over, which nobody else knows yet.
    is_carried: bool,
}

/// The state of one rule, with what is needed to understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// What the rule counts.
    pub unit: Unit,
    /// Its window.
    pub window_seconds: u32,
    /// Its limit.
    pub limit: u64,
    /// Its burst.
    pub burst: u64,
    /// How far units have been taken; requests are judged by it. Of a meter without a rule: until when it is kept.
    pub tat: Tat,
    /// The same with the debt that a change of policy has forgiven (`carry`): never less.
    pub whole: Tat,
}

impl Meter {
    /// The meter of a rule.
    pub const fn new(rule: &Rule, tat: Tat, whole: Tat) -> Self {
        let Rule { unit, window_seconds, limit, burst, .. } = *rule;
        Self { unit, window_seconds, limit, burst, tat, whole }
    }

    /// Whether it is this rule's, as it is.
    pub fn is_of(&self, rule: &Rule) -> bool {
        self.unit == rule.unit
            && self.window_seconds == rule.window_seconds
            && self.limit == rule.limit
            && self.burst == rule.burst
    }

    /// Whether all its units have come back.
    pub fn is_spent(&self, now_ns: u64) -> bool {
        self.whole.0 <= ticks(self.limit, now_ns)
    }

    /// The meter when its rule is no more. It goes on counting for a window, in case the rule comes back.
    pub fn left(self, now_ns: u64) -> Self {
        let window_ns = u64::try_from(unit_ticks(self.window_seconds)).unwrap_or(u64::MAX);
        Self { tat: Tat(ticks(self.limit, now_ns.saturating_add(window_ns))), ..self }
    }

    /// Whether a meter without a rule need not be kept any longer.
    pub fn is_over(&self, now_ns: u64) -> bool {
        self.is_spent(now_ns) || self.tat.0 <= ticks(self.limit, now_ns)
    }

    fn taken(&self, tat: Tat, now_ns: u64, units: u64) -> Tat {
        taken(self.limit, self.window_seconds, tat, now_ns, units)
    }
}

/// Which of the shared values holds a counter.
pub fn slot(counted: Counted) -> u32 {
    // Fibonacci hashing (Knuth 1973, section 6.4): the leading bits of the product are mixed best.
    let (_, subject) = kind_and_number(counted.subject);
    let mixed = (counted.api.number() ^ subject.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 50).unwrap_or(0)
}

impl Counter {
    /// The counter in a shared value, as a policy with these rules sees it.
    pub fn find(value: &[u8], counted: Counted, rules: &[Rule], now_ns: u64) -> Self {
        let found = entries(value).find(|entry| entry.is_of(counted)).and_then(|entry| entry.counter());
        match found {
            Some(counter) if counter.is_of(rules) => counter,
            Some(counter) => {
                let (own, left) = counter.meters.split_at_checked(counter.policy_rules).unwrap_or_default();
                Self { is_carried: true, ..Self::new(carry(own, left, rules, now_ns), rules.len()) }
            }
            None => Self::new(
                rules.iter().map(|rule| Meter::new(rule, Tat::default(), Tat::default())).collect(),
                rules.len(),
            ),
        }
    }

    const fn new(meters: Vec<Meter>, policy_rules: usize) -> Self {
        Self { policy_rules, meters, leases: Vec::new(), is_carried: false }
    }

    /// Whether it must be written even if nothing is taken: from now on units come back as the new policy says.
    pub const fn is_carried(&self) -> bool {
        self.is_carried
    }

    fn is_of(&self, rules: &[Rule]) -> bool {
        self.policy_rules == rules.len() && self.meters.iter().zip(rules).all(|(meter, rule)| meter.is_of(rule))
    }

    /// By rule of the policy: its state.
    pub fn tats(&self) -> [Tat; RULES_MAX] {
        let mut tats = [Tat::default(); RULES_MAX];
        for (tat, meter) in tats.iter_mut().zip(self.meters.iter().take(self.policy_rules)) {
            *tat = meter.tat;
        }
        tats
    }

    /// Counts so many of a unit, except for the policy's rules in `short`, a bit each, which have nothing to take.
    pub fn take(&mut self, unit: Unit, units: u64, short: u8, now_ns: u64) {
        for (place, meter) in self.meters.iter_mut().enumerate().filter(|(_, meter)| meter.unit == unit) {
            let has_rule = place < self.policy_rules;
            if has_rule && short & bit(place) != 0 {
                continue;
            }
            meter.whole = meter.taken(meter.whole, now_ns, units);
            if has_rule {
                meter.tat = meter.taken(meter.tat, now_ns, units);
            }
        }
    }

    /// Takes a lease that another worker has given back, if one is left that is worth anything.
    pub fn take_lease(&mut self, rules: &[Rule], now_ns: u64) -> Option<Lease> {
        while let Some(mut lease) = self.leases.pop() {
            lease.settle(rules, now_ns);
            if lease.units > 0 {
                return Some(lease);
            }
        }
        None
    }

    /// Keeps a lease for other workers. One for which there is no room is lost with its units, as is one of another policy.
    pub fn give_back(value: &[u8], counted: Counted, rules: &[Rule], lease: Lease) -> Option<Self> {
        let mut counter = entries(value).find(|entry| entry.is_of(counted))?.counter()?;
        let is_kept = counter.is_of(rules) && counter.leases.len() < LEASES_MAX;
        is_kept.then(|| {
            counter.leases.push(lease);
            counter
        })
    }

    /// Puts the counter into a shared value.
    pub fn write(&self, counted: Counted, value: &mut Vec<u8>, now_ns: u64) -> Result<(), Crowded> {
        let bytes = self.bytes(counted);
        let mut end = 0_usize;
        let mut own = None;
        for entry in entries(value) {
            let start = end;
            end = start.saturating_add(entry.bytes.len());
            if entry.is_of(counted) {
                own = Some(start..end);
                break;
            }
        }
        if let Some(own) = own {
            value.splice(own, bytes);
            return Ok(());
        }
        // Whatever stands behind the last counter is none.
        value.truncate(end);
        drop_spent(value, now_ns);
        if value.len().saturating_add(bytes.len()) > VALUE_BYTES_MAX {
            return Err(Crowded);
        }
        value.extend_from_slice(&bytes);
        Ok(())
    }

    fn bytes(&self, counted: Counted) -> Vec<u8> {
        let (kind, subject) = kind_and_number(counted.subject);
        let mut bytes = vec![0, 0, kind];
        bytes.extend_from_slice(&counted.api.number().to_le_bytes());
        bytes.extend_from_slice(&subject.to_le_bytes());
        for count in [self.policy_rules, self.meters.len(), self.leases.len()] {
            bytes.push(u8::try_from(count).unwrap_or(u8::MAX));
        }
        for meter in &self.meters {
            bytes.push(match meter.unit {
                Unit::Requests => 0,
                Unit::Tokens => 1,
            });
            bytes.extend_from_slice(&meter.window_seconds.to_le_bytes());
            bytes.extend_from_slice(&meter.limit.to_le_bytes());
            bytes.extend_from_slice(&meter.burst.to_le_bytes());
            bytes.extend_from_slice(&meter.tat.0.to_le_bytes());
            bytes.extend_from_slice(&meter.whole.0.to_le_bytes());
        }
        for lease in &self.leases {
            bytes.extend_from_slice(&lease.units.to_le_bytes());
            for start in lease.starts.iter().take(self.policy_rules) {
                bytes.extend_from_slice(&start.0.to_le_bytes());
            }
        }
        let length = u16::try_from(bytes.len().saturating_sub(2)).unwrap_or(0);
        for (place, byte) in bytes.iter_mut().zip(length.to_le_bytes()) {
            *place = byte;
        }
        bytes
    }
}

/// Drops counters that say no more than none at all.
fn drop_spent(value: &mut Vec<u8>, now_ns: u64) {
    let is_live = |entry: &Entry<'_>| {
        entry.counter().is_some_and(|counter| counter.meters.iter().any(|meter| !meter.is_spent(now_ns)))
    };
    let live = entries(value).filter(is_live).flat_map(|entry| entry.bytes.iter().copied()).collect();
    *value = live;
}

/// The counters of a value, still as bytes.
fn entries(value: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (length, _) = rest.split_first_chunk()?;
        let size = usize::from(u16::from_le_bytes(*length)).saturating_add(2);
        let (bytes, after) = rest.split_at_checked(size)?;
        let (head, body) = bytes.get(2..)?.split_first_chunk()?;
        rest = after;
        Some(Entry { bytes, head, body })
    })
}

/// Kind, API and subject.
const HEAD_BYTES: usize = 17;

struct Entry<'a> {
    bytes: &'a [u8],
    head: &'a [u8; HEAD_BYTES],
    body: &'a [u8],
}

impl Entry<'_> {
    fn is_of(&self, counted: Counted) -> bool {
        let (kind, subject) = kind_and_number(counted.subject);
        let numbers = [counted.api.number(), subject].map(u64::to_le_bytes);
        let wanted = std::iter::once(kind).chain(numbers.into_iter().flatten());
        self.head.iter().copied().eq(wanted)
    }

    fn counter(&self) -> Option<Counter> {
        let ([policy_rules, meters, leases], mut rest) = self.body.split_first_chunk()?;
        let policy_rules = usize::from(*policy_rules);
        let mut counter = Counter::new(Vec::new(), policy_rules);
        for _ in 0..*meters {
            let ([unit], after) = rest.split_first_chunk()?;
            let (window_seconds, after) = after.split_first_chunk()?;
            let (limit, after) = after.split_first_chunk()?;
            let (burst, after) = after.split_first_chunk()?;
            let (tat, after) = after.split_first_chunk()?;
            let (whole, after) = after.split_first_chunk()?;
            rest = after;
            counter.meters.push(Meter {
                unit: if *unit == 0 { Unit::Requests } else { Unit::Tokens },
                window_seconds: u32::from_le_bytes(*window_seconds),
                limit: u64::from_le_bytes(*limit),
                burst: u64::from_le_bytes(*burst),
                tat: Tat(u128::from_le_bytes(*tat)),
                whole: Tat(u128::from_le_bytes(*whole)),
            });
        }
        for _ in 0..*leases {
            let (units, after) = rest.split_first_chunk()?;
            rest = after;
            let mut lease = Lease { units: u32::from_le_bytes(*units), starts: [Tat::default(); RULES_MAX] };
            for start in lease.starts.iter_mut().take(policy_rules) {
                let (number, after) = rest.split_first_chunk()?;
                rest = after;
                *start = Tat(u128::from_le_bytes(*number));
            }
            counter.leases.push(lease);
        }
        Some(counter)
    }
}

/// The number of a subject, and what it is the number of.
const fn kind_and_number(subject: Subject) -> (u8, u64) {
    match subject {
        Subject::Key(id) => (0, id.number()),
        Subject::User(id) => (1, id.number()),
        Subject::Organization(id) => (2, id.number()),
    }
}
