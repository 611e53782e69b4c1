//! A page that is checked without being kept: its CRC-32, and its first line.
//!
//! A page of a known length ends with a line of a known length, so the bytes before that line can be summed up as they
//! come. What is held is the first line and the last. It fails as [`PageError`] says, records aside: nobody reads them.

use portcullis_core::wire::{Header, PageError};
use serde::Deserialize;

use super::answer::Incoming;

/// The last line, `{"end":{"crc32":"cbf43926"}}` and a line feed.
const END_BYTES: usize = 29;

/// A page on its way.
#[derive(Debug)]
pub struct Skim {
    /// How many bytes of the content, which is all but the last line, are still to come.
    content_left: usize,
    crc: crc32fast::Hasher,
    first: Vec<u8>,
    first_is_whole: bool,
    last: Vec<u8>,
}

#[derive(Deserialize)]
struct First {
    page: Header,
}

#[derive(Deserialize)]
struct Last {
    end: End,
}

#[derive(Deserialize)]
struct End {
    crc32: String,
}

impl Incoming for Skim {
    type Page = Header;

    fn begin(length: usize) -> Self {
        Self {
            content_left: length.saturating_sub(END_BYTES),
            crc: crc32fast::Hasher::new(),
            first: Vec::new(),
            first_is_whole: false,
            last: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let (content, last) = bytes.split_at(self.content_left.min(bytes.len()));
        self.content_left -= content.len();
        self.crc.update(content);
        if !self.first_is_whole {
            let end = content.iter().position(|byte| *byte == b'\n');
            self.first_is_whole = end.is_some();
            self.first.extend_from_slice(&content[..end.unwrap_or(content.len())]);
        }
        self.last.extend_from_slice(last);
    }

    /// The header, if the last line vouches for all that came.
    fn finish(self) -> Result<Header, PageError> {
        let last: Last = serde_json::from_slice(&self.last).map_err(|_| PageError::Damaged)?;
        if last.end.crc32 != format!("{:08x}", self.crc.finalize()) {
            return Err(PageError::Damaged);
        }
        let first: First = serde_json::from_slice(&self.first).map_err(|_| PageError::Header)?;
        Ok(first.page)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::digest::Digest;
    use portcullis_core::wire::{Body, Content, Epoch, Record};

    use super::*;

    fn page() -> (Header, Vec<u8>) {
        let mut body = Body::default();
        for number in 0..100_u8 {
            assert!(body.push(&Record::DeleteKey(Digest::of(&[number]))).unwrap());
        }
        let content = Content::Delta { from: 3, to: 103, more: false };
        let header = Header { poll: 7, epoch: Epoch::from_number(9), now_ms: 1, lease: None, content };
        let page = body.page(&header).unwrap();
        (header, page)
    }

    fn skimmed(page: &[u8], piece: usize) -> Result<Header, PageError> {
        let mut skim = Skim::begin(page.len());
        page.chunks(piece).for_each(|bytes| skim.take(bytes));
        skim.finish()
    }

    #[test]
    fn a_page_in_pieces_of_any_size_is_the_page() {
        let (header, page) = page();
        for piece in [1, 2, 28, 29, 30, 1000, page.len()] {
            assert_eq!(skimmed(&page, piece), Ok(header), "{piece}");
        }
    }

    #[test]
    fn a_page_with_any_byte_changed_or_cut_off_is_none() {
        let (_, page) = page();
        for place in 0..page.len() {
            let mut changed = page.clone();
            changed[place] ^= 0x20;
            // The case of the end's own letters aside, which says the same or is no JSON.
            assert!(skimmed(&changed, 500).is_err(), "{place}");
            assert!(skimmed(&page[..place], 500).is_err(), "{place}");
        }
    }
}
