//! Pages, as they are rendered and as they are read.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Epoch, PAGE_BYTES_MAX, Record, Revision, is_default};

/// What a page's first and last line may take of that.
const FRAME_BYTES_MAX: usize = 1024;

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
    /// How long the worker may go on without hearing more; absent if there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

/// What a worker is told of the time for which it may serve what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// How long a worker of this gateway may go on without contact.
    pub max_staleness_ms: u64,
    /// How long before it answered the control plane last read its database, from which it may be cut off itself:
    /// what the page says held at that moment or later.
    pub age_ms: u64,
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
        #[serde(default, skip_serializing_if = "is_default")]
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

    /// How many bytes its records take.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no record in it.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first and the last line of the page with this header. The records stand between them, and need not be
    /// copied to be sent.
    pub fn frame(&self, header: &Header) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
        let first = line(&Frame::Page(*header))?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&first);
        crc.combine(&self.crc);
        let last = line(&Frame::End { crc32: format!("{:08x}", crc.finalize()) })?;
        Ok((first, last))
    }

    /// The page with this header: lines of JSON, ready to be sent.
    pub fn page(&self, header: &Header) -> Result<Vec<u8>, serde_json::Error> {
        let (first, last) = self.frame(header)?;
        Ok([first.as_slice(), &self.lines, &last].concat())
    }
}

/// The lines of its records.
impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.lines
    }
}

fn line(frame: &Frame) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(frame)?;
    line.push(b'\n');
    Ok(line)
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
        let mut page = OpenPage::open(bytes)?;
        let mut records = Vec::new();
        page.read(usize::MAX, &mut records)?;
        Ok(Self { header: page.header, records })
    }
}

/// A page whose bytes and header have been checked, and whose records are read by and by.
#[derive(Debug, Clone)]
pub struct OpenPage<B> {
    header: Header,
    bytes: B,
    /// Where the next record begins, and where the last line does.
    rest: Range<usize>,
    /// How many records have been read.
    records: usize,
}

impl<B: AsRef<[u8]>> OpenPage<B> {
    /// Checks the bytes of a page and reads its header.
    pub fn open(bytes: B) -> Result<Self, PageError> {
        let content = checked(bytes.as_ref())?;
        let first = content.split_inclusive(|byte| *byte == b'\n').next().ok_or(PageError::Header)?;
        let Ok(Frame::Page(header)) = serde_json::from_slice(first) else {
            return Err(PageError::Header);
        };
        let rest = first.len()..content.len();
        Ok(Self { header, bytes, rest, records: 0 })
    }

    /// Its first line.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// How many bytes are still to be read.
    pub fn unread_bytes(&self) -> usize {
        self.rest.len()
    }

