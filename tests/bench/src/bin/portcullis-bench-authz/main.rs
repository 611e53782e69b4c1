//! An authorization service for Envoy's `ext_authz` filter, over HTTP or over gRPC, as small as one can be written: what
//! `portcullis-bench requests` compares Portcullis with.
//!
//! It knows keys by their SHA-256 in a table in memory, and answers with the four headers that Portcullis sets. It has one
//! thread, no log, no framework and no middleware. A service that someone runs does more and costs more.

#![allow(clippy::expect_used, clippy::panic, reason = "it runs for a measurement, which ends when it does")]

mod grpc;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_core::digest::{DIGEST_BYTES, Digest};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Parser)]
#[command(about = "Answers Envoy's ext_authz filter, for `portcullis-bench requests`.")]
struct Cli {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Speaks gRPC rather than HTTP.
    #[arg(long)]
    grpc: bool,
    /// The SHA-256 of the key that it knows, in hexadecimal.
    #[arg(long)]
    digest: Digest,
    #[command(flatten)]
    identity: Identity,
}

/// Whose key it is.
#[derive(Debug, Clone, clap::Args)]
struct Identity {
    /// The key's id.
    #[arg(long)]
    key_id: String,
    /// The organization's id.
    #[arg(long)]
    organization: String,
    /// The user's id.
    #[arg(long)]
    user: String,
    /// The API's id.
    #[arg(long)]
    api: String,
}

/// The keys that are known, by their digests.
#[derive(Debug)]
struct Keys(HashMap<[u8; DIGEST_BYTES], Identity>);

impl Keys {
    /// Whose key stands in this `Authorization` header.
    fn identify(&self, authorization: &[u8]) -> Option<&Identity> {
        let key = authorization.strip_prefix(b"Bearer ")?;
        self.0.get(Digest::of(key).as_bytes())
    }
}

impl Identity {
    /// The headers that tell the upstream.
    fn headers(&self) -> [(&'static str, &str); 4] {
        [
            ("x-portcullis-key-id", &self.key_id),
            ("x-portcullis-organization", &self.organization),
            ("x-portcullis-user", &self.user),
            ("x-portcullis-api", &self.api),
        ]
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Cli { listen, grpc, digest, identity } = Cli::parse();
    let keys = Arc::new(Keys(HashMap::from([(*digest.as_bytes(), identity)])));
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a connection without delay");
        let keys = Arc::clone(&keys);
        // Envoy may close a connection whenever it likes.
        tokio::spawn(async move {
            let _ = if grpc { serve_grpc(stream, keys).await } else { serve_http(stream, keys).await };
        });
    }
}

async fn serve_http(stream: TcpStream, keys: Arc<Keys>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&keys, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
}

async fn serve_grpc(stream: TcpStream, keys: Arc<Keys>) -> hyper::Result<()> {
    let service = service_fn(move |request| grpc::answer(Arc::clone(&keys), request));
    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
}

/// Envoy takes an answer of 200 for a yes, and its headers for the upstream.
fn answer(keys: &Keys, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let header = request.headers().get(AUTHORIZATION);
    let identity = header.and_then(|header| keys.identify(header.as_bytes()));
    let status = if identity.is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    let headers = identity.into_iter().flat_map(Identity::headers);
    let answer = headers.fold(Response::builder().status(status), |answer, (name, value)| answer.header(name, value));
    answer.body(Full::default()).expect("an answer")
}
