//! The authorization service that an Envoy asks: `portcullis-bench-authz`, a process of its own.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use portcullis_core::digest::Digest;
use portcullis_demo::children::{ChildProcess, Launch, Tie};
use portcullis_demo::{ports, stack};
use portcullis_tests::house::program;
use tokio::net::TcpStream;

use super::houses::Furnished;
use super::variant::Protocol;
use crate::process::Process;

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    child: ChildProcess,
}

impl Service {
    /// Starts it with the key of a house, and waits until it listens.
    pub async fn start(furnished: &Furnished, protocol: Protocol) -> Self {
        let Furnished { house, issued, .. } = furnished;
        let port = ports::free_ports(1).expect("a free port")[0];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Any id will do for the user: they are all of one length.
        let settings = [
            ("--listen", address.to_string()),
            ("--digest", Digest::of(issued.secret.as_bytes()).to_string()),
            ("--key-id", issued.id.clone()),
            ("--organization", house.organization.clone()),
            ("--user", house.organization.clone()),
            ("--api", house.serverless_api.clone()),
        ];
        let mut arguments =
            settings.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect::<Vec<_>>();
        if protocol == Protocol::Grpc {
            arguments.push(OsString::from("--grpc"));
        }
        let child = ChildProcess::start(&Launch {
            name: "the authorization service",
            program: program("PORTCULLIS_AUTHZ_BIN"),
            arguments,
            environment: Vec::new(),
            log: house.folder().join("authz.log"),
            tie: Tie::Group,
        });
        let child = child.unwrap_or_else(|error| panic!("{error}"));
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(start.elapsed() < stack::PATIENCE, "no authorization service: {}", child.log_tail());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Self { address, protocol, child }
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::new(self.child.id().expect("it runs"))
    }
}
