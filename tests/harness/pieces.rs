//! An upstream that answers in pieces: which bytes, and where they are cut, is up to the test.
//!
//! Each piece is a chunk (RFC 9112, section 7.1) in a segment of its own, and what follows is sent a moment later, so that
//! Envoy reads them one by one. It keeps what callers say of encodings.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// The moment between two pieces: long enough to be read apart on a machine that is not too busy.
const PAUSE: Duration = Duration::from_millis(3);

/// An answer.
#[derive(Debug, Clone)]
pub struct Canned {
    /// Its status.
    pub status: u16,
    /// Its header fields, without those about its length.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The upstream. Dropping it ends it.
#[derive(Debug)]
pub struct Pieces {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    answers: Vec<Canned>,
    /// The `Accept-Encoding` of every request.
    encodings: Mutex<Vec<Option<String>>>,
    /// Lets answers to `?hold` go on after their first piece.
    go_on: Semaphore,
}

impl Pieces {
    /// An upstream with these answers: a request whose path ends in `/N?cut=M` gets the answer N, cut before its byte M.
    /// With `?hold=M` what comes after that byte waits for [`Self::go_on`].
    pub async fn with(answers: Vec<Canned>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (encodings, go_on) = (Mutex::default(), Semaphore::new(0));
        let shared = Arc::new(Shared { answers, encodings, go_on });
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What every request so far has said of encodings.
    pub fn encodings(&self) -> Vec<Option<String>> {
        self.shared.encodings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets one answer that is held go on.
    pub fn go_on(&self) {
        self.shared.go_on.add_permits(1);
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket");
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A connection ends with its first error: Envoy has gone.
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut received = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&received[..head]).into_owned();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(ToOwned::to_owned);
        let length = field("content-length: ").map_or(0, |length| length.parse::<usize>().expect("a length"));
        while received.len() < head + length {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
        received.drain(..head + length);
        let encoding = field("accept-encoding: ");
        shared.encodings.lock().unwrap_or_else(PoisonError::into_inner).push(encoding);
        answer(&mut stream, shared, text.split(' ').nth(1).expect("a target")).await?;
    }
}

async fn answer(stream: &mut TcpStream, shared: &Shared, target: &str) -> std::io::Result<()> {
    let (path, query) = target.split_once('?').expect("a query");
    let (how, cut) = query.split_once('=').expect("cut=N or hold=N");
    let number = path.rsplit('/').next().and_then(|number| number.parse::<usize>().ok()).expect("a number");
    let canned = &shared.answers[number];
    let mut head = format!("HTTP/1.1 {} canned\r\ntransfer-encoding: chunked\r\n", canned.status);
    for (name, value) in &canned.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let (first, rest) = canned.body.split_at(cut.parse::<usize>().expect("a place"));
    stream.write_all(&[head.into_bytes(), chunk(first)].concat()).await?;
    match how {
        "cut" => tokio::time::sleep(PAUSE).await,
        "hold" => shared.go_on.acquire().await.expect("it is open").forget(),
        other => panic!("{other}"),
    }
    stream.write_all(&[chunk(rest), b"0\r\n\r\n".to_vec()].concat()).await
}

/// A chunk with these bytes; nothing if there are none, as an empty one would end the body.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
