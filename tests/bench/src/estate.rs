//! What is measured: a control plane with keys, the way to its database, and an admin who deletes keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portcullis_core::digest::Digest;
use portcullis_core::id::KeyId;
use portcullis_demo::admin::AdminClient;
use portcullis_tests::bulk::{Direct, numbered_key};
use portcullis_tests::database::Database;
use portcullis_tests::house::House;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Size};
use crate::process::Process;

/// A key that nobody has deleted yet.
#[derive(Debug, Clone, Copy)]
pub struct LiveKey {
    /// Its id.
    pub id: KeyId,
    /// Its digest.
    pub digest: Digest,
}

/// A control plane and its database.
pub struct Estate {
    /// The control plane.
    pub house: House,
    /// The keys that are left to delete.
    pub keys: Vec<LiveKey>,
    admin: AdminClient,
    direct: Direct,
}

/// A key that was deleted by the admin API.
#[derive(Debug)]
pub struct Deletion {
    /// When the request was sent.
    pub sent: Instant,
    /// When its answer had come.
    pub answered: Instant,
    /// Its revision.
    pub revision: u64,
    /// The receipt.
    pub receipt: Value,
}

impl Estate {
    /// A new control plane on this empty database, with this many keys.
    pub async fn build(database: Database, keys: u32) -> Self {
        let house = House::without_envoy_on(database).await;
        let pattern = house.issue("serverless", json!({})).await;
        let pattern = pattern.id.parse().expect("an id");
        let digests = (0..keys).map(|number| numbered_key(number).digest()).collect::<Vec<_>>();
        let mut direct = house.direct().await;
        let ids = direct.copy_key(pattern, &digests).await;
        let keys = ids.into_iter().zip(digests).map(|(id, digest)| LiveKey { id, digest }).collect();
        Self { admin: house.admin(), direct, keys, house }
    }

    /// The control plane's process.
    pub fn process(&self) -> Process {
        Process::new(self.house.control_plane().process.id().expect("it runs"))
    }

    /// Starts workers of the house's gateway.
    pub fn workers(&self, size: Size, name: &str) -> Fleet {
        Fleet::start(size, self.sync(), self.house.gateway_token(), name)
    }

    /// The newest revision.
    pub async fn head(&mut self) -> u64 {
        self.direct.head().await
    }

    /// The digests of all live keys.
    pub async fn live_digests(&mut self) -> Vec<Digest> {
        self.direct.live_digests().await
    }

    /// Deletes the next key by the admin API, which may wait so long for the receipt.
    pub async fn delete_one(&mut self, wait: Duration) -> Deletion {
        let key = self.keys.pop().expect("a key is left");
        let path = format!("/v1/keys/{}?wait_ms={}", key.id, wait.as_millis());
        let sent = Instant::now();
        let mut answer = self.admin.delete(&path).await.unwrap_or_else(|error| panic!("{error}"));
        let answered = Instant::now();
        // What the database says, whoever else writes.
        let revision = self.direct.last_change(&key.digest).await;
        Deletion { sent, answered, revision, receipt: answer["propagation"].take() }
    }

    fn sync(&self) -> SocketAddr {
        let url = self.house.sync_url();
        url.trim_start_matches("http://").parse().expect("an address")
    }
}
