//! Requests to one Envoy, as fast as it answers: each connection has one under way.
//!
//! One thread goes round the connections: it waits for the answer on one, sends the next request there, and goes on to
//! the next connection. All others have a request under way meanwhile, so that Envoy has always something to do. That
//! takes two system calls for each request, about a quarter of what Envoy needs, and no library. A request is sent when
//! the answer before has come, never several at once: Envoy would read those with one system call, as no client has it.
//!
//! Each answer is checked. One that is not as expected, or none within [`PATIENCE`], ends the run.

use std::time::{Duration, Instant};

use super::answer::Answer;
use super::connection::{Connection, PATIENCE};
use super::texts::Texts;

const PAUSE: Duration = Duration::from_millis(20);

/// Connections to one Envoy, and what is sent on each.
#[derive(Debug)]
pub struct Load {
    pub(super) connections: Vec<Connection>,
    pub(super) texts: Texts,
    pub(super) answer: Answer,
}

/// What came of a time of requests.
#[derive(Debug, Clone, Copy)]
pub struct Served {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// How many were answered.
    pub requests: u64,
}

impl Load {
    /// Requests that have this answer.
    pub fn new(connections: Vec<Connection>, texts: Texts, answer: Answer) -> Self {
        Self { connections, texts, answer }
    }

    /// Waits until the answers on all connections are the expected ones, three times in a row.
    pub fn wait_until_expected(&mut self) {
        let start = Instant::now();
        let mut in_a_row = 0;
        while in_a_row < 3 {
            let request = self.texts.next();
            self.connections.iter_mut().for_each(|connection| connection.send(request));
            let answers = self.connections.iter_mut().map(Connection::receive);
            let wrong = answers.filter_map(|answer| self.answer.differs(answer)).last();
            in_a_row = if wrong.is_none() { in_a_row + 1 } else { 0 };
            if let Some(wrong) = wrong {
                assert!(start.elapsed() < PATIENCE, "{wrong}");
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Sends one request that must be refused, whatever the others get.
    pub fn expect_refusal(&mut self, request: &[u8]) {
        let connection = &mut self.connections[0];
        connection.send(request);
        check(Answer::UNAUTHORIZED.differs(connection.receive()));
    }

    /// Sends requests for this time, and waits for all answers.
    pub fn run(&mut self, duration: Duration) -> Served {
        self.run_while(|_, elapsed| elapsed < duration)
    }

    /// The same until each text was sent once besides.
    pub fn run_through(&mut self, duration: Duration) {
        let texts = self.texts.different();
        self.run_while(|requests, elapsed| elapsed < duration || requests < texts);
    }

    fn run_while(&mut self, goes_on: impl Fn(u64, Duration) -> bool) -> Served {
        let start = Instant::now();
        let mut requests = 0;
        for connection in &mut self.connections {
            connection.send(self.texts.next());
        }
        'rounds: loop {
            for place in 0..self.connections.len() {
                self.take(place);
                requests += 1;
                if !goes_on(requests, start.elapsed()) {
                    // Every connection but this one has a request under way.
                    let others = (0..self.connections.len()).filter(|other| *other != place);
                    requests += others.map(|other| self.take(other)).count() as u64;
                    break 'rounds;
                }
                self.connections[place].send(self.texts.next());
            }
        }
        Served { wall: start.elapsed(), requests }
    }

    fn take(&mut self, place: usize) {
        check(self.answer.differs(self.connections[place].receive()));
    }
}

/// Ends the run for an answer that differs.
pub(super) fn check(wrong: Option<String>) {
    if let Some(wrong) = wrong {
        panic!("{wrong}");
    }
}
