//! A whole house: control plane, Envoys and sample upstream, each a real one on ports of its own.
//!
//! A house has one control plane and one Envoy. For more, there are houses that share parts of another one: a
//! [`House::replica`] shares its database, a [`House::annex`] its control plane as well.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_demo::admin::AdminClient;
use portcullis_demo::children::Tie;
use portcullis_demo::ports;
use portcullis_demo::stack::{ControlPlane, ControlPlaneConfig, Envoy, EnvoyConfig, SampleUpstream};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;

/// The operator's token in every house.
pub const OPERATOR_TOKEN: &str = "operator-token-of-the-end-to-end-tests";
/// A path of the upstream that every house exempts from keys, besides `/healthz`.
pub const OPEN_PATH: &str = "/open/echo";

/// A path below that of the serverless API that Envoy answers by itself, where the upstream would be what a load measures.
pub const DIRECT_PATH: &str = "/v1/direct";

/// How often workers report what was used, in milliseconds.
pub const REPORT_INTERVAL_MS: u32 = 250;

/// A running house. Dropping it kills what runs and removes its folder.
#[derive(Debug)]
pub struct House {
    /// The organization `acme`.
    pub organization: String,
    /// The serverless API at `/v1`.
    pub serverless_api: String,
    /// The dedicated API at `/dedicated/v1`, owned by `acme`.
    pub dedicated_api: String,
    /// The gateway of the house's Envoy.
    pub gateway: String,
    /// An HTTP client; it opens a new connection for every call, so that calls spread over Envoy's workers.
    pub http: Client,
    envoy: Option<Envoy>,
    control_plane: Option<ControlPlane>,
    database: Database,
    upstream: Arc<SampleUpstream>,
    /// What Envoys that are started from now on have for an upstream.
    upstream_address: SocketAddr,
    admin: SocketAddr,
    sync: SocketAddr,
    gateway_token: String,
    /// What control planes that are started from now on have in their environment besides the database.
    settings: Vec<(String, OsString)>,
    envoys_started: u32,
    folder: TempDir,
}

impl House {
    /// A house with a control plane, an upstream, and an Envoy with two workers.
    pub async fn start() -> Self {
        let mut house = Self::without_envoy().await;
        house.start_envoy(2).await;
        house
    }

    /// A house whose Envoy is still to be started.
    pub async fn without_envoy() -> Self {
        Self::without_envoy_on(Database::Sqlite).await
    }

    /// The same on this database, which is new and empty.
    pub async fn without_envoy_on(database: Database) -> Self {
        let upstream = SampleUpstream::start(loopback(0)).await.expect("the upstream starts");
        let mut house = Self::empty(database, Arc::new(upstream));
        house.start_control_plane().await;
        house.furnish().await;
        house
    }

