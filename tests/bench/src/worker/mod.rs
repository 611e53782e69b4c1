//! A worker: one TCP connection, one long poll after another, exactly as a filter asks.
//!
//! Most workers only follow ([`Follower`]): they check each page's CRC and read its header, which costs less than
//! rendering it did, as the generator shares a machine with what it measures. A few are real (`Replica`) and end up with
//! a directory that can be compared with the database.
//!
//! What a worker does is noted at its [`Station`]: above all when it had sent each poll that acknowledges something new.
//! A failure of any kind is noted, the connection closed, and the worker tries again after a worker's pause.

mod answer;
mod follower;
mod mind;
mod skim;
mod station;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::wire::{CHANGES_PATH, MEMORY_HEADER, NODE_HEADER, Poll, WORKER_HEADER};
use portcullis_tests::random::Random;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use answer::{Answer, Incoming, Unusable};
use mind::NotFollowed;

pub use follower::Follower;
pub use mind::Mind;
pub use station::Station;

/// How long a filter waits for an answer.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// What is read goes through here, so that a thousand waiting workers need no buffers.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What makes one worker.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The sync port.
    pub sync: SocketAddr,
    /// Its gateway's token.
    pub token: String,
    /// Its name.
    pub name: String,
    /// Its Envoy's node id.
    pub node: String,
}

impl Identity {
    fn request(&self, poll: Poll) -> String {
        let Self { token, name, node, .. } = self;
        format!(
            "GET {CHANGES_PATH}?{poll} HTTP/1.1\r\nhost: portcullis\r\nauthorization: Bearer {token}\r\n\
             {WORKER_HEADER}: {name}\r\n{NODE_HEADER}: {node}\r\n{MEMORY_HEADER}: 1048576\r\n\r\n"
        )
    }
}

/// A worker.
#[derive(Debug)]
pub struct Worker<M> {
    identity: Identity,
    mind: M,
    station: Arc<Station>,
    random: Random,
    started: Instant,
    connection: Option<TcpStream>,
}

/// Why a poll got no page that could be used.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the connection: {0}")]
    Connection(#[from] io::Error),
    #[error("no answer within {} s", POLL_TIMEOUT.as_secs())]
    Silence,
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    NotFollowed(#[from] NotFollowed),
}

impl<M: Mind> Worker<M> {
    /// A worker that has nothing yet.
    pub fn new(identity: Identity, mind: M, station: Arc<Station>, random: Random) -> Self {
        Self { identity, mind, station, random, started: Instant::now(), connection: None }
    }

    /// Polls until it is dropped.
    pub async fn run(mut self) {
        loop {
            if let Err(failure) = self.poll_once().await {
                self.connection = None;
                self.station.failed(failure.to_string());
                let random = u32::try_from(self.random.below(u32::MAX.into())).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(self.mind.failed(random))).await;
            }
        }
    }

    async fn poll_once(&mut self) -> Result<(), Failure> {
        let poll = self.mind.poll(self.now_ms());
        let is_new = self.connection.is_none();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.identity.sync).await?,
        };
        connection.write_all(self.identity.request(poll).as_bytes()).await?;
        self.station.polled(poll, is_new);
        let answer = tokio::time::timeout(POLL_TIMEOUT, read::<M::Incoming>(&connection)).await;
        let (page, bytes) = answer.map_err(|_| Failure::Silence)??;
        self.station.answered(bytes);
        self.connection = Some(connection);
        let now_ms = self.now_ms();
        Ok(self.mind.answered(poll, page, now_ms)?)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

/// Reads one answer: its page, and how many bytes came.
async fn read<I: Incoming>(connection: &TcpStream) -> Result<(I::Page, usize), Failure> {
    let (mut answer, mut bytes) = (Answer::<I>::new(), 0);
    loop {
        connection.readable().await?;
        match read_some(connection, &mut answer) {
            Ok((size, done)) => {
                bytes += size;
                if done {
                    return Ok((answer.finish()?, bytes));
                }
            }
            Err(Failure::Connection(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Reads what there is: how many bytes, and whether they end the answer.
fn read_some<I: Incoming>(connection: &TcpStream, answer: &mut Answer<I>) -> Result<(usize, bool), Failure> {
    BUFFER.with_borrow_mut(|buffer| match connection.try_read(buffer)? {
        0 => Err(Failure::Connection(io::ErrorKind::UnexpectedEof.into())),
        size => Ok((size, answer.take(&buffer[..size])?)),
    })
}
