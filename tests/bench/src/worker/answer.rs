//! One answer of HTTP/1.1, as it comes off the wire: a state machine without I/O.
//!
//! It knows as much of HTTP as the sync port speaks: a status, a `Content-Length`, a body. An answer without a length is
//! an error, and so is one that is not 200; its body is read to the end, so that the connection can go on.

use portcullis_core::wire::PageError;

/// The longest head that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A page on its way: what is made of a body as it comes.
pub trait Incoming {
    /// What there is in the end.
    type Page;
    /// Nothing has come of a page of this many bytes.
    fn begin(length: usize) -> Self;
    /// Takes the next bytes.
    fn take(&mut self, bytes: &[u8]);
    /// The page, once all of it has come.
    fn finish(self) -> Result<Self::Page, PageError>;
}

/// A page that is kept as it is, unchecked.
impl Incoming for Vec<u8> {
    type Page = Self;

    fn begin(length: usize) -> Self {
        Self::with_capacity(length)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn finish(self) -> Result<Self, PageError> {
        Ok(self)
    }
}

/// Why an answer is no page.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its head cannot be read.
    #[error("this is no answer of the sync port: {0}")]
    Head(String),
    /// It is a refusal.
    #[error("status {0}")]
    Status(u16),
    /// It is no page.
    #[error(transparent)]
    Page(#[from] PageError),
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answer<I> {
    head: Vec<u8>,
    body: Option<Body<I>>,
}

#[derive(Debug)]
struct Body<I> {
    left: usize,
    content: Result<I, u16>,
}

impl<I: Incoming> Answer<I> {
    /// Nothing has come yet.
    pub const fn new() -> Self {
        Self { head: Vec::new(), body: None }
    }

    /// Takes the next bytes; whether that was all.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, Unusable> {
        if let Some(body) = &mut self.body {
            return Ok(body.take(bytes));
        }
        let seen = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = end_of_head(&self.head, seen) else {
            if self.head.len() > HEAD_BYTES_MAX {
                return Err(Unusable::Head("it has no end".to_owned()));
            }
            return Ok(false);
        };
        let (head, content) = self.head.split_at(end);
        let mut body = Body::begin(head)?;
        let done = body.take(content);
        self.body = Some(body);
        Ok(done)
    }

    /// The page, if there is one. To be asked once all has come.
    pub fn finish(self) -> Result<I::Page, Unusable> {
        let body = self.body.ok_or_else(|| Unusable::Head("it has not come".to_owned()))?;
        Ok(body.content.map_err(Unusable::Status)?.finish()?)
    }
}

impl<I: Incoming> Body<I> {
    fn begin(head: &[u8]) -> Result<Self, Unusable> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok());
        let (status, left) = status.zip(length).ok_or_else(|| Unusable::Head(head.clone().into_owned()))?;
        let content = if status == 200 { Ok(I::begin(left)) } else { Err(status) };
        Ok(Self { left, content })
    }

    fn take(&mut self, bytes: &[u8]) -> bool {
        // A connection has one question under way, so nothing follows an answer.
        let bytes = &bytes[..bytes.len().min(self.left)];
        self.left -= bytes.len();
        if let Ok(content) = &mut self.content {
            content.take(bytes);
        }
        self.left == 0
    }
}

/// Where the body begins, if the head is whole. It did not end in its first `seen` bytes.
fn end_of_head(head: &[u8], seen: usize) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let from = seen.saturating_sub(END.len());
    let place = head[from..].windows(END.len()).position(|window| window == END)?;
    Some(from + place + END.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(answer: &str, piece: usize) -> Result<Vec<u8>, Unusable> {
        let mut taken = Answer::<Vec<u8>>::new();
        let mut pieces = answer.as_bytes().chunks(piece).peekable();
        while let Some(bytes) = pieces.next() {
            assert_eq!(taken.take(bytes)?, pieces.peek().is_none(), "{answer}");
        }
        taken.finish()
    }

    #[test]
    fn an_answer_in_pieces_of_any_size_is_the_answer() {
        let answer = "HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 5\r\n\r\nhello";
        for piece in 1..=answer.len() {
            assert_eq!(taken(answer, piece).unwrap(), b"hello", "{piece}");
        }
    }

    #[test]
    fn a_refusal_is_read_to_its_end_and_told() {
        let refused = taken("HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nno\n", 4);
        assert!(matches!(refused, Err(Unusable::Status(401))), "{refused:?}");
    }

    #[test]
    fn an_answer_without_a_length_is_an_error() {
        let endless = taken("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 100);
        assert!(matches!(endless, Err(Unusable::Head(_))), "{endless:?}");
    }
}
