//! What a worker asks, as it is printed and as it is read.

use std::fmt;

use serde::Deserialize;

use super::{Cursor, Epoch, Revision};

/// One question of a worker. Its `Display` is the query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// Counts the polls of one worker; the answer repeats it.
    pub number: u64,
    /// What is asked for.
    pub ask: Ask,
}

/// What a poll asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The worker has nothing: the first part of a snapshot.
    Everything,
    /// A further part, counted from 0, of the snapshot at `at`.
    Part {
        /// The snapshot's epoch and revision.
        at: Cursor,
        /// The part that is missing.
        part: u32,
    },
    /// Whatever came after the snapshot at `at`, of which the worker has every part and which it does not serve yet.
    /// It is answered at once.
    CatchUp {
        /// The snapshot's epoch and revision, or what deltas have made of it since.
        at: Cursor,
    },
    /// Whatever comes after `cursor`, which the worker has applied; it waits up to `wait_ms` for it.
    After {
        /// The last revision applied, which this poll acknowledges.
        cursor: Cursor,
        /// How long the answer may be held back while there is nothing new.
        wait_ms: u32,
    },
}

impl Ask {
    /// What the worker serves and so acknowledges, if it serves anything: what it has of a snapshot does not serve yet.
    pub const fn acknowledges(self) -> Option<Cursor> {
        match self {
            Self::After { cursor, .. } => Some(cursor),
            Self::Everything | Self::Part { .. } | Self::CatchUp { .. } => None,
        }
    }
}

impl fmt::Display for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "poll={}", self.number)?;
        match self.ask {
            Ask::Everything => Ok(()),
            Ask::Part { at, part } => {
                write!(f, "&epoch={}&snapshot={}&part={part}", at.epoch, at.revision)
            }
            Ask::CatchUp { at } => write!(f, "&epoch={}&snapshot={}", at.epoch, at.revision),
            Ask::After { cursor, wait_ms } => {
                write!(f, "&epoch={}&revision={}&wait_ms={wait_ms}", cursor.epoch, cursor.revision)
            }
        }
    }
}

/// The fields of a poll's query string, as the control plane reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollQuery {
    /// See [`Poll::number`]; 0 for a person with `curl`.
    #[serde(default)]
    pub poll: u64,
    /// The epoch of `revision` or `snapshot`.
    pub epoch: Option<Epoch>,
    /// See [`Ask::After`].
    pub revision: Option<Revision>,
    /// See [`Ask::Part`] and [`Ask::CatchUp`].
    pub snapshot: Option<Revision>,
    /// See [`Ask::Part`].
    pub part: Option<u32>,
    /// See [`Ask::After`].
    pub wait_ms: Option<u32>,
}

/// A combination of query fields that asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ask with none of the fields, with epoch and revision, or with epoch, snapshot and perhaps part")]
pub struct PollQueryError;

impl TryFrom<PollQuery> for Poll {
    type Error = PollQueryError;

    fn try_from(query: PollQuery) -> Result<Self, PollQueryError> {
        let ask = match (query.epoch, query.revision, query.snapshot, query.part) {
            (None, None, None, None) => Ask::Everything,
            (Some(epoch), Some(revision), None, None) => {
                Ask::After { cursor: Cursor { epoch, revision }, wait_ms: query.wait_ms.unwrap_or(0) }
            }
            (Some(epoch), None, Some(revision), Some(part)) => Ask::Part { at: Cursor { epoch, revision }, part },
            (Some(epoch), None, Some(revision), None) => Ask::CatchUp { at: Cursor { epoch, revision } },
            _ => return Err(PollQueryError),
        };
        Ok(Self { number: query.poll, ask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_poll_is_read_as_it_was_printed() {
        let at = Cursor { epoch: Epoch::from_number(9), revision: 12 };
        let asks = [
            Ask::Everything,
            Ask::Part { at, part: 3 },
            Ask::CatchUp { at },
            Ask::After { cursor: at, wait_ms: 20_000 },
        ];
        for ask in asks {
            let poll = Poll { number: 7, ask };
            let fields = poll.to_string();
            let mut query = PollQuery::default();
            for (name, value) in fields.split('&').map(|field| field.split_once('=').unwrap()) {
                match name {
                    "poll" => query.poll = value.parse().unwrap(),
                    "epoch" => query.epoch = Some(value.parse().unwrap()),
                    "revision" => query.revision = Some(value.parse().unwrap()),
                    "snapshot" => query.snapshot = Some(value.parse().unwrap()),
                    "part" => query.part = Some(value.parse().unwrap()),
                    "wait_ms" => query.wait_ms = Some(value.parse().unwrap()),
                    other => panic!("unknown field {other}"),
                }
            }
            assert_eq!(Poll::try_from(query), Ok(poll));
        }
    }
}
