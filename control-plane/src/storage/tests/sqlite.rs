//! What only SQLite has: files, versions, migrations of what is already out there, backups.

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::super::database::is_recent;
use super::*;
use crate::domain::gateway::Serves;

impl Store {
    fn sqlite_writer(&self) -> &sqlx::SqlitePool {
        match &self.0.database {
            Database::Sqlite { writer, .. } => writer,
            Database::Postgres { .. } => panic!("not SQLite"),
        }
    }

    /// Lets the database file grow no further, as a full disk would.
    pub async fn forbid_growth(&self) {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(self.sqlite_writer()).await.unwrap();
        let limit = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(limit)).execute(self.sqlite_writer()).await.unwrap();
    }

    /// Waits for locks of others no longer than a moment.
    pub async fn lose_patience(&self) {
        sqlx::query("PRAGMA busy_timeout = 50").execute(self.sqlite_writer()).await.unwrap();
    }
}

fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        location: Location::Sqlite(path.to_owned()),
        busy_timeout: Duration::from_secs(1),
        clock: Clock::from_fn(write_now),
        entropy: Entropy::system(),
    }
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("portcullis.db");
    let store = Store::open(&options(&path)).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
    store.close().await.unwrap();
    assert!(!path.with_file_name("portcullis.db-wal").exists());
}

#[tokio::test]
async fn an_id_that_is_taken_is_drawn_again() {
    let directory = tempfile::tempdir().unwrap();
    let drawn = Arc::new(AtomicU8::new(0));
    // Draws each id three times.
    let entropy = Entropy::from_fn(move |bytes| {
        bytes.fill(drawn.fetch_add(1, Ordering::SeqCst) / 3);
        Ok(())
    });
    let store =
        Store::open(&StoreOptions { entropy, ..options(&directory.path().join("portcullis.db")) }).await.unwrap();
    let mut write = store.write(None).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        let created = write.create_organization(&name(&number.to_string()), None).await.unwrap();
        ids.push(created.unwrap().id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn an_old_sqlite_is_not_recent() {
    for (version, recent) in [
        ("3.51.3", true),
        ("3.52.0", true),
        ("4.0.0", true),
        ("3.51.2", false),
        ("3.9.9", false),
        ("", false),
        ("3.51", false),
    ] {
        assert_eq!(is_recent(version), recent, "{version}");
    }
}

/// What a database of the first version held.
const FIRST_LIGHT: &str = "
    INSERT INTO control VALUES (1, 7, 3, 0);
    INSERT INTO organizations VALUES (10, 'acme', 1);
    INSERT INTO users VALUES (20, 'operator', 'operator', 1);
    INSERT INTO access_tokens VALUES (30, 20, 'bootstrap', zeroblob(32), 1, 1, NULL);
    INSERT INTO apis VALUES (40, 'echo', 'serverless', NULL, '[]', '/v1', NULL, NULL, 0, 1);
    INSERT INTO keys VALUES (50, 'serverless', 10, 'Old', x'0101010101010101010101010101010101010101010101010101010101010101',
        'pc_sls_Ab…wxyz', 'old' || char(10) || 'pc_sls_ab…wxyz', 20, 1, NULL, NULL, 0, NULL, NULL, NULL);
    INSERT INTO gateways VALUES (60, 'edge', x'0202020202020202020202020202020202020202020202020202020202020202', 'm', 1);
    INSERT INTO changes VALUES (1, 3, x'0101010101010101010101010101010101010101010101010101010101010101', NULL);
    INSERT INTO idempotency VALUES (30, 'a', zeroblob(32), 50, 1);
    INSERT INTO audit VALUES (1, 1, 30, 'key.issued', 'key_x', '127.0.0.1', 3);";

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_all_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.db");
    let mut old = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    let mut first = sqlx::migrate!("migrations/sqlite");
    first.migrations.to_mut().truncate(1);
    first.run(&mut old).await.unwrap();
    sqlx::raw_sql(FIRST_LIGHT).execute(&mut old).await.unwrap();
    drop(old);
    let store = Store::open(&options(&path)).await.unwrap();
    // One revision more: there is something that workers had not been told of.
    assert_eq!((store.epoch().number(), store.feed().news().revision), (7, 4));
    let mut read = store.read().await.unwrap();
    let mut view = read.view();
    let filter = KeyFilter {
        sight: crate::domain::authority::Sight::Everything,
        kind: None,
        status: None,
        organization: None,
        created_by: None,
        search: Some("old".to_owned()),
    };
    let order = KeyOrder { sort: KeySort::Issued, descending: true, after: None, limit: 10 };
    let page = view.keys(&filter, &order, write_now()).await.unwrap();
    assert_eq!((page.keys.len(), page.keys[0].name.as_str(), page.keys[0].creator.as_str()), (1, "Old", "operator"));
    let bearer = view.bearer(Digest::from_bytes([0; 32]), write_now()).await.unwrap().unwrap();
    assert!(bearer.live);
    assert_eq!(view.gateways().await.unwrap()[0].serves, Serves::Everything);
    let audit = view.audit(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(audit.entries[0].action.name(), "key.issue");
    assert_eq!(audit.entries[0].user_name.as_deref(), Some("operator"));
    assert_eq!(store.snapshot(&Serves::Everything).await.unwrap().keys, 1);
}

#[tokio::test]
async fn a_backup_is_all_there_was_and_begins_another_life() {
    let fixture = Fixture::sqlite().await;
    let key = fixture.issue_many(1).await.remove(0);
    let folder = fixture.directory.as_ref().unwrap().path().to_owned();
    let file = folder.join("backup.db");
    fixture.store.back_up(&file).await.unwrap();
    assert!(fixture.store.back_up(&file).await.is_err(), "an existing file is left as it is");
    let mut write = fixture.write().await;
    write.revoke_key(&key, crate::domain::audit::Action::KeyDelete).await.unwrap();
    write.commit().await.unwrap();
    let restored = open(&Location::Sqlite(file.clone())).await;
    assert_eq!(restored.epoch(), fixture.store.epoch());
    let epoch = restored.begin_epoch().await.unwrap();
    restored.close().await.unwrap();
    let restored = open(&Location::Sqlite(file)).await;
    assert_eq!(restored.epoch(), epoch);
    assert_ne!(restored.epoch(), fixture.store.epoch());
    assert_eq!(restored.snapshot(&Serves::Everything).await.unwrap().keys, 1);
}
