//! The messages of the sync protocol: what a worker asks, and the pages that answer it.
//!
//! A worker asks by `GET` of [`CHANGES_PATH`] with the query that [`Poll`] prints, its gateway's token as bearer
//! token, and the headers [`WORKER_HEADER`], [`NODE_HEADER`] and [`MEMORY_HEADER`] about itself. A page answers
//! it, as lines of JSON, so that `curl` can read it:
//!
//! ```text
//! {"page":{"poll":7,"epoch":"epo_…","now_ms":1790000000000,"content":{"delta":{"from":811,"to":812}}}}
//! {"delete_key":"9f86d081…"}
//! {"key":{"id":"key_…","digest":"60303ae2…","kind":"serverless","organization":"org_…","user":"usr_…"}}
//! {"end":{"crc32":"cbf43926"}}
//! ```
//!
//! - The first line is the [`Header`]. It repeats the number of the poll that it answers, so that a late or
//!   repeated answer is known as one, and carries the control plane's time.
//! - Then one [`Record`] a line. A *delta* holds what changed after revision `from`, as it stands at revision
//!   `to`, deletions first. A *snapshot* holds all there is at one revision, in `parts` pages.
//! - The last line holds the CRC-32 (ISO-HDLC) of every byte before it: a truncated or changed page is no page.
//!
//! A page is checked whole before any of it is used ([`Page::parse`]). Fields that this version does not know
//! are ignored, so that a control plane may be newer than its filters; records that it does not know are an
//! error, because leaving one out could leave a key open.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{ApiId, Id, KeyId, Named, OrganizationId, UserId};
use crate::key::ApiKind;

/// Where a worker asks for changes.
pub const CHANGES_PATH: &str = "/sync/v1/changes";
/// The header in which a worker names itself: a random number, new with each start of its virtual machine.
pub const WORKER_HEADER: &str = "x-portcullis-worker";
/// The header with the node id of the worker's Envoy, or `-`.
pub const NODE_HEADER: &str = "x-portcullis-node";
/// The header with the size of the worker's memory in bytes.
pub const MEMORY_HEADER: &str = "x-portcullis-memory-bytes";
/// The longest page, in bytes, header and end included.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// What a page's first and last line may take of that.
const FRAME_BYTES_MAX: usize = 1024;

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

/// The first line of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The number of the poll that this page answers.
    pub poll: u64,
    /// Whose history this is.
    pub epoch: Epoch,
    /// The control plane's clock when it answered, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// What the records are.
    pub content: Content,
}

/// What the records of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// What changed after `from`, as it stands at `to`. Without records when the wait ended with nothing new.
    Delta {
        /// The revision that the worker has.
        from: Revision,
        /// The revision that it has once this page is applied.
        to: Revision,
        /// Whether the control plane knew of more than fits into this page.
        #[serde(default, skip_serializing_if = "is_false")]
        more: bool,
    },
    /// A part of all there is at `revision`.
    Snapshot {
        /// The one revision that all parts show.
        revision: Revision,
        /// Which part this is, counted from 0.
        part: u32,
        /// How many parts there are.
        parts: u32,
        /// How many keys all parts hold together, so that a table can be sized once.
        keys: u32,
    },
}

/// What serde asks before it leaves a field out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// One line between a page's header and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// No key has this digest any more.
    DeleteKey(Digest),
    /// This API is no more.
    DeleteApi(ApiId),
    /// This API is new or has changed.
    Api(ApiRecord),
    /// The key with this digest is new or has changed.
    Key(KeyRecord),
}

/// All that a worker knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The key's id, which a reissue keeps.
    pub id: KeyId,
    /// The digest of its secret.
    pub digest: Digest,
    /// Which kind of API it opens.
    pub kind: ApiKind,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// Who issued it.
    pub user: UserId,
    /// The first millisecond since the Unix epoch at which it is no longer valid; absent if it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// The APIs to which it is confined; absent if it opens every API of its kind and organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<ApiId>>,
}

