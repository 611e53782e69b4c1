//! A backup becomes the database.
//!
//! The backup is copied into a new file beside the database, checked, brought up to date and given another epoch
//! there, and only then takes the database's place by a rename. Until then the database is as it was; whatever fails
//! leaves it alone and takes the copy away.
//!
//! A database that a control plane is using is not replaced: its connections would go on writing into a file
//! that has no name any more.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_core::wire::Epoch;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection as _};

use super::error::StorageError;
use super::{Location, OpenError, Store, StoreOptions};

/// What to do if the database is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and restore nothing.
    Refuse,
    /// Replace it.
    Replace,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// PostgreSQL is restored with its own tools.
    #[error("PostgreSQL is restored with its own tools, such as pg_restore")]
    Postgres,
    /// There is a database already.
    #[error("{0} is there already; --replace replaces it")]
    Exists(PathBuf),
    /// A control plane is using the database.
    #[error("{0} is in use; stop the control plane first")]
    InUse(PathBuf),
    /// The file is no backup of Portcullis.
    #[error("{0} is no backup of Portcullis that can be read")]
    NoBackup(PathBuf),
    /// The file is a database with its log beside it: part of what it holds is in the log.
    #[error("{0} is a database in use and no backup; make one with portcullis backup")]
    HasLog(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The copy cannot be opened, or brought up to date.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn at(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |error| RestoreError::File { path: path.clone(), error }
}

/// The path of a file that SQLite keeps beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The copy, which is gone again unless it has become the database.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // It is not there, or it cannot be helped.
            let _ = fs::remove_file(beside(&self.0, suffix));
        }
    }
}

/// Makes `backup` the database of `options`, in a new epoch, which it returns.
pub async fn restore(backup: &Path, options: &StoreOptions, existing: Existing) -> Result<Epoch, RestoreError> {
    let Location::Sqlite(target) = &options.location else {
        return Err(RestoreError::Postgres);
    };
    if existing == Existing::Refuse && target.try_exists().map_err(at(target))? {
        return Err(RestoreError::Exists(target.clone()));
    }
    let log = beside(backup, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(RestoreError::HasLog(backup.to_owned()));
    }
    let copy = Copy(beside(target, &format!(".restoring-{}", std::process::id())));
    copy_private(backup, &copy.0)?;
    if !is_portcullis(&copy.0).await {
        return Err(RestoreError::NoBackup(backup.to_owned()));
    }
    let store = Store::open(&StoreOptions { location: Location::Sqlite(copy.0.clone()), ..options.clone() }).await?;
    let epoch = store.begin_epoch().await?;
    store.close().await?;
    File::open(&copy.0).and_then(|file| file.sync_all()).map_err(at(&copy.0))?;
    retire(target).await?;
    fs::rename(&copy.0, target).map_err(at(target))?;
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(directory))?;
    Ok(epoch)
}

/// Copies a file into a new one, for its owner alone, in a directory likewise.
fn copy_private(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let mut source = File::open(from).map_err(at(from))?;
    if let Some(directory) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(at(to))?;
    io::copy(&mut source, &mut copy).map_err(at(to))?;
    Ok(())
}

/// Whether the file is a whole database, and one of ours: of any version, as the control row was there from the first.
async fn is_portcullis(path: &Path) -> bool {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let Ok(mut connection) = options.connect().await else {
        return false;
    };
    let whole = ask(&mut connection, "PRAGMA integrity_check").await.is_some_and(|said| said == "ok");
    let rows = ask(&mut connection, "SELECT CAST(count(epoch) AS TEXT) FROM control WHERE revision >= 0").await;
    whole && rows.is_some_and(|rows| rows == "1")
}

async fn ask(connection: &mut SqliteConnection, question: &'static str) -> Option<String> {
    sqlx::query_scalar(question).fetch_one(connection).await.ok()
}

/// Sees to it that nobody uses the database at `path`, and takes away its log: the new database must not find it.
/// A log that is whole is moved into its database first, so that a crash in between loses nothing of either.
async fn retire(path: &Path) -> Result<(), RestoreError> {
    if !path.try_exists().map_err(at(path))? {
        return Ok(());
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::ZERO);
    // One that is damaged is replaced as well: that is what backups are for.
    if let Ok(mut connection) = options.connect().await {
        let left: Result<String, sqlx::Error> =
            sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await;
        let closed = connection.close().await;
        match left.and_then(|mode| closed.map(|()| mode)).map_err(StorageError::from) {
            // Leaving the log takes the only connection that there is.
            Err(StorageError::Busy) => return Err(RestoreError::InUse(path.to_owned())),
            Ok(mode) if mode == "wal" => return Err(RestoreError::InUse(path.to_owned())),
            Ok(_) | Err(_) => {}
        }
    }
    for suffix in ["-wal", "-shm"] {
        let file = beside(path, suffix);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&file)(error)),
        }
    }
    Ok(())
}
