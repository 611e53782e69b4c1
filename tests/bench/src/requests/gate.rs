//! The Envoys that are measured: `envoy/envoy.yaml`, but that it answers all by itself, writes no access log, and has
//! the filters of a [`Chain`].
//!
//! An answer of Envoy's own leaves no upstream in the figures. Without a log they do not depend on where it would go.
//! Connections are spread evenly over the workers, which is by chance otherwise, and unlike in two runs.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use portcullis_demo::children::{ChildProcess, Launch, Tie};
use portcullis_demo::envoy_config::{self, Differences, EXAMPLE};
use portcullis_demo::health::wait_until_ok;
use portcullis_demo::{ports, stack};
use portcullis_tests::house::{House, program};

use super::variant::{ANSWER_KIB, Chain, Filters, Variant, answers};
use crate::process::Process;

/// A running Envoy. Dropping it kills it.
#[derive(Debug)]
pub struct Gate {
    /// What it has.
    pub chain: &'static Chain,
    /// Its worker threads.
    pub workers: u32,
    /// Where it listens.
    pub address: SocketAddr,
    child: ChildProcess,
}

impl Gate {
    /// Starts it at the house's control plane, and waits until it listens.
    pub async fn start(house: &House, chain: &'static Chain, workers: u32) -> Self {
        let name = format!("{}-{workers}", chain.name);
        let file = |kind: &str| house.folder().join(format!("{name}.{kind}"));
        let ports = ports::free_ports(2).expect("two free ports");
        let [address, admin] = [ports[0], ports[1]].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let config = file("yaml");
        fs::write(&config, configuration(house, chain, address, admin)).expect("a configuration");
        let mut arguments = ["--disable-hot-restart", "--concurrency"].map(OsString::from).to_vec();
        arguments.extend([workers.to_string().into(), "--service-node".into(), name.clone().into()]);
        arguments.extend(["--config-path".into(), config.into()]);
        let child = ChildProcess::start(&Launch {
            name: "Envoy",
            program: program("ENVOY"),
            arguments,
            environment: vec![("PORTCULLIS_GATEWAY_TOKEN".to_owned(), house.gateway_token().into())],
            log: file("log"),
            tie: Tie::Group,
        });
        let child = child.unwrap_or_else(|error| panic!("{error}"));
        let ready = wait_until_ok(&format!("http://{admin}/ready"), stack::PATIENCE).await;
        ready.unwrap_or_else(|error| panic!("{error}. The end of its log:\n{}", child.log_tail()));
        Self { chain, workers, address, child }
    }

    /// Whether this variant is one through it.
    pub fn serves(&self, variant: &Variant) -> bool {
        self.chain == variant.chain && self.workers == variant.workers
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::new(self.child.id().expect("it runs"))
    }
}

fn configuration(house: &House, chain: &Chain, listener: SocketAddr, admin: SocketAddr) -> String {
    let wasm = match chain.filters {
        Filters::Portcullis => Some(program("PORTCULLIS_WASM")),
        Filters::Uncounted => Some(program("PORTCULLIS_UNCOUNTED_WASM")),
        Filters::Native(_) => None,
    };
    let mut text = without_what_differs(EXAMPLE, chain);
    text = replace(&text, "      filter_chains:\n", None, "      connection_balance_config: { exact_balance: {} }\n");
    let room = format!("                  max_direct_response_body_size_bytes: {}\n", (ANSWER_KIB + 4) * 1024);
    text = replace(&text, "                  virtual_hosts:\n", None, &room);
    let differences = Differences {
        listener,
        admin,
        upstream: house.upstream().address(),
        sync: house.sync(),
        wasm: wasm.as_deref(),
        more: &[],
    };
    envoy_config::render(&text, &differences).unwrap_or_else(|error| panic!("{error}"))
}

/// The example with this chain, without an access log and without an upstream to route to.
fn without_what_differs(example: &str, chain: &Chain) -> String {
    let text = replace(example, "                access_log:\n", Some("                http_filters:\n"), "");
    let router = "                  - name: envoy.filters.http.router\n";
    let text = match chain.filters {
        Filters::Portcullis | Filters::Uncounted => text,
        Filters::Native("") => replace(&text, "                  # (1) The filter.", Some(router), ""),
        Filters::Native(filters) => {
            let filters = format!("                  - {filters}\n");
            replace(&text, "                  # (1) The filter.", Some(router), &filters)
        }
    };
    let mut routes = String::new();
    for (prefix, content_type, body) in answers() {
        let (body, header) = (serde_json::Value::from(body), format!("key: content-type, value: {content_type}"));
        let answer = format!("{{ status: 200, body: {{ inline_string: {body} }} }}");
        let headers = format!("[{{ header: {{ {header} }}, append_action: OVERWRITE_IF_EXISTS_OR_ADD }}]");
        let route = format!("match: {{ prefix: {prefix} }}, direct_response: {answer}");
        let _ = writeln!(routes, "                        - {{ {route}, response_headers_to_add: {headers} }}");
    }
    for (prefix, settings) in chain.routes.iter().chain(&[("/", "{}")]) {
        let answer = r#"{ status: 200, body: { inline_string: "ok\n" } }"#;
        let route = format!("match: {{ prefix: {prefix} }}, direct_response: {answer}");
        let _ = writeln!(routes, "                        - {{ {route}, typed_per_filter_config: {settings} }}");
    }
    replace(&text, "                        - match: { prefix: / }\n", Some("  clusters:\n"), &routes)
}

/// `text` with `new` in place of what goes from `from` until `to`; without a `to`, with `new` before `from`. Both must
/// be there exactly once, or the example was edited without this module.
fn replace(text: &str, from: &str, to: Option<&str>, new: &str) -> String {
    let place = |piece: &str| {
        assert_eq!(text.matches(piece).count(), 1, "envoy.yaml has `{piece}` not exactly once");
        text.find(piece).expect("it is there")
    };
    let start = place(from);
    let end = to.map_or(start, place);
    assert!(start <= end, "envoy.yaml has another order");
    format!("{}{new}{}", &text[..start], &text[end..])
}
