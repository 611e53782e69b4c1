//! The contract of the database, kept by both: what is in [`contract`] and [`laws`] runs on SQLite and on
//! PostgreSQL. What only one of them has is in [`sqlite`] and [`postgres`].

use std::time::Duration;

use portcullis_core::digest::Digest;
use portcullis_core::id::OrganizationId;
use portcullis_core::key::{ApiKind, Brand, Kind, PlainKey};
use tempfile::TempDir;

use super::sql::{Statement, sql};
use super::*;
use crate::domain::actor::Actor;
use crate::domain::key::Key;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;

mod advice;
mod budgets;
mod contract;
mod counting;
mod laws;
mod people;
mod postgres;
mod prices;
mod replica;
mod scale;
mod sqlite;
mod upgrades;
mod usage;
mod usage_scale;
mod used;
mod workers;

/// 2027-01-15T08:00:00Z.
const NOW_MS: u64 = 1_800_000_000_000;

/// Runs each test of the contract on both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($fixture:ident: &Fixture) $body:block)+) => {
        $(async fn $name($fixture: &$crate::storage::tests::Fixture) $body)+

        mod sqlite {
            $($(#[$meta])* #[tokio::test] async fn $name() {
                super::$name(&$crate::storage::tests::Fixture::sqlite().await).await;
            })+
        }

        mod postgres {
            $($(#[$meta])* #[tokio::test] async fn $name() {
                super::$name(&$crate::storage::tests::Fixture::postgres().await).await;
            })+
        }
    };
}
use on_both;

pub(crate) use used::Used;

/// A database of its own, and somebody who writes into it.
pub struct Fixture {
    store: Store,
    location: Location,
    actor: Actor,
    organization: OrganizationId,
    /// The folder of a SQLite file.
    directory: Option<TempDir>,
}

async fn open(location: &Location) -> Store {
    let options = StoreOptions {
        location: location.clone(),
        busy_timeout: Duration::from_secs(5),
        clock: Clock::from_fn(|| Timestamp::from_unix_ms(NOW_MS)),
        entropy: Entropy::system(),
    };
    Store::open(&options).await.unwrap()
}

impl Fixture {
    async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("portcullis.db"));
        Self { directory: Some(directory), ..Self::at(location).await }
    }

    async fn postgres() -> Self {
        Self::at(postgres::new_database().await).await
    }

    async fn at(location: Location) -> Self {
        let store = open(&location).await;
        let token = Digest::of(b"operator");
        let mut write = store.write(None).await.unwrap();
        write.set_bootstrap_token(token).await.unwrap();
        let organization = write.create_organization(&name("acme"), None).await.unwrap().unwrap().id;
        let bearer = write.view().bearer(token, write_now()).await.unwrap().unwrap();
        assert_eq!(write.commit().await.unwrap(), None);
        let actor = Actor { user: bearer.user, token: bearer.token, role: bearer.role, origin: None };
        Self { store, location, actor, organization, directory: None }
    }

    async fn write(&self) -> Write {
        self.store.write(Some(self.actor)).await.unwrap()
    }

    fn secret(&self) -> PlainKey {
        self.store.entropy().key(&Brand::default(), Kind::Api(ApiKind::Serverless)).unwrap()
    }

    fn new_key(&self) -> NewKey {
        NewKey {
            kind: ApiKind::Serverless,
            organization: self.organization,
            created_by: self.actor.user,
            name: name("k"),
            expires_at: None,
            apis: None,
            rate_limit_enabled: false,
            monthly_budget: None,
        }
    }

    async fn issue(&self, write: &mut Write) -> Key {
        write.issue_key(self.new_key(), &self.secret()).await.unwrap()
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

    /// Does to the database what the store never would.
    async fn execute(&self, statement: Statement) {
        let mut open = self.store.0.database.begin().await.unwrap();
        statement.execute(open.session()).await.unwrap();
        open.commit().await.unwrap();
    }
}

fn write_now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}
