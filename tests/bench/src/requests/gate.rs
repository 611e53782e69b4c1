//! The Envoys that are measured: `envoy/envoy.yaml`, but that it answers all by itself, writes no access log, and has
//! the filters of a [`Chain`].
//!
//! An answer of Envoy's own leaves no upstream in the figures. Without a log they do not depend on where it would go.
//! Connections are spread evenly over the workers, which is by chance otherwise, and unlike in two runs.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_demo::children::{ChildProcess, Launch, Tie};
use portcullis_demo::envoy_config::{self, Differences, EXAMPLE};
use portcullis_demo::health::wait_until_ok;
use portcullis_demo::{ports, stack};
use portcullis_tests::house::program;
use portcullis_tests::ready::{self, Ready};

use super::apis::{ANSWER_KIB, answers};
use super::houses::Furnished;
use super::rivals::AUTHZ_CLUSTER;
use super::service::Service;
use super::variant::{Build, Chain, Filters, SECRET, Variant};
use crate::process::Process;

/// How long a worker may take to have every key.
const LOADING_PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);

/// A running Envoy, and the service that it asks. Dropping it kills both.
#[derive(Debug)]
pub struct Gate {
    /// What it has.
    pub chain: &'static Chain,
    /// Its worker threads.
    pub workers: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its statistics.
    pub admin: SocketAddr,
    service: Option<Service>,
    child: ChildProcess,
}

impl Gate {
    /// Starts it at a control plane, and waits until all its workers have every key.
    pub async fn start(furnished: &Furnished, chain: &'static Chain, workers: u32) -> Self {
        let house = &furnished.house;
        let name = format!("{}-{workers}", chain.name);
        let file = |kind: &str| house.folder().join(format!("{name}.{kind}"));
        let ports = ports::free_ports(2).expect("two free ports");
        let [address, admin] = [ports[0], ports[1]].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut service = None;
        if let Some(protocol) = chain.service {
            service = Some(Service::start(furnished, protocol).await);
        }
        let config = file("yaml");
        fs::write(&config, configuration(furnished, chain, service.as_ref(), [address, admin]))
            .expect("a configuration");
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
        let gate = Self { chain, workers, address, admin, service, child };
        gate.wait_until_loaded(u64::from(furnished.keys)).await;
        gate
    }

    async fn wait_until_loaded(&self, keys: u64) {
        // The main thread has a filter as well.
        let expected = if self.chain.is_portcullis() { self.workers as usize + 1 } else { 0 };
        let start = Instant::now();
        while self.ready().len() < expected {
            assert!(start.elapsed() < LOADING_PATIENCE, "not loaded. The end of its log:\n{}", self.child.log_tail());
            tokio::time::sleep(PAUSE).await;
        }
        assert!(self.ready().iter().all(|ready| ready.keys == keys), "not {keys} keys: {:?}", self.ready());
    }

    /// What each worker and the main thread said when it had every key.
    pub fn ready(&self) -> Vec<Ready> {
        ready::said(&fs::read_to_string(self.child.log()).expect("Envoy's log"))
    }

    /// Whether this variant is one through it.
    pub fn serves(&self, variant: &Variant) -> bool {
        self.chain == variant.chain && self.workers == variant.workers
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::new(self.child.id().expect("it runs"))
    }

    /// The process of the service that it asks.
    pub fn service(&self) -> Option<Process> {
        self.service.as_ref().map(Service::process)
    }
}

fn configuration(
    furnished: &Furnished,
    chain: &Chain,
    service: Option<&Service>,
    [listener, admin]: [SocketAddr; 2],
) -> String {
    let house = &furnished.house;
    let wasm = match chain.filters {
        Filters::Portcullis(Build::Released) => Some(program("PORTCULLIS_WASM")),
        Filters::Portcullis(Build::Uncounted) => Some(program("PORTCULLIS_UNCOUNTED_WASM")),
        Filters::Portcullis(Build::Unintroduced) => Some(program("PORTCULLIS_UNINTRODUCED_WASM")),
        Filters::Portcullis(Build::Other(module)) => Some(module.to_owned()),
        Filters::Floor => Some(floor(house.folder())),
        Filters::Native(_) => None,
    };
    let mut text = without_what_differs(EXAMPLE, chain).replace(SECRET, &furnished.issued.secret);
    let clusters = service.map_or_else(String::new, |service| {
        let (ip, port) = (service.address.ip(), service.address.port());
        format!(
            "    - {{ name: {AUTHZ_CLUSTER}, type: STATIC, connect_timeout: 1s, load_assignment: {{
              cluster_name: {AUTHZ_CLUSTER}, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{
              socket_address: {{ address: {ip}, port_value: {port} }} }} }} }}] }}] }}{} }}\n",
            service.protocol.cluster_options()
        )
    });
    text = replace(&text, "    # Your API. STRICT_DNS takes", None, &clusters);
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

/// Assembles the filter that only makes host calls.
fn floor(folder: &Path) -> PathBuf {
    let file = folder.join("floor.wasm");
    let module = wat::parse_str(include_str!("../../floor.wat")).unwrap_or_else(|error| panic!("{error}"));
    fs::write(&file, module).expect("a module");
    file
}

/// The example with this chain, without an access log and without an upstream to route to.
fn without_what_differs(example: &str, chain: &Chain) -> String {
    let text = replace(example, "                access_log:\n", Some("                http_filters:\n"), "");
    let router = "                  - name: envoy.filters.http.router\n";
    let text = match chain.filters {
        Filters::Portcullis(_) | Filters::Floor => text,
        Filters::Native(filters) => {
            let filters = filters.iter().map(|filter| format!("                  - {filter}\n")).collect::<String>();
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
