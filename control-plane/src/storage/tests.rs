//! The database: its files, its tokens, its audit. The laws of the change log are in [`laws`].

use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::id::{KeyId, OrganizationId, TokenId, UserId};
use portcullis_core::key::{ApiKind, Brand, Kind};
use tempfile::TempDir;

use super::*;
use crate::domain::actor::Actor;
use crate::domain::key::Key;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;

mod laws;

impl Store {
    /// Lets the database file grow no further, as a full disk would.
    pub async fn forbid_growth(&self) {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&self.0.writer).await.unwrap();
        let limit = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(limit)).execute(&self.0.writer).await.unwrap();
    }

    /// Waits for locks of others no longer than a moment.
    pub async fn lose_patience(&self) {
        sqlx::query("PRAGMA busy_timeout = 50").execute(&self.0.writer).await.unwrap();
    }
}

struct Fixture {
    store: Store,
    actor: Actor,
    organization: OrganizationId,
    directory: TempDir,
}

async fn open(directory: &TempDir) -> Store {
    let options = StoreOptions {
        path: directory.path().join("portcullis.db"),
        busy_timeout: Duration::from_secs(5),
        clock: Clock::from_fn(|| Timestamp::from_unix_ms(1_800_000_000_000)),
        entropy: Entropy::system(),
    };
    Store::open(&options).await.unwrap()
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory).await;
        let token = Digest::of(b"operator");
        let mut write = store.write(None).await.unwrap();
        write.set_bootstrap_token(token).await.unwrap();
        let organization = write.create_organization(&name("acme")).await.unwrap().unwrap().id;
        let (user, token): (UserId, TokenId) = write.view().operator_of_token(token).await.unwrap().unwrap();
        assert_eq!(write.commit().await.unwrap(), None);
        let actor = Actor { user, token, origin: None };
        Self { store, actor, organization, directory }
    }

    async fn write(&self) -> Write {
        self.store.write(Some(self.actor)).await.unwrap()
    }

    async fn issue(&self, write: &mut Write) -> Key {
        let secret = self.store.entropy().key(&Brand::default(), Kind::Api(ApiKind::Serverless)).unwrap();
        let new = NewKey {
            kind: ApiKind::Serverless,
            organization: self.organization,
            name: name("k"),
            expires_at: None,
            apis: None,
            rate_limit_enabled: false,
        };
        write.issue_key(self.actor, new, &secret).await.unwrap()
    }

    /// Issues `count` keys in one revision.
    async fn issue_many(&self, count: usize) -> Vec<Key> {
        let mut write = self.write().await;
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(self.issue(&mut write).await);
        }
        write.commit().await.unwrap();
        keys
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.store.0.writer).await.unwrap();
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[tokio::test]
async fn every_write_leaves_an_audit_row_with_its_revision() {
    let fixture = Fixture::new().await;
    let key = fixture.issue_many(1).await.remove(0);
    let rows: Vec<(String, String, Option<i64>)> =
        sqlx::query_as("SELECT action, subject, revision FROM audit ORDER BY sequence")
            .fetch_all(&fixture.store.0.reader)
            .await
            .unwrap();
    let last = rows.last().unwrap();
    assert_eq!(*last, ("key.issued".to_owned(), key.id.to_string(), Some(1)));
    let actions = rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>();
    assert_eq!(actions, ["bootstrap_token.created", "organization.created", "key.issued"]);
}

#[tokio::test]
async fn the_bootstrap_token_is_rotated_and_an_old_one_can_come_back() {
    let fixture = Fixture::new().await;
    let set = async |text: &str| {
        let mut write = fixture.store.write(None).await.unwrap();
        let outcome = write.set_bootstrap_token(Digest::of(text.as_bytes())).await.unwrap();
        write.commit().await.unwrap();
        outcome
    };
    let opens = async |text: &str| {
        let mut read = fixture.store.read().await.unwrap();
        read.view().operator_of_token(Digest::of(text.as_bytes())).await.unwrap()
    };
    let first = opens("operator").await.unwrap();
    assert_eq!(set("operator").await, Bootstrap::Unchanged);
    assert_eq!(set("another").await, Bootstrap::Rotated);
    assert_eq!(opens("operator").await, None);
    assert_eq!(opens("another").await.unwrap().0, first.0, "the same user");
    assert_eq!(set("operator").await, Bootstrap::Rotated);
    assert_eq!(opens("operator").await, Some(first));
    assert_eq!(opens("another").await, None);
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("portcullis.db");
    let options = StoreOptions {
        path: path.clone(),
        busy_timeout: Duration::from_secs(1),
        clock: Clock::system(),
        entropy: Entropy::system(),
    };
    let store = Store::open(&options).await.unwrap();
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
    let drawn = Arc::new(std::sync::atomic::AtomicU8::new(0));
    let counter = Arc::clone(&drawn);
    let options = StoreOptions {
        path: directory.path().join("portcullis.db"),
        busy_timeout: Duration::from_secs(1),
        clock: Clock::from_fn(|| Timestamp::from_unix_ms(1_800_000_000_000)),
        // Draws each id three times.
        entropy: Entropy::from_fn(move |bytes| {
            bytes.fill(counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) / 3);
            Ok(())
        }),
    };
    let store = Store::open(&options).await.unwrap();
    let mut write = store.write(None).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        let created = write.create_organization(&name(&number.to_string())).await.unwrap();
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

#[tokio::test]
async fn two_processes_on_one_file_take_turns() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.directory).await;
    assert_eq!(other.epoch(), fixture.store.epoch());
    let second = Fixture { store: other, directory: tempfile::tempdir().unwrap(), ..fixture };
    let first = Fixture { store: open(&fixture.directory).await, directory: tempfile::tempdir().unwrap(), ..second };
    let (a, b) = tokio::join!(issue_one_by_one(&first), issue_one_by_one(&second));
    let mut ids = a.into_iter().chain(b).collect::<Vec<KeyId>>();
    ids.sort_unstable();
    ids.dedup();
    let snapshot = first.store.snapshot().await.unwrap();
    assert_eq!((ids.len(), snapshot.keys, snapshot.at.revision), (40, 40, 40));
}

async fn issue_one_by_one(fixture: &Fixture) -> Vec<KeyId> {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(fixture.issue_many(1).await[0].id);
    }
    ids
}