/// All that a worker knows of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// The API's id.
    pub id: ApiId,
    /// Which keys open it.
    pub kind: ApiKind,
    /// The owner of a dedicated API; absent for a serverless one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The hosts for which it answers, lower case and without port; empty for every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The path prefix under which it answers, see [`crate::path::Prefix`].
    pub path_prefix: String,
    /// Whether the upstream is shown the caller's `Authorization` header.
    #[serde(default)]
    pub forward_credential: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    Page(Header),
    End { crc32: String },
}

/// The records of a page, rendered once and shared by every answer that holds them.
#[derive(Clone, Default)]
pub struct Body {
    lines: Vec<u8>,
    crc: crc32fast::Hasher,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.lines.len())
    }
}

impl Body {
    /// Adds one record, or gives it back unused when the page has no room left for it.
    pub fn push(&mut self, record: &Record) -> Result<bool, serde_json::Error> {
        let start = self.lines.len();
        serde_json::to_writer(&mut self.lines, record)?;
        self.lines.push(b'\n');
        if start > 0 && self.lines.len() > PAGE_BYTES_MAX - FRAME_BYTES_MAX {
            self.lines.truncate(start);
            return Ok(false);
        }
        self.crc.update(self.lines.get(start..).unwrap_or_default());
        Ok(true)
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The page with this header: lines of JSON, ready to be sent.
    pub fn page(&self, header: &Header) -> Result<Vec<u8>, serde_json::Error> {
        let mut page = Vec::with_capacity(self.lines.len().saturating_add(FRAME_BYTES_MAX));
        serde_json::to_writer(&mut page, &Frame::Page(*header))?;
        page.push(b'\n');
        let mut crc = crc32fast::Hasher::new();
        crc.update(&page);
        crc.combine(&self.crc);
        page.extend_from_slice(&self.lines);
        let crc32 = format!("{:08x}", crc.finalize());
        serde_json::to_writer(&mut page, &Frame::End { crc32 })?;
        page.push(b'\n');
        Ok(page)
    }
}

/// A page that has been checked whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its first line.
    pub header: Header,
    /// Its records, in their order.
    pub records: Vec<Record>,
}

/// Why some bytes are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// There is no last line, or not the one of these bytes.
    #[error("the page is truncated or corrupt")]
    Damaged,
    /// The first line does not say what a page says.
    #[error("the page's header is not understood")]
    Header,
    /// A record is not understood.
    #[error("record {0} of the page is not understood")]
    Record(usize),
}

impl Page {
    /// Reads a page, the whole of it or nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, PageError> {
        let mut lines = checked(bytes)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let first = lines.next().ok_or(PageError::Header)?;
        let Ok(Frame::Page(header)) = serde_json::from_slice(first) else {
            return Err(PageError::Header);
        };
        let records = lines
            .enumerate()
            .map(|(index, line)| serde_json::from_slice(line).map_err(|_| PageError::Record(index)))
            .collect::<Result<_, _>>()?;
        Ok(Self { header, records })
    }
}