    fn empty(database: Database, upstream: Arc<SampleUpstream>) -> Self {
        let ports = ports::free_ports(2).expect("two free ports");
        Self {
            organization: String::new(),
            serverless_api: String::new(),
            dedicated_api: String::new(),
            gateway: String::new(),
            http: Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("an HTTP client"),
            envoy: None,
            control_plane: None,
            database,
            upstream_address: upstream.address(),
            upstream,
            admin: loopback(ports[0]),
            sync: loopback(ports[1]),
            gateway_token: String::new(),
            settings: Vec::new(),
            envoys_started: 0,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Another control plane on the same database, which it may reach in a way of its own, with a gateway and an Envoy.
    pub async fn replica(&self, database: Database) -> Self {
        let mut replica = self.beside(database);
        replica.start_control_plane().await;
        replica.add_gateway(json!({"name": "replica"})).await;
        replica.start_envoy(2).await;
        replica
    }

    /// Another Envoy at the same control plane, with a gateway that is created like this.
    pub async fn annex(&self, gateway: Value) -> Self {
        self.annex_by_way_of(self.sync, gateway).await
    }

    /// The same, with an Envoy that reaches the sync port by this way.
    pub async fn annex_by_way_of(&self, sync: SocketAddr, gateway: Value) -> Self {
        let mut annex = Self { admin: self.admin, sync, ..self.beside(self.database.clone()) };
        annex.add_gateway(gateway).await;
        annex.start_envoy(2).await;
        annex
    }

    fn beside(&self, database: Database) -> Self {
        Self {
            organization: self.organization.clone(),
            serverless_api: self.serverless_api.clone(),
            dedicated_api: self.dedicated_api.clone(),
            ..Self::empty(database, Arc::clone(&self.upstream))
        }
    }

    async fn add_gateway(&mut self, gateway: Value) {
        let gateway = created(&self.admin(), "/v1/gateways", gateway).await;
        self.gateway = id_of(&gateway);
        self.gateway_token = gateway["token"].as_str().expect("a gateway's token").to_owned();
    }

    /// Creates what every test needs: an organization, one API of each kind, a gateway.
    async fn furnish(&mut self) {
        let admin = self.admin();
        let organization = created(&admin, "/v1/organizations", json!({"name": "acme"})).await;
        self.organization = id_of(&organization);
        let api = json!({"name": "echo", "kind": "serverless", "match": {"path_prefix": "/v1"}});
        self.serverless_api = id_of(&created(&admin, "/v1/apis", api).await);
        let api = json!({
            "name": "private-echo", "kind": "dedicated", "organization": self.organization,
            "match": {"path_prefix": "/dedicated/v1"},
        });
        self.dedicated_api = id_of(&created(&admin, "/v1/apis", api).await);
        self.add_gateway(json!({"name": "local"})).await;
    }

    /// A client of the admin API with the operator's token.
    pub fn admin(&self) -> AdminClient {
        self.admin_with(OPERATOR_TOKEN)
    }

    /// A client of the admin API with this token.
    pub fn admin_with(&self, token: &str) -> AdminClient {
        AdminClient::new(self.admin_url(), token.to_owned())
    }

    /// The sample upstream.
    pub fn upstream(&self) -> &SampleUpstream {
        &self.upstream
    }

    /// The admin API's base URL.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where filters ask.
    pub fn sync(&self) -> SocketAddr {
        self.sync
    }

    /// The sync port's base URL.
    pub fn sync_url(&self) -> String {
        format!("http://{}", self.sync)
    }

    /// The token with which filters authenticate.
    pub fn gateway_token(&self) -> &str {
        &self.gateway_token
    }

    /// The running control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        self.control_plane.as_ref().expect("the control plane runs")
    }

    /// Where the house keeps its data.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The running Envoy.
    pub fn envoy(&self) -> &Envoy {
        self.envoy.as_ref().expect("Envoy runs")
    }

    /// Where callers call.
    pub fn listener(&self) -> SocketAddr {
        let url = self.envoy().url();
        url.trim_start_matches("http://").parse().expect("Envoy's address")
    }

    /// The folder with the database and all logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that the current Envoy has logged.
    pub fn envoy_log(&self) -> String {
        std::fs::read_to_string(self.envoy().process.log()).expect("Envoy's log")
    }

    /// Sets a variable for the next control planes.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.settings.push((name.to_owned(), value.into()));
    }

    /// Starts a control plane on the house's database.
    pub async fn start_control_plane(&mut self) {
        let mut control_plane = self.spawn_control_plane();
        control_plane.wait_until_healthy().await.unwrap_or_else(|error| panic!("{error}"));
        self.control_plane = Some(control_plane);
    }

