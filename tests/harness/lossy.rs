//! A way to the sync port on which usage reports, and the answers to them, are lost.
//!
//! It speaks HTTP, because a cable cannot lose the answer to one request and pass that to another. Polls pass as they are.
//! A report meets its fate by its place in the order in which reports come: it passes, is lost before it arrives, or
//! arrives and its answer breaks off.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use futures_util::stream;
use portcullis_core::wire::{REPORT_BYTES_MAX, USAGE_PATH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What becomes of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and so does its answer.
    Pass,
    /// It does not arrive.
    LoseReport,
    /// It arrives, and its answer does not.
    LoseAnswer,
}

/// The way. Dropping it ends it.
#[derive(Debug)]
pub struct Lossy {
    address: SocketAddr,
    way: Arc<Way>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Way {
    far: SocketAddr,
    client: reqwest::Client,
    fates: &'static [Fate],
    reports: AtomicU64,
    answers_lost: AtomicU64,
}

impl Lossy {
    /// A way to `far` on which reports meet these fates, over and over.
    pub async fn to(far: SocketAddr, fates: &'static [Fate]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let way = Arc::new(Way { far, client, fates, reports: AtomicU64::new(0), answers_lost: AtomicU64::new(0) });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&way));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("the way is open") });
        Self { address, way, serving }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many reports the far side has taken without the near side hearing of it.
    pub fn answers_lost(&self) -> u64 {
        self.way.answers_lost.load(Ordering::SeqCst)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response<Body> {
    let fate = if request.method() == Method::POST && request.uri().path() == USAGE_PATH {
        let place = usize::try_from(way.reports.fetch_add(1, Ordering::SeqCst)).expect("few reports");
        way.fates[place % way.fates.len()]
    } else {
        Fate::Pass
    };
    if fate == Fate::LoseReport {
        return broken(HeaderMap::new());
    }
    match way.forward(request).await {
        Ok(answer) if fate == Fate::LoseAnswer => {
            if answer.status() == StatusCode::OK {
                way.answers_lost.fetch_add(1, Ordering::SeqCst);
            }
            broken(answer.headers().clone())
        }
        Ok(answer) => answer,
        // Nobody is there.
        Err(_) => broken(HeaderMap::new()),
    }
}

impl Way {
    async fn forward(&self, request: Request) -> Result<Response<Body>, reqwest::Error> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 2 * REPORT_BYTES_MAX).await.expect("a whole request");
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let sent = self.client.request(parts.method, format!("http://{}{target}", self.far));
        let answer = sent.headers(parts.headers).body(body).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut passed = Response::new(Body::from(answer.bytes().await?));
        (*passed.status_mut(), *passed.headers_mut()) = (status, headers);
        Ok(passed)
    }
}

/// An answer that breaks off: of no use to anyone.
fn broken(headers: HeaderMap) -> Response<Body> {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("lost on the way"))];
    let mut answer = Response::new(Body::from_stream(stream::iter(pieces)));
    *answer.headers_mut() = headers;
    answer
}
