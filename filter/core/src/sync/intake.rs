//! How a page is taken in: read to its end first, then applied, both by slices.
//!
//! A page is read and looked through before any of its records is used, so that a bad one anywhere in it leaves
//! everything as it was. What is built aside is then filled by slices. A delta to the directory that serves is applied
//! in one go: requests must not see half a revision.

use std::vec;

use crate::api;
use crate::wire::{Ask, Content, Cursor, Header, OpenPage, Poll, Record};

use super::copy::{Copy, Staging};
use super::{Rejection, Replica};

/// A poll, and when it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) poll: Poll,
    pub(super) at_ms: u64,
}

/// The answer to a poll, without its records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) sent: Sent,
    pub(super) header: Header,
    pub(super) arrived_ms: u64,
}

/// A page that is being taken in.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) answer: Answer,
    pub(super) phase: Phase,
}

/// How far a page has been taken in.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a worker has one, and moves it a few times a page")]
pub(super) enum Phase {
    /// Its records are being read.
    Reading(Reading),
    /// They are being added to what is built aside.
    Filling(Box<Filling>),
}

/// A page and what has been read of it.
#[derive(Debug)]
pub(super) struct Reading {
    page: OpenPage<Vec<u8>>,
    records: Vec<Record>,
}

/// What is built aside, and what is still to be added to it.
#[derive(Debug)]
pub(super) struct Filling {
    staging: Staging,
    records: vec::IntoIter<Record>,
    added: usize,
}

impl Phase {
    /// The beginning.
    pub(super) const fn of(page: OpenPage<Vec<u8>>) -> Self {
        Self::Reading(Reading { page, records: Vec::new() })
    }
}

impl Reading {
    /// Reads on. True at the page's end.
    fn advance(&mut self, bytes_max: usize) -> Result<bool, Rejection> {
        let before = self.records.len();
        self.page.read(bytes_max, &mut self.records)?;
        let mut new = self.records.iter().enumerate().skip(before);
        match new.find(|(_, record)| !is_sound(record)) {
            Some((index, _)) => Err(Rejection::Record(index)),
            None => Ok(self.page.unread_bytes() == 0),
        }
    }
}

impl Filling {
    fn new(staging: Staging, records: Vec<Record>) -> Self {
        Self { staging, records: records.into_iter(), added: 0 }
    }

    /// Adds more. True when there is nothing more.
    fn advance(&mut self, records_max: usize) -> Result<bool, Rejection> {
        for record in self.records.by_ref().take(records_max.max(1)) {
            self.staging.copy.directory.apply(record).map_err(|_| Rejection::Record(self.added))?;
            self.added = self.added.saturating_add(1);
        }
        Ok(self.records.len() == 0)
    }
}

impl Replica {
    /// Takes in one slice of a page. Gives back what is left to do, or nothing once the page has been used.
    pub(super) fn take_in(&mut self, answer: Answer, phase: Phase) -> Result<Option<Phase>, Rejection> {
        match phase {
            Phase::Reading(mut reading) => {
                if !reading.advance(self.slice.bytes)? {
                    return Ok(Some(Phase::Reading(reading)));
                }
                match self.begin(answer, reading.records)? {
                    Some(filling) => self.fill(answer.header, filling),
                    None => Ok(None),
                }
            }
            Phase::Filling(filling) => self.fill(answer.header, *filling),
        }
    }

    /// Looks what records are for, now that all of a page has been read: a delta is applied, and with anything else
    /// something is to be filled.
    fn begin(&mut self, answer: Answer, records: Vec<Record>) -> Result<Option<Filling>, Rejection> {
        let Header { epoch, content, .. } = answer.header;
        let staging = match (answer.sent.poll.ask, content) {
            (Ask::After { .. }, Content::Delta { from, to, .. }) => {
                let from = Cursor { epoch, revision: from };
                let applied = self.serving.as_mut().map(|serving| serving.advance(from, to, records));
                let applied = applied.unwrap_or(Err(Rejection::Unasked));
                // Whatever kept it from advancing, the next delta would meet it again.
                self.resync |= applied.is_err();
                return applied.map(|()| None);
            }
            (Ask::CatchUp { .. }, Content::Delta { from, to, .. }) => {
                let staging = self.staging.take();
                staging.filter(|staging| staging.copy.precedes(Cursor { epoch, revision: from }, to))
            }
            (Ask::Everything | Ask::Part { .. }, Content::Delta { .. }) => None,
            (_, Content::Snapshot { revision, part: 0, parts, keys }) => {
                Staging::new(Cursor { epoch, revision }, parts, keys).inspect(|_| self.staging = None)
            }
            (Ask::Part { .. }, Content::Snapshot { revision, part, parts, .. }) => {
                let at = Cursor { epoch, revision };
                self.staging.take_if(|staging| staging.wants(at, part, parts))
            }
            (Ask::Everything | Ask::CatchUp { .. } | Ask::After { .. }, Content::Snapshot { .. }) => None,
        };
        let staging = staging.ok_or(Rejection::Unasked)?;
        Ok(Some(Filling::new(staging, records)))
    }

    /// Adds records to what is built aside, and puts that in its place when all are in.
    fn fill(&mut self, header: Header, mut filling: Filling) -> Result<Option<Phase>, Rejection> {
        if !filling.advance(self.slice.records)? {
            return Ok(Some(Phase::Filling(Box::new(filling))));
        }
        let mut staging = filling.staging;
        match header.content {
            Content::Delta { to, more, .. } => {
                staging.copy.at.revision = to;
                if !more {
                    return self.swap_in(staging.copy).map(|()| None);
                }
            }
            Content::Snapshot { .. } => staging.complete_part(),
        }
        self.staging = Some(staging);
        Ok(None)
    }

    /// Lets a snapshot that is whole and up to date serve.
    fn swap_in(&mut self, copy: Copy) -> Result<(), Rejection> {
        if let Some(serving) = &self.serving
            && serving.at.epoch == copy.at.epoch
            && serving.at.revision > copy.at.revision
        {
            let (applied, offered) = (serving.at.revision, copy.at.revision);
            return Err(Rejection::Rollback { applied, offered });
        }
        self.resync = false;
        self.serving = Some(copy);
        Ok(())
    }
}

/// Whether a record can be applied to any directory.
fn is_sound(record: &Record) -> bool {
    match record {
        Record::Api(api) => api::checked(api).is_ok(),
        Record::Key(_)
        | Record::DeleteKey(_)
        | Record::DeleteApi(_)
        | Record::OverBudget(_)
        | Record::WithinBudget(_) => true,
    }
}
