//! The messages of the sync protocol: what a worker asks, and the pages that answer it.
//!
//! A worker asks by `GET` of [`CHANGES_PATH`] with the query that [`Poll`] prints, its gateway's token as bearer
//! token, and the headers [`WORKER_HEADER`], [`NODE_HEADER`], [`MEMORY_HEADER`] and [`LEASE_HEADER`] about itself. A
//! page answers it, as lines of JSON, so that `curl` can read it:
//!
//! ```text
//! {"page":{"poll":7,"epoch":"epo_…","now_ms":1790000000000,"content":{"delta":{"from":811,"to":812}}}}
//! {"delete_key":"9f86d081…"}
//! {"key":{"id":"key_…","digest":"60303ae2…","kind":"serverless","organization":"org_…","user":"usr_…"}}
//! {"end":{"crc32":"cbf43926"}}
//! ```
//!
//! - The first line is the [`Header`]. It repeats the number of the poll that it answers, so that a late or
//!   repeated answer is known as one, and carries the control plane's time. If it carries a [`Lease`] too, the
//!   worker refuses requests when it has gone without contact for so long.
//! - Then one [`Record`] a line. A *delta* holds what changed after revision `from`, as it stands at revision
//!   `to`, deletions first. A *snapshot* holds all there is at one revision, in `parts` pages.
//! - The last line holds the CRC-32 (ISO-HDLC) of every byte before it: a truncated or changed page is no page.
//!
//! A page is checked whole before any of it is used ([`Page::parse`], or [`OpenPage`] by and by). Fields that this version does not know
//! are ignored, so that a control plane may be newer than its filters; records that it does not know are an
//! error, because leaving one out could leave a key open.

mod page;
mod poll;
mod record;
mod report;

use crate::id::{Id, Named};

pub use page::{Body, Content, Header, Lease, OpenPage, Page, PageError};
pub use poll::{Ask, Poll, PollQuery, PollQueryError};
pub use record::{ApiRecord, KeyRecord, PRICE_VERSION_FIRST, Record};
pub use report::{AMOUNT_MAX, Counts, REPORT_BYTES_MAX, ROWS_MAX, Receipt, RefusedRow, Report, ReportRow, USAGE_PATH};

/// Where a worker asks for changes.
pub const CHANGES_PATH: &str = "/sync/v1/changes";
/// The header in which a worker names itself: a random number, new with each start of its virtual machine.
pub const WORKER_HEADER: &str = "x-portcullis-worker";
/// The header with the node id of the worker's Envoy, or `-`.
pub const NODE_HEADER: &str = "x-portcullis-node";
/// The header with the size of the worker's memory in bytes.
pub const MEMORY_HEADER: &str = "x-portcullis-memory-bytes";
/// The header that says by which [`Lease`] a worker goes: its `max_staleness_ms` as the last accepted answer said,
/// decimal; left out if that had none.
pub const LEASE_HEADER: &str = "x-portcullis-max-staleness-ms";
/// The longest page, in bytes, header and end included.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Marks the ids of epochs.
#[derive(Debug)]
pub enum EpochMark {}
impl Named for EpochMark {
    const PREFIX: &'static str = "epo";
}
/// The life of one database. It changes when a database is restored or replaced, and with it the meaning of
/// every revision.
pub type Epoch = Id<EpochMark>;

/// A number that grows by one with each committed write, in commit order.
pub type Revision = u64;

/// A point in the history of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Whose history.
    pub epoch: Epoch,
    /// The last revision that has been applied.
    pub revision: Revision,
}

/// What serde asks before it leaves a field out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
