//! What one poll gets: a delta, a snapshot, nothing yet, or a refusal.
//!
//! [`answer`] is asked when a poll comes, and again whenever the head or the gateway has changed while the poll waits.
//!
//! Several control planes may share a database, and each hears of the others' commits a little late. For a worker that
//! serves already that is only a delay. But some answers must not rest on an old head, so the database is looked
//! at first ([`Answer::LookFirst`]):
//!
//! - the one that lets a newcomer begin to serve: a receipt may have been completed before it was counted, and so
//!   without it;
//! - the one that lets a worker go on for longer than it might before: a receipt may have counted it as stopped;
//! - a refusal, because the worker may have heard the news from another control plane;
//! - a further part of a snapshot that is later than the head: what the gateway serves may have changed with it.
//!
//! Each of these looks comes after what is stored of the worker: whoever commits later finds it stored, and whoever
//! committed before is in what it gets.

use crate::wire::{Ask, Cursor, Epoch, Revision};

/// How many revisions a snapshot may be behind and still be served to newcomers.
pub const LAG_MAX: Revision = 5_000;

/// What is known when a poll is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The epoch of the database.
    pub epoch: Epoch,
    /// The newest revision that is known to be committed.
    pub head: Revision,
    /// Whether the database has shown `head` since the poll came, and since its worker was stored if it had to be.
    pub is_fresh: bool,
    /// The revision at which it last changed what the worker's gateway serves.
    pub scope_revision: Revision,
    /// Changes up to this revision are no longer logged, as far as is known: the log has the last word.
    pub pruned: Revision,
}

impl Known {
    /// The oldest revision from which a worker can go on.
    fn oldest(&self) -> Revision {
        self.scope_revision.max(self.pruned)
    }
}

/// What a poll gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing before the database has been looked at; then this is to be asked again.
    LookFirst,
    /// Nothing yet. If its wait ends without news, it gets a delta without records.
    Hold,
    /// What changed after `from` up to `head`, or as much of it as a page takes; nothing if they are the same. If the
    /// log does not reach back so far, the first part of a snapshot later than `from`.
    Delta {
        /// The revision that the worker has.
        from: Revision,
        /// The newest one.
        head: Revision,
    },
    /// The first part of a snapshot.
    Snapshot(Wanted),
    /// This part of the snapshot at `at`, or if that is no longer there, the first part of [another](Wanted::by_a_newcomer).
    Part {
        /// The snapshot's epoch and revision.
        at: Cursor,
        /// Which part, counted from 0.
        part: u32,
    },
    /// A refusal: the worker knows a future that the database does not, so it was rolled back without a new epoch.
    RolledBack {
        /// The revision that the worker has.
        worker: Revision,
        /// The newest one.
        database: Revision,
    },
}

/// What a snapshot must be to be of use to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The oldest revision from which the worker could go on.
    at_least: Revision,
    /// What the worker has already, and could not go on from.
    beyond: Option<Revision>,
}

impl Wanted {
    /// What a worker needs that has nothing.
    pub fn by_a_newcomer(known: &Known) -> Self {
        Self { at_least: known.oldest(), beyond: None }
    }

    /// What a worker needs that is at `revision`, from where no delta leads on.
    pub fn beyond(revision: Revision, known: &Known) -> Self {
        Self { beyond: Some(revision), ..Self::by_a_newcomer(known) }
    }

    /// Whether a snapshot at this revision will do while `head` is the newest. One that is built now always does.
    pub fn is_met_by(self, snapshot: Revision, head: Revision) -> bool {
        let is_later = self.beyond.is_none_or(|beyond| snapshot > beyond);
        is_later && snapshot >= self.at_least && head.saturating_sub(snapshot) <= LAG_MAX
    }
}

/// What a poll gets that asks for this. `is_promised` says that its worker had to be stored because of it, or that the
/// answer [lengthens](super::fleet::lengthens) the bound on staleness that the worker reports.
pub fn answer(ask: Ask, is_promised: bool, known: &Known) -> Answer {
    let (cursor, is_newcomer, may_wait) = match ask {
        Ask::Everything => return Answer::Snapshot(Wanted::by_a_newcomer(known)),
        Ask::Part { at, part } => return part_of(at, part, known),
        Ask::CatchUp { at } => (at, true, false),
        Ask::After { cursor, wait_ms } => (cursor, false, wait_ms > 0),
    };
    if cursor.epoch != known.epoch {
        return Answer::Snapshot(Wanted::by_a_newcomer(known));
    }
    let (from, head) = (cursor.revision, known.head);
    if !known.is_fresh && (is_newcomer || is_promised || from > head) {
        Answer::LookFirst
    } else if from > head {
        Answer::RolledBack { worker: from, database: head }
    } else if from < known.oldest() {
        Answer::Snapshot(Wanted::beyond(from, known))
    } else if from == head && may_wait {
        Answer::Hold
    } else {
        Answer::Delta { from, head }
    }
}

