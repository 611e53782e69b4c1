//! A connection to an Envoy, with at most one request under way.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::apis::ANSWER_KIB;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any answer.
const ANSWER_BYTES_MAX: usize = (ANSWER_KIB + 4) * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"\r\ncontent-length: ";

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
    filled: usize,
    sent: Instant,
}

impl Connection {
    /// Opens it.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a connection without delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connection with patience");
        Self { stream, bytes: vec![0; ANSWER_BYTES_MAX], filled: 0, sent: Instant::now() }
    }

    /// Makes it one for [`Connection::receive`], which waits, or one for [`Connection::look`], which does not.
    pub fn set_waiting(&self, is_waiting: bool) {
        self.stream.set_nonblocking(!is_waiting).expect("a connection of this kind");
    }

    /// Sends a request.
    pub fn send(&mut self, request: &[u8]) {
        self.filled = 0;
        self.sent = Instant::now();
        self.stream.write_all(request).expect("a request is sent");
    }

    /// Waits for the answer.
    pub fn receive(&mut self) -> &[u8] {
        while !is_whole(&self.bytes[..self.filled]) {
            let size = self.stream.read(&mut self.bytes[self.filled..]).expect("an answer");
            self.take(size);
        }
        &self.bytes[..self.filled]
    }

    /// The answer, if it has come.
    pub fn look(&mut self) -> Option<&[u8]> {
        match self.stream.read(&mut self.bytes[self.filled..]) {
            Ok(size) => self.take(size),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(self.sent.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
                return None;
            }
            Err(error) => panic!("no answer: {error}"),
        }
        let answer = &self.bytes[..self.filled];
        is_whole(answer).then_some(answer)
    }

    fn take(&mut self, size: usize) {
        let so_far = &self.bytes[..self.filled];
        assert!(size > 0, "an answer without an end: {}", String::from_utf8_lossy(so_far));
        self.filled += size;
    }
}

/// Whether this is an answer with its whole body.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = memmem::find(answer, END_OF_HEAD) else { return false };
    let length = memmem::find(&answer[..head], LENGTH).map(|place| &answer[place + LENGTH.len()..head]);
    let digits = length.expect("a content-length").iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() >= head + END_OF_HEAD.len() + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"a\": \"b\"}\r\n";
        assert!(is_whole(answer));
        assert!((0..answer.len()).all(|size| !is_whole(&answer[..size])));
    }
}