/// The bytes before the last line, if the last line vouches for them.
fn checked(bytes: &[u8]) -> Result<&[u8], PageError> {
    let whole = bytes.strip_suffix(b"\n").ok_or(PageError::Damaged)?;
    let newline = whole.iter().rposition(|byte| *byte == b'\n').ok_or(PageError::Damaged)?;
    let (content, last) = whole.split_at_checked(newline.saturating_add(1)).ok_or(PageError::Damaged)?;
    let Ok(Frame::End { crc32 }) = serde_json::from_slice(last) else {
        return Err(PageError::Damaged);
    };
    (crc32 == format!("{:08x}", crc32fast::hash(content))).then_some(content).ok_or(PageError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arbitrary_record() -> impl Strategy<Value = Record> {
        let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
        let id = any::<u64>();
        let kind = prop::sample::select(ApiKind::ALL.to_vec());
        let apis = prop::option::of(prop::collection::vec(id.prop_map(ApiId::from_number), 0..4));
        let key = (id, digest.clone(), kind.clone(), id, id, prop::option::of(id), apis).prop_map(
            |(key, digest, kind, organization, user, expires_at_ms, apis)| {
                Record::Key(KeyRecord {
                    id: KeyId::from_number(key),
                    digest,
                    kind,
                    organization: OrganizationId::from_number(organization),
                    user: UserId::from_number(user),
                    expires_at_ms,
                    apis,
                })
            },
        );
        let hosts = prop::collection::vec("[a-z.]{1,8}", 0..3);
        let api = (id, kind, prop::option::of(id), hosts, "/[a-z]{0,8}", any::<bool>()).prop_map(
            |(api, kind, organization, hosts, path_prefix, forward_credential)| {
                Record::Api(ApiRecord {
                    id: ApiId::from_number(api),
                    kind,
                    organization: organization.map(OrganizationId::from_number),
                    hosts,
                    path_prefix,
                    forward_credential,
                })
            },
        );
        prop_oneof![
            digest.prop_map(Record::DeleteKey),
            id.prop_map(|id| Record::DeleteApi(ApiId::from_number(id))),
            key,
            api,
        ]
    }

    fn arbitrary_page() -> impl Strategy<Value = (Page, Vec<u8>)> {
        let content = prop_oneof![
            any::<(u64, u64, bool)>().prop_map(|(from, to, more)| Content::Delta { from, to, more }),
            any::<(u64, u32, u32, u32)>()
                .prop_map(|(revision, part, parts, keys)| { Content::Snapshot { revision, part, parts, keys } }),
        ];
        let records = prop::collection::vec(arbitrary_record(), 0..8);
        (any::<(u64, u64, u64)>(), content, records).prop_map(|((poll, epoch, now_ms), content, records)| {
            let epoch = Epoch::from_number(epoch);
            let header = Header { poll, epoch, now_ms, content };
            let mut body = Body::default();
            for record in &records {
                assert!(body.push(record).unwrap());
            }
            let bytes = body.page(&header).unwrap();
            (Page { header, records }, bytes)
        })
    }

    proptest! {
        #[test]
        fn every_page_survives_the_wire((page, bytes) in arbitrary_page()) {
            prop_assert_eq!(Page::parse(&bytes), Ok(page));
        }

        #[test]
        fn a_truncated_page_is_no_page((_, bytes) in arbitrary_page(), cut in any::<prop::sample::Index>()) {
            prop_assert!(Page::parse(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn a_page_with_a_changed_byte_is_no_page(
            (page, bytes) in arbitrary_page(),
            place in any::<prop::sample::Index>(),
            flip in 1_u8..=255,
        ) {
            let mut changed = bytes.clone();
            changed[place.index(bytes.len())] ^= flip;
            // A changed byte in the frame of the last line may still say the same.
            if let Ok(read) = Page::parse(&changed) {
                prop_assert_eq!(read, page);
            }
        }
    }

    #[test]
    fn a_body_that_is_full_takes_no_more_and_stays_whole() {
        let mut body = Body::default();
        let record = Record::DeleteKey(Digest::of(b"x"));
        let mut pushed = 0;
        while body.push(&record).unwrap() {
            pushed += 1;
        }
        let header = Header {
            poll: u64::MAX,
            epoch: Epoch::from_number(1),
            now_ms: u64::MAX,
            content: Content::Delta { from: u64::MAX, to: u64::MAX, more: true },
        };
        let page = body.page(&header).unwrap();
        assert!(page.len() <= PAGE_BYTES_MAX);
        assert_eq!(Page::parse(&page).unwrap().records.len(), pushed);
    }

    #[test]
    fn a_record_of_an_unknown_sort_is_refused_and_an_unknown_field_is_not() {
        let line = |line: &str| {
            let header =
                r#"{"page":{"poll":0,"epoch":"epo_0000000000000","now_ms":0,"content":{"delta":{"from":0,"to":1}}}}"#;
            let content = format!("{header}\n{line}\n");
            let crc = crc32fast::hash(content.as_bytes());
            format!("{content}{{\"end\":{{\"crc32\":\"{crc:08x}\"}}}}\n")
        };
        let known = line(r#"{"api":{"id":"api_0000000000000","kind":"serverless","path_prefix":"/","new":1}}"#);
        assert!(Page::parse(known.as_bytes()).is_ok());
        let unknown = line(r#"{"quota":{"id":"api_0000000000000"}}"#);
        assert_eq!(Page::parse(unknown.as_bytes()), Err(PageError::Record(0)));
    }

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