    /// The same without waiting for it. Dropping it kills it.
    pub fn spawn_control_plane(&self) -> ControlPlane {
        let config = ControlPlaneConfig {
            program: program("PORTCULLIS_BIN"),
            listen: self.admin,
            sync_listen: self.sync,
            data_dir: self.folder().join("data"),
            operator_token: OPERATOR_TOKEN.to_owned(),
            environment: self.database.environment().into_iter().chain(self.settings.clone()).collect(),
            log: self.folder().join("control-plane.log"),
            tie: Tie::Group,
        };
        ControlPlane::spawn(&config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Stops the control plane as an operator would.
    pub async fn stop_control_plane(&mut self) {
        let mut control_plane = self.control_plane.take().expect("the control plane runs");
        let status = control_plane.process.stop().await.expect("the control plane stops");
        assert!(status.success(), "the control plane stopped with {status}");
    }

    /// Ends the control plane by SIGKILL, in the midst of whatever it does.
    pub async fn kill_control_plane(&mut self) {
        let mut control_plane = self.control_plane.take().expect("the control plane runs");
        control_plane.process.kill().await.expect("the control plane is killed");
    }

    /// Puts the next Envoys before another upstream than the sample.
    pub fn set_upstream(&mut self, address: SocketAddr) {
        self.upstream_address = address;
    }

    /// Starts an Envoy with this many workers, in the place of the one before. It need not have a key set yet.
    pub async fn start_envoy(&mut self, concurrency: u32) {
        self.start_envoy_with(program("PORTCULLIS_WASM"), concurrency).await;
    }

    /// The same with another module than the one that is released.
    pub async fn start_envoy_with(&mut self, wasm: PathBuf, concurrency: u32) {
        self.launch_envoy(wasm, concurrency, Vec::new()).await;
    }

    /// The same with the module that is released, and with more in Envoy's environment.
    pub async fn start_envoy_in(&mut self, environment: Vec<(String, OsString)>, concurrency: u32) {
        self.launch_envoy(program("PORTCULLIS_WASM"), concurrency, environment).await;
    }

    async fn launch_envoy(&mut self, wasm: PathBuf, concurrency: u32, environment: Vec<(String, OsString)>) {
        self.stop_envoy().await;
        self.envoys_started += 1;
        let ports = ports::free_ports(2).expect("two free ports");
        let file = |name: &str| self.folder().join(format!("envoy-{}.{name}", self.envoys_started));
        let exempt_paths = format!(
            "\"exempt_paths\": [\"/healthz\", \"{OPEN_PATH}\"],\n{:30}\"report_interval_ms\": {REPORT_INTERVAL_MS}",
            ""
        );
        let health = "- match: { path: /healthz }";
        let direct = format!(
            "- match: {{ path_separated_prefix: {DIRECT_PATH} }}\n{:26}direct_response: {{ status: 200 }}\n{:24}{health}",
            "", ""
        );
        let config = EnvoyConfig {
            program: program("ENVOY"),
            wasm,
            listener: loopback(ports[0]),
            admin: loopback(ports[1]),
            upstream: self.upstream_address,
            sync: self.sync,
            concurrency,
            gateway_token: self.gateway_token.clone(),
            config_file: file("yaml"),
            more: vec![("\"exempt_paths\": [\"/healthz\"]".to_owned(), exempt_paths), (health.to_owned(), direct)],
            arguments: Vec::new(),
            environment,
            log: file("log"),
            tie: Tie::Group,
        };
        let envoy = Envoy::start(&config).await;
        self.envoy = Some(envoy.unwrap_or_else(|error| panic!("{error}")));
    }

    /// Ends Envoy by SIGKILL, in the midst of whatever it does.
    pub async fn kill_envoy(&mut self) {
        let mut envoy = self.envoy.take().expect("Envoy runs");
        envoy.process.kill().await.expect("Envoy is killed");
    }

    /// Stops Envoy, if one runs.
    pub async fn stop_envoy(&mut self) {
        if let Some(mut envoy) = self.envoy.take() {
            envoy.process.stop().await.expect("Envoy stops");
        }
    }
}

/// A program or file that `make test` has built or installed.
pub fn program(name: &str) -> PathBuf {
    PathBuf::from(variable(name))
}

/// A variable that `make test` sets.
pub fn variable(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run these tests with `make test`"))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn created(admin: &AdminClient, path: &str, body: Value) -> Value {
    admin.create(path, &body).await.unwrap_or_else(|error| panic!("{error}"))
}

fn id_of(item: &Value) -> String {
    item["id"].as_str().expect("an id").to_owned()
}
