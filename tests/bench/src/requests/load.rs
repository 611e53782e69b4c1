//! Requests to one Envoy, as fast as it answers: each connection has one under way.
//!
//! One thread goes round the connections: it waits for the answer on one, sends the next request there, and goes on to
//! the next connection. All others have a request under way meanwhile, so that Envoy has always something to do. That
//! takes two system calls for each request, about a quarter of what Envoy needs, and no library. A request is sent when
//! the answer before has come, never several at once: Envoy would read those with one system call, as no client has it.
//!
//! Each answer is checked. One that is not as expected, or none within [`PATIENCE`], ends the run.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::variant::{ANSWER_KIB, Answer, LIMIT_HEADERS, Variant};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than any answer.
const ANSWER_BYTES_MAX: usize = (ANSWER_KIB + 4) * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"\r\ncontent-length: ";

/// Connections to one Envoy, and what is sent on each.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
    request: Vec<u8>,
    answer: Answer,
}

/// What came of a time of requests.
#[derive(Debug)]
pub struct Served {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// How long each request took, until its answer was looked at.
    pub times: Vec<Duration>,
}

impl Load {
    /// Connects so often.
    pub fn connect(address: SocketAddr, connections: usize, variant: &Variant, secret: &str) -> Self {
        let Variant { method, path, answer, .. } = *variant;
        let body = if method == "POST" { "content-length: 0\r\n" } else { "" };
        let request = format!(
            "{method} {path}/models HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {secret}\r\n\
            accept: application/json\r\nuser-agent: portcullis-bench\r\n{body}\r\n"
        );
        let connections = (0..connections).map(|_| Connection::open(address)).collect();
        Self { connections, request: request.into_bytes(), answer }
    }

    /// Waits until the answers on all connections are the expected ones, three times in a row.
    pub fn wait_until_expected(&mut self) {
        let start = Instant::now();
        let mut in_a_row = 0;
        while in_a_row < 3 {
            self.connections.iter_mut().for_each(|connection| connection.send(&self.request));
            let answers = self.connections.iter_mut().map(Connection::receive);
            let wrong = answers.filter_map(|answer| self.answer.differs(answer)).last();
            in_a_row = if wrong.is_none() { in_a_row + 1 } else { 0 };
            if let Some(wrong) = wrong {
                assert!(start.elapsed() < PATIENCE, "{}{wrong}", String::from_utf8_lossy(&self.request));
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Sends requests for this time, and waits for all answers.
    pub fn run(&mut self, duration: Duration) -> Served {
        let start = Instant::now();
        let mut times = Vec::with_capacity(131_072);
        self.connections.iter_mut().for_each(|connection| connection.send(&self.request));
        'rounds: loop {
            for place in 0..self.connections.len() {
                self.take(place, &mut times);
                if start.elapsed() >= duration {
                    // Every connection but this one has a request under way.
                    (0..self.connections.len()).filter(|other| *other != place).for_each(|other| {
                        self.take(other, &mut times);
                    });
                    break 'rounds;
                }
                self.connections[place].send(&self.request);
            }
        }
        Served { wall: start.elapsed(), times }
    }

    fn take(&mut self, place: usize, times: &mut Vec<Duration>) {
        let connection = &mut self.connections[place];
        let sent = connection.sent;
        if let Some(wrong) = self.answer.differs(connection.receive()) {
            panic!("{}{wrong}", String::from_utf8_lossy(&self.request));
        }
        times.push(sent.elapsed());
    }
}

impl Answer {
    /// What came, if it is not what this says.
    fn differs(self, answer: &[u8]) -> Option<String> {
        let has = |header: &str| memmem::find(answer, header.as_bytes()).is_some();
        let as_expected = answer.get(9..12) == Some(self.status.as_bytes())
            && LIMIT_HEADERS.iter().all(|header| has(header) == (self.limit_header == Some(*header)));
        (!as_expected).then(|| format!("expected was {self:?}, and this came:\n{}", String::from_utf8_lossy(answer)))
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
    sent: Instant,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a connection without delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connection with patience");
        Self { stream, bytes: vec![0; ANSWER_BYTES_MAX], sent: Instant::now() }
    }

    fn send(&mut self, request: &[u8]) {
        self.sent = Instant::now();
        self.stream.write_all(request).expect("a request is sent");
    }

    /// Reads one answer.
    fn receive(&mut self) -> &[u8] {
        let mut filled = 0;
        while !is_whole(&self.bytes[..filled]) {
            let size = self.stream.read(&mut self.bytes[filled..]).expect("an answer");
            assert!(size > 0, "an answer without an end: {}", String::from_utf8_lossy(&self.bytes[..filled]));
            filled += size;
        }
        &self.bytes[..filled]
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

    const LIMITED: &[u8] = b"HTTP/1.1 200 OK\r\nratelimit: \"a\";r=1\r\ncontent-length: 12\r\n\r\n{\"a\": \"b\"}\r\n";

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        assert!(is_whole(LIMITED));
        assert!((0..LIMITED.len()).all(|size| !is_whole(&LIMITED[..size])));
    }

    #[test]
    fn another_status_or_another_header_is_another_answer() {
        let expected = Answer { status: "200", limit_header: Some(LIMIT_HEADERS[0]) };
        assert_eq!(expected.differs(LIMITED), None);
        assert!(Answer { status: "429", ..expected }.differs(LIMITED).is_some());
        assert!(Answer { limit_header: None, ..expected }.differs(LIMITED).is_some());
        assert!(Answer { limit_header: Some(LIMIT_HEADERS[1]), ..expected }.differs(LIMITED).is_some());
    }
}
