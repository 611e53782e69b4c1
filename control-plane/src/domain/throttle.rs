//! Back-off on guessing: after a few failures in a row each further attempt has to wait, ever longer.
//!
//! Failures are counted for the account that was named, whether it exists or not, and for the address they came
//! from; IPv6 by its /64, which is what one customer gets. The count is a debt of time, as in GCRA: a failure adds
//! one [`Policy::forgiven_every`] to it, and time pays it off. From the [`Policy::tolerated`]th failure on, no
//! attempt is let through for 1 s after the last one, doubling with each, up to 15 minutes. The longest wait for an
//! account is as long as the time that forgives one of its failures, so a guesser gets no more than 4 guesses an
//! hour in the long run, however the attempts are spread; an address gets 60, for there may be an office behind it.
//!
//! An attempt counts as a failure from the moment it is let through, and is taken back when it turns out to be none.
//! Otherwise many attempts at the same time would all get in before the first has failed. An [`Attempt`] that is
//! dropped stays a failure. A success clears the account but not the address, or else whoever has an account could
//! guess at others from the same place for ever. An attempt that is refused counts for nothing, so that waiting
//! always helps.
//!
//! State is in memory alone, and bounded: a full table forgets first whom it would have forgiven first. A
//! restart forgives everyone. If the clock is set back, a lock ends that would now last longer than the longest.

mod table;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use portcullis_core::digest::{DIGEST_BYTES, Digest};

use super::timestamp::Timestamp;
use table::{State, Table};

/// The longest wait.
pub const LOCK_MAX: Duration = Duration::from_secs(15 * 60);
/// The first wait.
const LOCK_MIN: Duration = Duration::from_secs(1);
/// After how many doublings the longest wait is reached: 2 to the power of 10 is more than 900.
const DOUBLINGS_MAX: u32 = 10;
/// How many accounts, and how many addresses, are kept in mind. About 1 MiB each.
const ENTRIES_MAX: usize = 10_000;

/// How failures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The failure, counted from 1, after which there is a wait.
    pub tolerated: u32,
    /// How long it takes until one failure is forgiven.
    pub forgiven_every: Duration,
}

/// Accounts: whoever knows the password is done after a few attempts.
pub const ACCOUNT: Policy = Policy { tolerated: 5, forgiven_every: LOCK_MAX };
/// Addresses: many people can share one.
pub const ADDRESS: Policy = Policy { tolerated: 20, forgiven_every: Duration::from_secs(60) };

impl Policy {
    /// The most failures that are counted; by then the wait is the longest.
    const fn failures_max(self) -> u32 {
        self.tolerated + DOUBLINGS_MAX
    }

    /// How long nothing is let through after the last of so many failures.
    fn lock(self, failures: u32) -> Duration {
        match failures.checked_sub(self.tolerated) {
            None => Duration::ZERO,
            Some(doublings) => (LOCK_MIN * 2_u32.pow(doublings.min(DOUBLINGS_MAX))).min(LOCK_MAX),
        }
    }
}

/// The account that an attempt names: the digest of the name, so that a long one takes no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Account([u8; DIGEST_BYTES]);

impl Account {
    fn named(name: &str) -> Self {
        Self(*Digest::of(name.as_bytes()).as_bytes())
    }
}

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        // An IPv4 client of a socket that takes both is `::ffff:a.b.c.d`.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Too many failures: nothing was let through, and nothing counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts")]
pub struct Locked {
    /// After which time an attempt will be let through. At most [`LOCK_MAX`].
    pub retry_after: Duration,
}

/// An attempt that was let through, and that counts as a failure until it is handed back.
#[derive(Debug)]
#[must_use = "without a word about how it ended, the attempt counts as a failure"]
pub struct Attempt {
    account: Account,
    account_counted: Counted,
    network: Network,
    network_counted: Counted,
}

/// What counting an attempt changed.
#[derive(Debug, Clone, Copy)]
struct Counted {
    before: Option<State>,
    after: State,
}

/// Who has failed lately.
#[derive(Debug)]
pub struct Throttle {
    accounts: Table<Account>,
    networks: Table<Network>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(ENTRIES_MAX)
    }
}

impl Throttle {
    /// A throttle that keeps at most so many accounts, and as many addresses.
    pub fn new(entries_max: usize) -> Self {
        Self { accounts: Table::new(ACCOUNT, entries_max), networks: Table::new(ADDRESS, entries_max) }
    }

    /// Lets an attempt through, or says how long to wait. `account` is the name as it is looked up, so that two
    /// spellings of one account are one.
    pub fn attempt(&mut self, account: &str, address: IpAddr, now: Timestamp) -> Result<Attempt, Locked> {
        let (account, network) = (Account::named(account), Network::of(address));
        let wait = self.accounts.wait(&account, now).max(self.networks.wait(&network, now));
        if !wait.is_zero() {
            return Err(Locked { retry_after: wait });
        }
        let (account_counted, network_counted) = (self.accounts.fail(account, now), self.networks.fail(network, now));
        Ok(Attempt { account, account_counted, network, network_counted })
    }

    /// It was the right password. The account has no failures any more; the address has those from before.
    pub fn succeeded(&mut self, attempt: Attempt) {
        self.accounts.clear(&attempt.account);
        self.networks.take_back(attempt.network, attempt.network_counted);
    }

    /// The password was not looked at: neither right nor wrong.
    pub fn abandoned(&mut self, attempt: Attempt) {
        self.accounts.take_back(attempt.account, attempt.account_counted);
        self.networks.take_back(attempt.network, attempt.network_counted);
    }

    /// It was the wrong password, or there is no such account.
    pub fn failed(&mut self, attempt: Attempt) {
        // It has been counted since it was let through.
        drop(attempt);
    }
}

#[cfg(test)]
mod tests;
