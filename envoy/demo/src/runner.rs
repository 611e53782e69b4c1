//! The runner behind `make run`: everything on one machine, in the foreground, until a signal.
//!
//! ```text
//!   ports free? -> operator token -> control plane -> seed -> sample upstream -> Envoy -> tour -> wait
//! ```
//!
//! SIGINT, SIGTERM and SIGHUP stop it at any of these steps, and so does the death of `make`; a signal while it stops is
//! ignored. It stops Envoy first, which drains the callers, then the upstream, then the control plane. The exit code is 0
//! after a signal, and 1 when a step failed or a child died, which is then named with the end of its log.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::AdminClient;
use crate::children::{ChildError, ChildProcess, Tie};
use crate::parent::Parent;
use crate::ports::{self, PortError, reachable};
use crate::secrets;
use crate::seed::{self, SeedError};
use crate::settings::{OperatorToken, Settings, SettingsError};
use crate::stack::{ControlPlane, ControlPlaneConfig, Envoy, EnvoyConfig, SampleUpstream, StackError};
use crate::terminal::{complain, say};
use crate::tour::{TokenSource, Tour};

/// Where the console says that callers reach the gateway.
const GATEWAY_URL: &str = "PORTCULLIS_GATEWAY_URL";

/// What the Makefile tells the runner; the rest is in the environment (see [`crate::settings`]).
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The `portcullis` program
    #[arg(long)]
    control_plane: PathBuf,
    /// The `envoy` program
    #[arg(long)]
    envoy: PathBuf,
    /// The filter: portcullis_filter.wasm
    #[arg(long)]
    wasm: PathBuf,
    /// Envoy's worker threads
    #[arg(long, default_value_t = 2)]
    concurrency: u32,
    /// Stop when the process that started this one is gone
    #[arg(long)]
    stop_with_parent: bool,
}

