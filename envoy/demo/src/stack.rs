//! The pieces around a filter: a control plane, an Envoy, a sample upstream. Each starts, waits and stops on its own.
//!
//! `spawn` starts a process, `wait_until_healthy` waits for it, `start` does both. A process that ends while it is waited
//! for, or stays silent for [`PATIENCE`], is an error that carries the end of its log. Several of each can run side by
//! side on other ports: Envoy's hot restart, which would make them collide, is off.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{self, Next};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::children::{ChildError, ChildProcess, Launch, Tie};
use crate::envoy_config::{self, Differences, UnexpectedConfig};
use crate::health::{self, Unhealthy};
use crate::ports::reachable;
use crate::upstream;

/// How long a process may take until it is healthy.
pub const PATIENCE: Duration = Duration::from_secs(30);

const UPSTREAM_STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A piece could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The process itself.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// It ended before it was healthy.
    #[error("{name} ended at its start ({status}). The end of {}:\n{tail}", log.display())]
    Ended {
        /// Which one.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// It runs, and does not answer.
    #[error("{name} is not healthy: {cause}. The end of {}:\n{tail}", log.display())]
    Unhealthy {
        /// Which one.
        name: &'static str,
        /// Where it was asked, and what came.
        cause: Box<Unhealthy>,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// `envoy/envoy.yaml` and its renderer do not fit.
    #[error(transparent)]
    Config(#[from] UnexpectedConfig),
    /// Envoy's configuration could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// To where.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The sample upstream could not listen.
    #[error("the sample upstream cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
}

/// How to start a control plane.
#[derive(Clone, Debug)]
pub struct ControlPlaneConfig {
    /// The `portcullis` program.
    pub program: PathBuf,
    /// `PORTCULLIS_LISTEN`.
    pub listen: SocketAddr,
    /// `PORTCULLIS_SYNC_LISTEN`.
    pub sync_listen: SocketAddr,
    /// `PORTCULLIS_DATA_DIR`.
    pub data_dir: PathBuf,
    /// `PORTCULLIS_BOOTSTRAP_TOKEN`.
    pub operator_token: String,
    /// More of its environment, for example `PORTCULLIS_DATABASE_URL`.
    pub environment: Vec<(String, OsString)>,
    /// Where its log goes.
    pub log: PathBuf,
    /// How it is tied to this process.
    pub tie: Tie,
}

/// A control plane that runs. Dropping it kills it.
#[derive(Debug)]
pub struct ControlPlane {
    /// The process, for its id, its log and signals.
    pub process: ChildProcess,
    admin: SocketAddr,
    sync: SocketAddr,
}

impl ControlPlane {
    /// Starts the process and does not wait.
    ///
    /// # Errors
    ///
    /// [`StackError::Child`].
    pub fn spawn(config: &ControlPlaneConfig) -> Result<Self, StackError> {
        let mut environment = config.environment.clone();
        // These come last: they win over what the caller passes along.
        environment.extend([
            ("PORTCULLIS_LISTEN".to_owned(), config.listen.to_string().into()),
            ("PORTCULLIS_SYNC_LISTEN".to_owned(), config.sync_listen.to_string().into()),
            ("PORTCULLIS_DATA_DIR".to_owned(), config.data_dir.clone().into()),
            ("PORTCULLIS_BOOTSTRAP_TOKEN".to_owned(), config.operator_token.clone().into()),
        ]);
        let process = ChildProcess::start(&Launch {
            name: "the control plane",
            program: config.program.clone(),
            arguments: vec!["serve".into()],
            environment,
            log: config.log.clone(),
            tie: config.tie.clone(),
        })?;
        Ok(Self { process, admin: reachable(config.listen), sync: reachable(config.sync_listen) })
    }

    /// Waits for `GET /healthz`.
    ///
    /// # Errors
    ///
    /// [`StackError::Ended`] or [`StackError::Unhealthy`].
    pub async fn wait_until_healthy(&mut self) -> Result<(), StackError> {
        let url = format!("{}/healthz", self.url());
        wait_until_healthy(&mut self.process, &url).await
    }

    /// Starts the process and waits for `GET /healthz`.
    ///
    /// # Errors
    ///
    /// Those of the two steps.
    pub async fn start(config: &ControlPlaneConfig) -> Result<Self, StackError> {
        let mut started = Self::spawn(config)?;
        started.wait_until_healthy().await?;
        Ok(started)
    }

    /// The admin API's base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The sync port's base URL, without a slash at its end.
    pub fn sync_url(&self) -> String {
        format!("http://{}", self.sync)
    }
}

/// How to start an Envoy.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    /// The `envoy` program.
    pub program: PathBuf,
    /// The filter.
    pub wasm: PathBuf,
    /// Where it listens for callers.
    pub listener: SocketAddr,
    /// Where its admin port is.
    pub admin: SocketAddr,
    /// The upstream.
    pub upstream: SocketAddr,
    /// The control plane's sync port.
    pub sync: SocketAddr,
    /// Its worker threads.
    pub concurrency: u32,
    /// `PORTCULLIS_GATEWAY_TOKEN`.
    pub gateway_token: String,
    /// Where its rendered configuration is written.
    pub config_file: PathBuf,
    /// More replacements in `envoy.yaml` (see [`Differences::more`]).
    pub more: Vec<(String, String)>,
    /// More arguments, for example `--component-log-level wasm:debug`.
    pub arguments: Vec<OsString>,
    /// More of its environment.
    pub environment: Vec<(String, OsString)>,
    /// Where its log goes.
    pub log: PathBuf,
    /// How it is tied to this process.
    pub tie: Tie,
}

impl EnvoyConfig {
    fn write(&self) -> Result<(), StackError> {
        let text = envoy_config::render(
            envoy_config::EXAMPLE,
            &Differences {
                listener: self.listener,
                admin: self.admin,
                upstream: self.upstream,
                sync: self.sync,
                wasm: Some(&self.wasm),
                more: &self.more,
            },
        )?;
        let directory = self.config_file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&self.config_file, text))
            .map_err(|error| StackError::Write { path: self.config_file.clone(), error })
    }
}