/// What a poll gets that asks for a further part. Snapshots of one revision differ with what a gateway serves, so which
/// one it is can be told only by who has heard of that revision, and of no later change of that.
fn part_of(at: Cursor, part: u32, known: &Known) -> Answer {
    if at.epoch != known.epoch || at.revision < known.oldest() {
        Answer::Snapshot(Wanted::by_a_newcomer(known))
    } else if at.revision <= known.head {
        Answer::Part { at, part }
    } else if known.is_fresh {
        Answer::Snapshot(Wanted::by_a_newcomer(known))
    } else {
        Answer::LookFirst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REVISIONS: Revision = 12;

    fn known() -> impl Strategy<Value = Known> {
        (0..3_u64, 0..REVISIONS, any::<bool>(), 0..REVISIONS, 0..REVISIONS).prop_map(
            |(epoch, head, is_fresh, scope_revision, pruned)| Known {
                epoch: Epoch::from_number(epoch),
                head,
                is_fresh,
                scope_revision: scope_revision.min(head),
                pruned: pruned.min(head),
            },
        )
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let cursor = (0..3_u64, 0..REVISIONS)
            .prop_map(|(epoch, revision)| Cursor { epoch: Epoch::from_number(epoch), revision });
        prop_oneof![
            Just(Ask::Everything),
            (cursor.clone(), 0..3_u32).prop_map(|(at, part)| Ask::Part { at, part }),
            cursor.clone().prop_map(|at| Ask::CatchUp { at }),
            (cursor, 0..2_u32).prop_map(|(cursor, wait_ms)| Ask::After { cursor, wait_ms }),
        ]
    }

    fn cursor(ask: Ask) -> Option<Cursor> {
        match ask {
            Ask::Everything => None,
            Ask::Part { at, .. } | Ask::CatchUp { at } => Some(at),
            Ask::After { cursor, .. } => Some(cursor),
        }
    }

    proptest! {
        #[test]
        fn a_worker_goes_on_only_from_where_the_log_leads_on(ask in ask(), is_promised: bool, known in known()) {
            match answer(ask, is_promised, &known) {
                Answer::Delta { from, head } => {
                    prop_assert_eq!(Some(Cursor { epoch: known.epoch, revision: from }), cursor(ask));
                    prop_assert_eq!(head, known.head);
                    prop_assert!(from <= head && from >= known.scope_revision && from >= known.pruned);
                }
                Answer::Hold => {
                    let at = Cursor { epoch: known.epoch, revision: known.head };
                    prop_assert_eq!(ask, Ask::After { cursor: at, wait_ms: 1 });
                }
                Answer::RolledBack { worker, database } => {
                    prop_assert_eq!(cursor(ask), Some(Cursor { epoch: known.epoch, revision: worker }));
                    prop_assert!(known.is_fresh && worker > database && database == known.head);
                }
                Answer::Part { at, .. } => {
                    prop_assert_eq!((at.epoch, Some(at)), (known.epoch, cursor(ask)));
                    prop_assert!(at.revision >= known.scope_revision && at.revision >= known.pruned);
                    prop_assert!(at.revision <= known.head);
                }
                Answer::Snapshot(_) | Answer::LookFirst => {}
            }
        }

        #[test]
        fn one_look_at_the_database_is_enough_and_newcomers_need_it(ask in ask(), is_promised: bool, known in known()) {
            let fresh = Known { is_fresh: true, ..known };
            let stale = Known { is_fresh: false, ..known };
            prop_assert_ne!(answer(ask, is_promised, &fresh), Answer::LookFirst);
            let rests_on_the_head = matches!(answer(ask, is_promised, &stale), Answer::Delta { .. } | Answer::Hold);
            let serves_already = matches!(ask, Ask::After { .. });
            prop_assert!(!rests_on_the_head || (serves_already && !is_promised));
        }

        /// Whoever loads the snapshot that it was given can go on from there.
        #[test]
        fn a_snapshot_leads_on(ask in ask(), known in known(), held in 0..REVISIONS) {
            let known = Known { is_fresh: true, ..known };
            let Answer::Snapshot(wanted) = answer(ask, false, &known) else { return Ok(()) };
            // One that is built now is of the head, and a worker that needs it is behind that.
            prop_assert!(wanted.is_met_by(known.head, known.head));
            if held <= known.head && wanted.is_met_by(held, known.head) {
                let at = Cursor { epoch: known.epoch, revision: held };
                let next = answer(Ask::CatchUp { at }, false, &known);
                prop_assert_eq!(next, Answer::Delta { from: held, head: known.head });
            }
        }
    }

    #[test]
    fn an_old_snapshot_is_not_for_newcomers() {
        let known = Known { epoch: Epoch::from_number(1), head: 9_000, is_fresh: true, scope_revision: 0, pruned: 0 };
        let wanted = Wanted::by_a_newcomer(&known);
        assert!(wanted.is_met_by(9_000 - LAG_MAX, 9_000) && !wanted.is_met_by(8_999 - LAG_MAX, 9_000));
        assert!(!Wanted::beyond(4_500, &known).is_met_by(4_500, 9_000));
    }
}
