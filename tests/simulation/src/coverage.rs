//! How often each thing happened that a run can come to. Laws that hold where nothing happens prove nothing.

use std::ops::{AddAssign, Index, IndexMut};

macro_rules! things {
    ($($thing:ident $text:literal,)*) => {
        /// Something that can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each says what it is in words")]
        pub enum Thing {
            $($thing,)*
        }

        impl Thing {
            /// All of them.
            pub const ALL: [Self; [$(Self::$thing),*].len()] = [$(Self::$thing),*];

            /// What it is, in words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$thing => $text,)*
                }
            }
        }
    };
}

things! {
    Write "writes committed",
    OverBudget "organizations that used up their budgets",
    WithinBudget "organizations that got new budgets",
    WriteFailed "writes that found no control plane or no database",
    DeltaApplied "deltas applied",
    EmptyDelta "polls answered with nothing new",
    MoreToCome "deltas with more to come",
    CaughtUp "newcomers that began to serve",
    Replaced "key sets replaced by a later snapshot",
    PartOfMany "parts of snapshots in several",
    AnotherSnapshot "snapshots lost between two parts",
    TooFar "workers too far behind for a delta",
    Rescoped "workers whose gateway was given other APIs",
    ApiGone "deltas refused because an API was gone meanwhile",
    Sliced "pages taken in by slices",
    LookFirst "polls that needed a look at the database",
    LookAhead "workers ahead of what their control plane had heard",
    PromiseAtEnd "answers decided again because a bound was lengthened",
    StoredFirst "answers that waited for a worker to be stored",
    Ignored "answers to polls that were over",
    Damaged "pages rejected as damaged",
    Unasked "pages rejected for a gap",
    Resync "workers that asked for everything again",
    RolledBackRefused "polls refused because the database had gone back",
    RollbackRejected "snapshots rejected because the database had gone back",
    NewEpoch "workers that followed into another epoch",
    Stale "workers that refused for want of contact",
    Recovered "workers that were stale and serve again",
    BoundLengthened "workers that accepted a longer bound",
    BoundShortened "workers that accepted a shorter bound",
    TimedOut "polls given up by their worker",
    Refused "polls answered with an error",
    Unauthorized "polls of a deleted gateway",
    Lost "messages lost",
    Doubled "messages sent twice",
    Late "messages late by seconds",
    Truncated "pages truncated",
    Garbled "pages garbled",
    Stalled "steps of a control plane that took seconds",
    Moved "polls that went to another control plane",
    Unheard "notifications lost between control planes",
    Partition "workers partitioned",
    Deaf "workers whose polls were heard and who heard nothing",
    LongPartition "workers partitioned for more than ten minutes",
    Death "virtual machines that died",
    Crash "control planes that crashed",
    Cut "control planes cut off from the database",
    Backup "backups",
    Restore "restores from a backup",
    RolledBack "databases that went back without a new epoch",
    Pruned "change logs pruned",
    WallSet "wall clocks set",
    ReceiptComplete "receipts complete",
    ReceiptPending "receipts pending",
    ReceiptStopped "receipts complete because workers had stopped",
    ReceiptEnforcedBy "receipts with an instant by which they are enforced",
    ReceiptSettling "receipts that waited for unknown workers after a restore",
    ReceiptUnavailable "receipts that needed a database out of reach",
    ReceiptElsewhere "receipts from another control plane than the one that wrote",
    ReceiptAfterRestart "receipts of what was written before the control plane started",
    Enforced "instants of enforcement that came",
    Forgotten "workers forgotten after ten minutes",
    ForgottenByOperator "workers forgotten by an operator",
    HeardAgain "forgotten workers that polled again",
    Settled "restored databases that settled",
    Converged "runs whose workers all arrived",
    FinalReceipt "runs whose last receipt became complete",
}

/// A count of each.
#[derive(Debug, Clone)]
pub struct Coverage([u64; Thing::ALL.len()]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; Thing::ALL.len()])
    }
}

impl Index<Thing> for Coverage {
    type Output = u64;

    fn index(&self, thing: Thing) -> &u64 {
        &self.0[thing as usize]
    }
}

impl IndexMut<Thing> for Coverage {
    fn index_mut(&mut self, thing: Thing) -> &mut u64 {
        &mut self.0[thing as usize]
    }
}

impl AddAssign<&Self> for Coverage {
    fn add_assign(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }
}

impl Coverage {
    /// What never happened.
    pub fn missing(&self) -> Vec<Thing> {
        Thing::ALL.into_iter().filter(|thing| self[*thing] == 0).collect()
    }
}
