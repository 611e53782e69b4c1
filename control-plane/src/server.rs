//! The HTTP server under both ports: HTTP/1.1 and HTTP/2 with limits on everything that a client can hold.
//!
//! - at most so many connections at once; further ones wait in the kernel's queue;
//! - headers: a few seconds, 100 of them, 32 KiB;
//! - a connection that has no request under way for a while is closed, and so is one that never sent any, or
//!   that does not read its answer;
//! - bodies are limited where they are read, calls where they are made.
//!
//! A slow client costs one task until its time is up, and nobody waits for it. To stop: no new connections, and
//! those that are there finish what is under way within a bounded time; then they are cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::api::caller::Peer;

/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// The most bytes of headers.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 128;
/// How long a listener rests after an error that another try would meet at once, such as too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Limits of one port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at once.
    pub connections: usize,
    /// How long the headers of a request may take to arrive.
    pub headers: Duration,
    /// How long a connection may be without a request, before its first one and between two.
    pub idle: Duration,
    /// How long requests may go on once the server stops.
    pub grace: Duration,
}

/// Serves `router` on `listener` until `stopping` turns true and everything under way has ended.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stopping: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    connection(stream, peer, router, limits, stopping).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections that did not end");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    if let Err(error) = stream.set_nodelay(true) {
        // The client is gone already; serving it will say so.
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    Ok((stream, peer, permit))
}

/// Serves one connection until it ends, is idle for too long, or the server stops.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let activity = Activity::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        let (router, under_way) = (router.clone(), activity.begin());
        request.extensions_mut().insert(Peer(peer));
        async move {
            let answered = router.oneshot(request.map(Body::new)).await;
            drop(under_way);
            answered
        }
    });
    let builder = builder(limits.headers);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut told_to_end = false;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                return;
            }
            () = activity.idle_for(limits.idle) => {
                tracing::debug!(%peer, "closing an idle connection");
                return;
            }
            _ = stopping.wait_for(|stopping| *stopping), if !told_to_end => {
                served.as_mut().graceful_shutdown();
                told_to_end = true;
            }
        }
    }
}

fn builder(headers: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_headers(HEADERS_MAX)
        .max_buf_size(usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// What is under way on a connection.
struct Activity(watch::Sender<State>);

#[derive(Clone, Copy)]
struct State {
    requests: usize,
    since: Instant,
}

impl Activity {
    fn new() -> Self {
        Self(watch::Sender::new(State { requests: 0, since: Instant::now() }))
    }

    /// Counts a request as under way until the guard is dropped.
    fn begin(&self) -> UnderWay {
        self.0.send_modify(|state| state.requests += 1);
        UnderWay(self.0.clone())
    }

    /// Returns when no request has been under way for `idle_max`.
    async fn idle_for(&self, idle_max: Duration) {
        let mut states = self.0.subscribe();
        loop {
            let state = *states.borrow_and_update();
            let changed = states.changed();
            if state.requests > 0 {
                if changed.await.is_err() {
                    return;
                }
            } else if tokio::time::timeout_at(state.since + idle_max, changed).await.is_err() {
                return;
            }
        }
    }
}

struct UnderWay(watch::Sender<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|state| {
            state.requests = state.requests.saturating_sub(1);
            state.since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMITS: Limits = Limits {
        connections: 8,
        headers: Duration::from_secs(1),
        idle: Duration::from_secs(2),
        grace: Duration::from_millis(500),
    };

    struct Server {
        address: SocketAddr,
        /// Gets a permit for each request that has reached `/slow` or `/stuck`.
        arrived: Arc<Semaphore>,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let arrived = Arc::new(Semaphore::new(0));
        let (at_slow, at_stuck) = (Arc::clone(&arrived), Arc::clone(&arrived));
        let slow = async move || {
            at_slow.add_permits(1);
            tokio::time::sleep(Duration::from_millis(200)).await;
            "slow"
        };
        let stuck = async move || {
            at_stuck.add_permits(1);
            std::future::pending::<()>().await;
        };
        let router =
            Router::new().route("/", get(async || "hello")).route("/slow", get(slow)).route("/stuck", get(stuck));
        let task = tokio::spawn(serve(listener, router, LIMITS, stopping));
        Server { address, arrived, stop, task }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Sends `bytes` and returns what comes until the server closes.
    async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset is a way to close, too.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn clients_that_stall_are_cut_while_others_are_served() {
        let server = start().await;
        let stalls: [&[u8]; 4] =
            [b"", b"PRI * HTT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
        let stalled = stalls.map(|bytes| tokio::spawn(exchange(server.address, bytes)));
        for _ in 0..5 {
            let answer = exchange(server.address, GET).await;
            assert!(answer.ends_with("hello"), "{answer}");
        }
        assert!(stalled.iter().all(|stalled| !stalled.is_finished()), "served while they stall");
        for stalled in stalled {
            // An exchange ends when the server closes.
            stalled.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_that_drips_its_headers_is_cut() {
        let server = start().await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let started = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(started.elapsed() < PATIENCE, "never cut");
        }
    }

    #[tokio::test]
    async fn too_many_or_too_long_headers_are_refused() {
        let server = start().await;
        let many = (0..200).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
        let long = format!("x: {}\r\n", "y".repeat(64 * 1024));
        for headers in [many, long] {
            let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            let answer = exchange(server.address, request.as_bytes()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
        assert!(exchange(server.address, GET).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_flood_of_idle_connections_ends_and_honest_clients_get_in() {
        let server = start().await;
        let mut flood = Vec::new();
        for _ in 0..LIMITS.connections + 4 {
            flood.push(TcpStream::connect(server.address).await.unwrap());
        }
        // It waits for a place, and those who hold the places without a request lose them.
        assert!(exchange(server.address, GET).await.ends_with("hello"));
        drop(flood);
    }

    #[tokio::test]
    async fn stopping_finishes_what_is_under_way_and_takes_nothing_new() {
        let server = start().await;
        let request = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        let slow = tokio::spawn(exchange(server.address, request));
        server.arrived.acquire().await.unwrap().forget();
        server.stop.send(true).unwrap();
        assert!(slow.await.unwrap().ends_with("slow"));
        tokio::time::timeout(PATIENCE, server.task).await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut() {
        let server = start().await;
        let request = b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n";
        let stuck = tokio::spawn(exchange(server.address, request));
        server.arrived.acquire().await.unwrap().forget();
        server.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, server.task).await.unwrap().unwrap();
        assert_eq!(stuck.await.unwrap(), "");
    }
}
