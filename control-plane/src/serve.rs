//! `portcullis serve`: from settings to two open ports, and back to a closed database.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_core::key::{Kind, PlainKey};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::{self, App};
use crate::cli::database::options;
use crate::cli::serve::Settings;
use crate::console;
use crate::domain::environment::EntropyError;
use crate::fleet::{self, Fleet};
use crate::housekeeping;
use crate::metrics::Metrics;
use crate::oidc;
use crate::server::{self, Limits};
use crate::storage::{Bootstrap, OpenError, StorageError, Store};
use crate::sync::{self, SyncPort};

/// How long requests may go on once the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How many connections may wait to be accepted: all workers come back at once when a control plane was away, and whoever
/// is turned away tries again a second later.
const BACKLOG: u32 = 4_096;
/// Limits of the admin API. Its clients come and go.
const ADMIN_LIMITS: Limits =
    Limits { connections: 1_024, headers: Duration::from_secs(10), idle: Duration::from_secs(20), grace: GRACE };
/// Limits of the sync port. Each worker holds a connection.
const SYNC_LIMITS: Limits =
    Limits { connections: 16_384, headers: Duration::from_secs(10), idle: Duration::from_secs(60), grace: GRACE };

/// Why the control plane does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No operator token can be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Whoever else signs people in cannot be asked.
    #[error("single sign-on cannot be set up: {0}")]
    SingleSignOn(io::Error),
    /// The operating system does not take our signal handlers, or our standard output is closed.
    #[error("the operating system refused: {0}")]
    System(io::Error),
}

/// Serves until SIGINT or SIGTERM.
pub async fn serve(settings: Settings) -> Result<(), ServeError> {
    // Ports first: a second control plane by mistake ends here, before it touches anything.
    let (admin, admin_address) = listen(settings.listen)?;
    let (filters, sync_address) = listen(settings.sync_listen)?;
    let stopping = stop_on_signal().map_err(ServeError::System)?;
    let store = Store::open(&options(settings.database.clone())).await?;
    if let Some(token) = bootstrap(&store, &settings).await? {
        show_once(&token).map_err(ServeError::System)?;
    }
    let console = console_settings(&settings, &store).map_err(ServeError::SingleSignOn)?;
    let metrics = Metrics::default();
    let fleet = Fleet::open(&store, metrics.clone()).await?;
    let sync = SyncPort::new(store.clone(), fleet.clone(), metrics.clone(), stopping.clone());
    let app = App::new(store.clone(), settings.brand, fleet.clone(), &metrics);
    let pages = console::router(app.clone(), api::router(app), console);
    tracing::info!(
        admin = %admin_address,
        sync = %sync_address,
        database = %settings.database,
        epoch = %store.epoch(),
        revision = store.feed().news().revision,
        "serving"
    );
    tokio::join!(
        server::serve(admin, pages, ADMIN_LIMITS, stopping.clone()),
        server::serve(filters, sync::router(sync.clone()), SYNC_LIMITS, stopping.clone()),
        sync.keep_house(),
        fleet::keeper::keep(&fleet, stopping.clone()),
        housekeeping::keep(&store, settings.usage_hours_days, stopping.clone()),
    );
    if let Err(error) = store.close().await {
        tracing::warn!(%error, "the database's log was left for the next start");
    }
    tracing::info!("stopped");
    Ok(())
}

/// What the console knows of the world around it.
fn console_settings(settings: &Settings, store: &Store) -> io::Result<console::Settings> {
    let single_sign_on = match (&settings.oidc, &settings.public_url) {
        (Some(oidc), Some(url)) => {
            Some(oidc::Provider::new(oidc.clone(), url, store.clock().clone(), store.entropy().clone())?)
        }
        // The settings say that one does not go without the other.
        (Some(_), None) | (None, _) => None,
    };
    let (public_url, gateway_url) = (settings.public_url.clone(), settings.gateway_url.clone());
    Ok(console::Settings { public_url, gateway_url, single_sign_on })
}

/// A listener, and the address that it has: another one if the port was 0.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error| ServeError::Listen { address, error };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    // A restart must not wait for connections of the process before it to be forgotten.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Turns true on the first SIGINT or SIGTERM.
fn stop_on_signal() -> io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        // Nobody listens any more if the start failed.
        let _ = stop.send(true);
    });
    Ok(stopping)
}

/// Sets the operator token from the settings, or makes the first one. Returns it if it is to be shown.
pub async fn bootstrap(store: &Store, settings: &Settings) -> Result<Option<PlainKey>, ServeError> {
    let mut write = store.write(None).await?;
    if let Some(digest) = settings.bootstrap_token {
        let outcome = write.set_bootstrap_token(digest).await?;
        write.commit().await?;
        match outcome {
            Bootstrap::Created => tracing::info!("operator token set from the environment"),
            Bootstrap::Rotated => {
                tracing::warn!("operator token replaced by the one in the environment");
            }
            Bootstrap::Unchanged => {}
        }
        return Ok(None);
    }
    if write.view().has_way_in().await? {
        return Ok(None);
    }
    let token = store.entropy().key(&settings.brand, Kind::Access)?;
    write.set_bootstrap_token(token.digest()).await?;
    write.commit().await?;
    tracing::info!("operator token generated; it is printed once, to standard output");
    Ok(Some(token))
}

/// Prints the one secret that anyone is ever shown by the program itself.
fn show_once(token: &PlainKey) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Operator token, shown this once and stored nowhere: {}", token.reveal())?;
    out.flush()
}