/// An Envoy that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Envoy {
    /// The process, for its id, its log and signals.
    pub process: ChildProcess,
    listener: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Writes its configuration, starts the process and does not wait.
    ///
    /// # Errors
    ///
    /// [`StackError::Config`], [`StackError::Write`] or [`StackError::Child`].
    pub fn spawn(config: &EnvoyConfig) -> Result<Self, StackError> {
        config.write()?;
        let mut arguments: Vec<OsString> = vec![
            "--config-path".into(),
            config.config_file.clone().into(),
            "--concurrency".into(),
            config.concurrency.to_string().into(),
            "--disable-hot-restart".into(),
        ];
        arguments.extend(config.arguments.iter().cloned());
        let mut environment = config.environment.clone();
        environment.push(("PORTCULLIS_GATEWAY_TOKEN".to_owned(), config.gateway_token.clone().into()));
        let process = ChildProcess::start(&Launch {
            name: "Envoy",
            program: config.program.clone(),
            arguments,
            environment,
            log: config.log.clone(),
            tie: config.tie.clone(),
        })?;
        Ok(Self { process, listener: reachable(config.listener), admin: reachable(config.admin) })
    }

    /// Waits for `GET /ready` on its admin port: its workers run and its listeners are open. The filter may not have a
    /// key set yet.
    ///
    /// # Errors
    ///
    /// [`StackError::Ended`] or [`StackError::Unhealthy`].
    pub async fn wait_until_healthy(&mut self) -> Result<(), StackError> {
        let url = format!("{}/ready", self.admin_url());
        wait_until_healthy(&mut self.process, &url).await
    }

    /// Waits for `GET /healthz` where callers call: the filter lets its exempt path pass.
    ///
    /// # Errors
    ///
    /// [`StackError::Ended`] or [`StackError::Unhealthy`].
    pub async fn wait_until_serving(&mut self) -> Result<(), StackError> {
        let url = format!("{}/healthz", self.url());
        wait_until_healthy(&mut self.process, &url).await
    }

    /// Starts the process and waits for its admin port.
    ///
    /// # Errors
    ///
    /// Those of the two steps.
    pub async fn start(config: &EnvoyConfig) -> Result<Self, StackError> {
        let mut started = Self::spawn(config)?;
        started.wait_until_healthy().await?;
        Ok(started)
    }

    /// The base URL for callers, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener)
    }

    /// The admin port's base URL, without a slash at its end.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }
}

async fn wait_until_healthy(process: &mut ChildProcess, url: &str) -> Result<(), StackError> {
    let ended = tokio::select! {
        healthy = health::wait_until_ok(url, PATIENCE) => {
            return healthy.map_err(|cause| StackError::Unhealthy {
                name: process.name(),
                cause: cause.into(),
                log: process.log().to_owned(),
                tail: process.log_tail(),
            });
        }
        ended = process.ended() => ended?,
    };
    Err(StackError::Ended {
        name: process.name(),
        status: ended,
        log: process.log().to_owned(),
        tail: process.log_tail(),
    })
}

/// A sample upstream in this process. Dropping it makes it stop soon.
#[derive(Debug)]
pub struct SampleUpstream {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl SampleUpstream {
    /// Listens on `address` (port 0: any that is free) and serves.
    ///
    /// # Errors
    ///
    /// [`StackError::Listen`].
    pub async fn start(address: SocketAddr) -> Result<Self, StackError> {
        let failed = |error| StackError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        let counted = upstream::router().layer(middleware::from_fn(move |request: Request, next: Next| {
            counter.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        }));
        let server = axum::serve(listener, counted).with_graceful_shutdown(async {
            // An error means that the sender was dropped, which is another way to say stop.
            let _ = stopped.await;
        });
        Ok(Self { address, requests, stop, task: tokio::spawn(server.into_future()) })
    }

    /// How many requests have reached it.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Stops listening; answers under way get a moment to end.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let mut task = self.task;
        if tokio::time::timeout(UPSTREAM_STOP_PATIENCE, &mut task).await.is_err() {
            task.abort();
        }
    }
}