    /// Reads records until `bytes_max` bytes have been gone through or the page ends, but one at least, and adds
    /// them to `records`.
    pub fn read(&mut self, bytes_max: usize, records: &mut Vec<Record>) -> Result<(), PageError> {
        let unread = self.bytes.as_ref().get(self.rest.clone()).unwrap_or_default();
        let start = self.rest.start;
        for line in unread.split_inclusive(|byte| *byte == b'\n') {
            let after = self.rest.start.saturating_add(line.len());
            if self.rest.start > start && after.saturating_sub(start) > bytes_max {
                break;
            }
            self.rest.start = after;
            if line != b"\n" {
                records.push(serde_json::from_slice(line).map_err(|_| PageError::Record(self.records))?);
                self.records = self.records.saturating_add(1);
            }
        }
        Ok(())
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
    use crate::digest::Digest;
    use crate::id::{ApiId, KeyId, OrganizationId, UserId};
    use crate::key::ApiKind;
    use crate::limit::{Mode, Per, Policy, Rule, Unit};
    use crate::wire::{ApiRecord, KeyRecord};
    use proptest::prelude::*;

    fn arbitrary_policy() -> impl Strategy<Value = Policy> {
        let unit = prop::sample::select(vec![Unit::Requests, Unit::Tokens]);
        let mode = prop::sample::select(vec![Mode::Enforce, Mode::Observe]);
        let rule = (unit, any::<(u64, u32, u64)>(), mode)
            .prop_map(|(unit, (limit, window_seconds, burst), mode)| Rule { unit, limit, window_seconds, burst, mode });
        let per = prop::sample::select(vec![Per::Key, Per::User, Per::Organization]);
        (per, prop::collection::vec(rule, 0..3)).prop_map(|(per, rules)| Policy { per, rules })
    }

    fn arbitrary_record() -> impl Strategy<Value = Record> {
        let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
        let id = any::<u64>();
        let kind = prop::sample::select(ApiKind::ALL.to_vec());
        let apis = prop::option::of(prop::collection::vec(id.prop_map(ApiId::from_number), 0..4));
        let key = (id, digest.clone(), kind.clone(), id, id, prop::option::of(id), apis, any::<[bool; 2]>()).prop_map(
            |(key, digest, kind, organization, user, expires_at_ms, apis, [rate_limited, over_budget])| {
                Record::Key(KeyRecord {
                    id: KeyId::from_number(key),
                    digest,
                    kind,
                    organization: OrganizationId::from_number(organization),
                    user: UserId::from_number(user),
                    expires_at_ms,
                    apis,
                    rate_limited,
                    over_budget,
                })
            },
        );
        let hosts = prop::collection::vec("[a-z.]{1,8}", 0..3);
        let policy = prop::option::of(arbitrary_policy());
        let told = (any::<bool>(), policy, any::<u32>(), any::<bool>());
        let api = (id, kind, prop::option::of(id), hosts, "/[a-z]{0,8}", told).prop_map(
            |(api, kind, organization, hosts, path_prefix, told)| {
                let (forward_credential, rate_limit, price_version, count_tokens) = told;
                Record::Api(ApiRecord {
                    id: ApiId::from_number(api),
                    kind,
                    organization: organization.map(OrganizationId::from_number),
                    hosts,
                    path_prefix,
                    forward_credential,
                    rate_limit,
                    price_version,
                    count_tokens,
                })
            },
        );
        prop_oneof![
            digest.prop_map(Record::DeleteKey),
            id.prop_map(|id| Record::DeleteApi(ApiId::from_number(id))),
            id.prop_map(|id| Record::OverBudget(OrganizationId::from_number(id))),
            id.prop_map(|id| Record::WithinBudget(OrganizationId::from_number(id))),
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
        let lease = prop::option::of(any::<(u64, u64)>());
        let lease = lease.prop_map(|lease| lease.map(|(max_staleness_ms, age_ms)| Lease { max_staleness_ms, age_ms }));
        let numbers = any::<(u64, u64, u64)>();
        (numbers, content, lease, records).prop_map(|((poll, epoch, now_ms), content, lease, records)| {
            let epoch = Epoch::from_number(epoch);
            let header = Header { poll, epoch, now_ms, content, lease };
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
        fn a_page_that_is_read_by_and_by_is_the_same_page((page, bytes) in arbitrary_page(), bytes_max in 0_usize..400) {
            let mut open = OpenPage::open(bytes).unwrap();
            prop_assert_eq!(open.header(), page.header);
            let mut records = Vec::new();
            while open.unread_bytes() > 0 {
                let (unread, read) = (open.unread_bytes(), records.len());
                open.read(bytes_max, &mut records).unwrap();
                let gone_through = unread - open.unread_bytes();
                prop_assert!(records.len() == read + 1 || (1..=bytes_max).contains(&gone_through));
            }
            prop_assert_eq!(records, page.records);
        }

        #[test]
        fn a_page_in_three_pieces_is_the_same_page((page, bytes) in arbitrary_page()) {
            let mut body = Body::default();
            for record in &page.records {
                assert!(body.push(record).unwrap());
            }
            let (first, last) = body.frame(&page.header).unwrap();
            prop_assert_eq!([first.as_slice(), body.as_ref(), &last].concat(), bytes);
            prop_assert_eq!(body.len(), body.as_ref().len());
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
            lease: Some(Lease { max_staleness_ms: u64::MAX, age_ms: u64::MAX }),
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
}
