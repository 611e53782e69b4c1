//! A load on an Envoy: one request, over and over, on many connections that are kept alive, and what came of it.
//!
//! Each connection sends, waits for the whole answer, and sends again. What came is told by the phase in which a request
//! was sent: a test turns to the next one when something has changed, and requests of the new phase were all sent after
//! that. Everything is counted, and whatever is no answer fails the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an answer, and what a test waits for, may take before the test gives up. Answers take milliseconds and the
/// longest load some seconds, on a machine that is not busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a test that waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Callers that call. Dropping it ends them.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

/// How hard callers call.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// On how many connections.
    pub connections: usize,
    /// For how long each of them pauses after an answer.
    pub pause: Duration,
}

/// What came of the requests of one phase.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By status.
    pub answers: BTreeMap<u16, Answers>,
    /// When the first request was sent.
    pub first_sent: Option<Instant>,
    /// The longest time from a request's sending until all of its answer had come.
    pub slowest: Duration,
}

/// All answers with one status.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    /// How many.
    pub count: u64,
    /// When the first of them had come.
    pub first_came: Instant,
    /// When the last of their requests was sent.
    pub last_sent: Instant,
    /// When the last of them had come.
    pub last_came: Instant,
}

#[derive(Debug)]
struct Shared {
    request: String,
    pause: Duration,
    stopping: AtomicBool,
    phases: Mutex<Vec<Tally>>,
}

impl Tally {
    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.answers.get(&status).map_or(0, |answers| answers.count)
    }

    /// Which statuses there were.
    pub fn statuses(&self) -> Vec<u16> {
        self.answers.keys().copied().collect()
    }

    fn note(&mut self, status: u16, sent: Instant, came: Instant) {
        let new = Answers { count: 0, first_came: came, last_sent: sent, last_came: came };
        let answers = self.answers.entry(status).or_insert(new);
        answers.count += 1;
        answers.first_came = answers.first_came.min(came);
        answers.last_sent = answers.last_sent.max(sent);
        answers.last_came = answers.last_came.max(came);
        self.first_sent = Some(self.first_sent.map_or(sent, |first| first.min(sent)));
        self.slowest = self.slowest.max(came - sent);
    }
}

impl Load {
    /// Begins to call a path with a key.
    pub async fn start(address: SocketAddr, pace: Pace, path: &str, secret: &str) -> Self {
        let shared = Arc::new(Shared {
            request: format!("GET {path} HTTP/1.1\r\nhost: load\r\nauthorization: Bearer {secret}\r\n\r\n"),
            pause: pace.pause,
            stopping: AtomicBool::new(false),
            phases: Mutex::new(vec![Tally::default()]),
        });
        // All are there before any calls, as what is limited is to be asked for from everywhere at once.
        let mut streams = Vec::new();
        for _ in 0..pace.connections {
            let stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            streams.push(stream);
        }
        let mut callers = JoinSet::new();
        for stream in streams {
            let caller = Caller { shared: Arc::clone(&shared), stream, received: Vec::new() };
            callers.spawn(caller.run());
        }
        Self { shared, callers }
    }

    /// What has come of all requests so far, of whatever phase, with this status.
    pub fn count(&self, status: u16) -> u64 {
        self.shared.phases().iter().map(|tally| tally.count(status)).sum()
    }

    /// What has come so far of the requests of this phase.
    pub fn tally(&self) -> Tally {
        self.shared.phases().last().cloned().expect("a phase")
    }

    /// Requests that are sent from now on belong to the next phase.
    pub fn turn(&self) {
        self.shared.phases().push(Tally::default());
    }

    /// Waits until this is so of the load.
    pub async fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}: {:?}", self.tally());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops when all answers have come. What came of each phase.
    pub async fn stop(self) -> Vec<Tally> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // A caller that has failed fails the test here.
        self.callers.join_all().await;
        self.shared.phases().clone()
    }
}

impl Shared {
    fn phases(&self) -> MutexGuard<'_, Vec<Tally>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection.
struct Caller {
    shared: Arc<Shared>,
    stream: TcpStream,
    received: Vec<u8>,
}

impl Caller {
    async fn run(mut self) {
        while !self.shared.stopping.load(Ordering::SeqCst) {
            let phase = self.shared.phases().len() - 1;
            let sent = Instant::now();
            self.stream.write_all(self.shared.request.as_bytes()).await.expect("a request is sent");
            let status = timeout(PATIENCE, self.answer()).await.expect("an answer in time");
            let came = Instant::now();
            self.shared.phases()[phase].note(status, sent, came);
            if !self.shared.pause.is_zero() {
                tokio::time::sleep(self.shared.pause).await;
            }
        }
    }

    /// Reads one whole answer; its status.
    async fn answer(&mut self) -> u16 {
        self.received.clear();
        loop {
            let size = self.stream.read_buf(&mut self.received).await.expect("an answer");
            assert!(size > 0, "the connection was closed: {}", String::from_utf8_lossy(&self.received));
            if let Some((status, length)) = parse(&self.received) {
                // Nothing was asked for yet that could come after this answer.
                assert!(self.received.len() <= length, "more than an answer");
                if self.received.len() == length {
                    return status;
                }
            }
        }
    }
}

/// Status and length of an answer whose head is there.
fn parse(received: &[u8]) -> Option<(u16, usize)> {
    let head = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&received[..head]).expect("a head in ASCII");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a body of known length");
    Some((status, head + body.parse::<usize>().expect("a length")))
}