/// Why the runner ended by itself.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("cannot keep the operator's token in {}: {error}", path.display())]
    Keep { path: PathBuf, error: io::Error },
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error("cannot prepare the run: {0}")]
    Prepare(#[from] io::Error),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("{name} ended unexpectedly ({status}). The end of {}:\n{tail}", log.display())]
    Died { name: &'static str, status: ExitStatus, log: PathBuf, tail: String },
}

/// Runs until a signal or a failure, and stops everything.
pub async fn run(arguments: &Arguments) -> ExitCode {
    let mut pieces = Pieces::default();
    let outcome = match Interrupts::listen(arguments.stop_with_parent) {
        Err(error) => Err(error.into()),
        Ok(mut interrupts) => {
            let outcome = tokio::select! {
                () = interrupts.next() => Ok(()),
                Err(error) = pieces.start_and_watch(arguments) => Err(error),
            };
            // The interrupts are still listened to: another one must not end the runner before its children.
            pieces.stop().await;
            drop(interrupts);
            outcome
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("\nportcullis-demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What runs. Each is in its place from the moment that it exists, so that an interrupt at any time stops it properly.
#[derive(Default)]
struct Pieces {
    control_plane: Option<ControlPlane>,
    upstream: Option<SampleUpstream>,
    envoy: Option<Envoy>,
}

impl Pieces {
    /// Returns only with an error.
    async fn start_and_watch(&mut self, arguments: &Arguments) -> Result<(), RunError> {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        ports::check_free(&settings.port_needs())?;
        let plan = Plan::new(&settings, std::env::current_exe()?)?;
        let (token, token_source) = plan.operator_token()?;

        say("Starting the control plane ...");
        let control_plane = self.control_plane.insert(ControlPlane::spawn(&plan.control_plane(arguments, &token))?);
        control_plane.wait_until_healthy().await?;
        let admin = AdminClient::new(control_plane.url(), token.reveal().to_owned());
        let seeded = seed::seed(&admin, &plan.demo_dir).await?;

        say("Starting the sample upstream and Envoy ...");
        self.upstream = Some(SampleUpstream::start(settings.upstream).await?);
        let envoy = self.envoy.insert(Envoy::spawn(&plan.envoy(arguments, &seeded.gateway_token))?);
        envoy.wait_until_healthy().await?;
        envoy.wait_until_serving().await?;

        let password_file = seed::password_file(&plan.demo_dir);
        let tour = Tour {
            settings: &settings,
            password_file: password_file.exists().then_some(&password_file),
            token_file: &plan.token_file(),
            token: token_source,
            organization: &seeded.organization,
            log_dir: &plan.log_dir,
        };
        say(&format!("\n{}", tour.text()));
        watch(&mut control_plane.process, &mut envoy.process).await
    }

    async fn stop(&mut self) {
        if self.control_plane.is_none() {
            return;
        }
        say("\nStopping ...");
        if let Some(envoy) = &mut self.envoy {
            stop(&mut envoy.process).await;
        }
        if let Some(upstream) = self.upstream.take() {
            upstream.stop().await;
        }
        if let Some(control_plane) = &mut self.control_plane {
            stop(&mut control_plane.process).await;
        }
        say("Stopped.");
    }
}

async fn stop(process: &mut ChildProcess) {
    if let Err(error) = process.stop().await {
        complain(&format!("portcullis-demo: {error}"));
    }
}

/// Waits for the first child that dies.
async fn watch(one: &mut ChildProcess, other: &mut ChildProcess) -> Result<(), RunError> {
    let (dead, status) = tokio::select! {
        status = one.ended() => (&*one, status?),
        status = other.ended() => (&*other, status?),
    };
    Err(RunError::Died { name: dead.name(), status, log: dead.log().to_owned(), tail: dead.log_tail() })
}

/// Where everything of this run is.
struct Plan<'a> {
    settings: &'a Settings,
    demo_dir: PathBuf,
    log_dir: PathBuf,
    guard: PathBuf,
}

impl<'a> Plan<'a> {
    fn new(settings: &'a Settings, guard: PathBuf) -> io::Result<Self> {
        let plan =
            Self { settings, demo_dir: settings.data_dir.join("demo"), log_dir: settings.data_dir.join("log"), guard };
        // A log is of one run: what a person reads after a failure is about that failure.
        for log in [plan.control_plane_log(), plan.envoy_log()] {
            match std::fs::remove_file(log) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(plan)
    }

    fn token_file(&self) -> PathBuf {
        self.demo_dir.join("operator-token")
    }

    fn control_plane_log(&self) -> PathBuf {
        self.log_dir.join("control-plane.log")
    }

    fn envoy_log(&self) -> PathBuf {
        self.log_dir.join("envoy.log")
    }

    fn operator_token(&self) -> Result<(OperatorToken, TokenSource), RunError> {
        if let Some(token) = &self.settings.operator_token {
            return Ok((token.clone(), TokenSource::Environment));
        }
        let path = self.token_file();
        let keep = |error| RunError::Keep { path: path.clone(), error };
        if let Some(token) = secrets::read(&path).map_err(keep)? {
            return Ok((OperatorToken::new(token)?, TokenSource::Kept));
        }
        let token = secrets::generate()?;
        secrets::write(&path, &token).map_err(keep)?;
        Ok((OperatorToken::new(token.clone())?, TokenSource::Generated(token)))
    }

    fn control_plane(&self, arguments: &Arguments, token: &OperatorToken) -> ControlPlaneConfig {
        // Whatever else the user set for the control plane, PORTCULLIS_DATABASE_URL for one, reaches it.
        let mut environment: Vec<(String, OsString)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, value)| name.starts_with("PORTCULLIS_") && !value.is_empty())
            .collect();
        // The console shows callers how to call; it cannot know by itself where.
        if !environment.iter().any(|(name, _)| name == GATEWAY_URL) {
            environment.push((GATEWAY_URL.to_owned(), format!("http://{}", self.settings.envoy).into()));
        }
        ControlPlaneConfig {
            program: arguments.control_plane.clone(),
            listen: self.settings.listen,
            sync_listen: self.settings.sync_listen,
            data_dir: self.settings.data_dir.clone(),
            operator_token: token.reveal().to_owned(),
            environment,
            log: self.control_plane_log(),
            tie: Tie::Guarded(self.guard.clone()),
        }
    }

    fn envoy(&self, arguments: &Arguments, gateway_token: &str) -> EnvoyConfig {
        EnvoyConfig {
            program: arguments.envoy.clone(),
            wasm: absolute(&arguments.wasm),
            listener: self.settings.envoy,
            admin: self.settings.envoy_admin,
            upstream: self.settings.upstream,
            sync: reachable(self.settings.sync_listen),
            concurrency: arguments.concurrency,
            gateway_token: gateway_token.to_owned(),
            config_file: self.demo_dir.join("envoy.yaml"),
            more: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: self.envoy_log(),
            tie: Tie::Guarded(self.guard.clone()),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Everything that ends the run from outside.
struct Interrupts {
    signals: [Signal; 3],
    parent: Option<Parent>,
}

impl Interrupts {
    fn listen(stop_with_parent: bool) -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?], parent: stop_with_parent.then(Parent::now) })
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        let parent = self.parent;
        let parent_stops = async move {
            match parent {
                Some(parent) => parent.stops().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            () = parent_stops => {}
        }
    }
}
